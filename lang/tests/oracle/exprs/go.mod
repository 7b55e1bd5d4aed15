module tiphys.dev/oracle/exprs

go 1.26

require (
	github.com/Knetic/govaluate v3.0.1-0.20171022003610-9aa49832a739+incompatible
	github.com/expr-lang/expr v1.17.8
	github.com/itchyny/gojq v0.12.20
	github.com/yuin/gopher-lua v1.1.2
)

require github.com/itchyny/timefmt-go v0.1.9 // indirect
