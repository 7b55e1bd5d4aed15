package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"text/template"

	"github.com/Knetic/govaluate"
	"github.com/Masterminds/sprig/v3"
	"github.com/tidwall/gjson"
)

// The same four inputs as lang/benches/dialects.rs; scripts/bench-dialects compares.

func push(b *testing.B) []byte {
	data, err := os.ReadFile("../../lang/benches/push.json")
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func render(b *testing.B, text string) {
	var input any
	must(json.Unmarshal(push(b), &input))
	parsed := template.Must(template.New("param").Funcs(sprig.TxtFuncMap()).Parse(text))
	root := map[string]any{"Input": input}
	for b.Loop() {
		var out bytes.Buffer
		must(parsed.Execute(&out, root))
		_ = out.String()
	}
}

func BenchmarkMessage(b *testing.B) { render(b, "{{ .Input.body.message }}") }

func BenchmarkReport(b *testing.B) {
	text, err := os.ReadFile("../../lang/benches/report.tmpl")
	must(err)
	render(b, string(text))
}

func BenchmarkPath(b *testing.B) {
	data := push(b)
	for b.Loop() {
		if gjson.GetBytes(data, "repository.owner.login").String() != "acme" {
			b.Fatal("not found")
		}
	}
}

func BenchmarkFilter(b *testing.B) {
	data := push(b)
	fields := [][2]string{{"name", "body.user.name"}, {"count", "body.count"}, {"text", "body.message"}}
	expression, err := govaluate.NewEvaluableExpression(`name == "ada" && (count > 5 || text =~ "^bye") && text != ""`)
	must(err)
	for b.Loop() {
		parameters := map[string]any{}
		for _, field := range fields {
			parameters[field[0]] = gjson.GetBytes(data, field[1]).Value()
		}
		if holds, err := expression.Evaluate(parameters); err != nil || holds != true {
			b.Fatal(holds, err)
		}
	}
}
