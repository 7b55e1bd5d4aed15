package main

import (
	"fmt"
	"strings"
)

// document of the text dialects: small whole numbers and halves print alike everywhere.
const textInput = `{"body":{"s":"hello","t":"Ada Lovelace","e":"","n":3,"m":7,"f":2.5,"yes":true,"no":false,"nil":null,"l":["b","a","c"],"nums":[3,1,2],"o":{"k":"v","x":"y"},"items":[{"id":"p","v":1},{"id":"q","v":2}],"day":"2024-03-05T06:07:08Z"}}`

const flatInput = `{"s":"hello","t":"Ada","e":"","n":3,"m":7,"f":2.5,"yes":true,"no":false,"z":null,"l":["b","a","c"],"nums":[3,1,2]}`

func (g *generator) textCase(input, mode, expr string) Case {
	c := Case{"input": []byte(input)}
	if mode != "" {
		c.set("mode", mode)
	}
	c.set("expr", expr)
	return c
}

// next is a case of the dialect.
func (g *generator) next(dialect string) Case {
	switch dialect {
	case "gjson":
		return g.getCase()
	case "sjson":
		return g.setCase()
	case "gotemplate":
		return g.textCase(textInput, "", g.template(2))
	case "govaluate":
		return g.textCase(flatInput, "", g.govaluate(3))
	case "expr":
		return g.textCase(textInput, "", g.expr(3))
	case "jq":
		return g.textCase(textInput, g.pick("first", "all"), g.jq(3))
	default:
		return g.textCase(textInput, g.pick("filter", "transform", "transform"), g.lua())
	}
}

// form replaces each % of a pattern by what the functions give, in turn by kind: s text, n number, b boolean, l list, v any.
func (g *generator) form(pattern string, kinds map[byte]func() string) string {
	var out strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] == '%' && i+1 < len(pattern) {
			if make, ok := kinds[pattern[i+1]]; ok {
				out.WriteString(make())
				i++
				continue
			}
		}
		out.WriteByte(pattern[i])
	}
	return out.String()
}

func (g *generator) template(depth int) string {
	var out strings.Builder
	for i, n := 0, 1+g.Intn(2); i < n; i++ {
		out.WriteString(g.pick("", "a", " ", "\n", "x y "))
		out.WriteString(g.action(depth))
	}
	return out.String()
}

func (g *generator) action(depth int) string {
	left, right := g.pick("{{", "{{ ", "{{- "), g.pick("}}", " }}", " -}}")
	act := func(text string) string { return left + text + right }
	value := func() string { return g.operand(depth) }
	if depth <= 0 {
		return act(value())
	}
	body := func() string { return g.template(depth - 1) }
	switch g.Intn(12) {
	case 0:
		return act("if "+value()) + body() + act("end")
	case 1:
		return act("if "+value()) + body() + act("else if "+value()) + body() + act("else") + body() + act("end")
	case 2:
		return act("with "+value()) + body() + act("else") + body() + act("end")
	case 3:
		return act("range "+g.pick(g.list(depth), value())) + body() + g.pick("", act("break"), act("continue")) + act("else") + "none" + act("end")
	case 4:
		return act("range $i, $v := "+g.list(depth)) + g.pick("{{$i}}={{$v}};", "{{$i}}") + act("end")
	case 5:
		return act("$x := "+value()) + body() + act("$x = "+value()) + act("$x")
	case 6:
		return act("define \"t\"") + "<" + g.action(0) + ">" + act("end") + act("template \"t\" "+g.pick("$.Input", ".", value()))
	case 7:
		return act("/* c */")
	default:
		pipe := value()
		for i := g.Intn(3); i > 0; i-- {
			pipe += " | " + g.pick("upper", "lower", "quote", "squote", "trim", "len", "toString", "toJson", "title", "default \"d\"", "printf \"%v\"", "printf \"%q\"", "printf \"%5s|\"", "html", "js", "urlquery", "b64enc", "sha256sum", "trunc 3", "repeat 2", "nospace", "snakecase", "camelcase", "kebabcase", "initials", "swapcase", "untitle", "first", "last", "rest", "initial", "reverse", "uniq", "compact", "sortAlpha", "join \"-\"", "empty", "not", "kindOf", "typeOf", "toStrings", "indent 2", "nindent 1", "abbrev 5", "wrap 4", "plural \"a\" \"b\"", "contains \"l\"", "hasPrefix \"h\"", "replace \"l\" \"L\"", "splitList \"l\"", "int", "float64", "int64", "toPrettyJson", "fromJson", "ternary 1 2", "print", "println")
		}
		return act(pipe)
	}
}

func (g *generator) list(depth int) string {
	return g.pick("$.Input.body.l", "$.Input.body.items", "(list 1 2 3)", "(list \"a\" \"b\")", "(until 3)", "(splitList \"l\" $.Input.body.s)", "(tuple)", "$.Input.body.o", "(sortAlpha $.Input.body.l)", "3")
}

func (g *generator) operand(depth int) string {
	if depth <= 0 || g.Intn(3) == 0 {
		return g.pick(".", "$", "$.Input.body.s", "$.Input.body.t", "$.Input.body.e", "(int $.Input.body.n)", "(float64 $.Input.body.f)", "$.Input.body.yes", "$.Input.body.no", "$.Input.body.nil", "$.Input.body.l", "$.Input.body.o", "$.Input.body.o.k", "$.Input.body.nope", "$.Input.nope.deep", "$.Input.body.s.x", "1", "-2", "0x1F", "1.5", "1e3", "'a'", "true", "false", "nil", "\"text\"", "`raw \\n`", "\"a\\tb\"", "$.Input.body.day")
	}
	again := func() string { return g.operand(depth - 1) }
	number := func() string {
		return g.pick("1", "2", "-3", "0", "7", "(int $.Input.body.n)", "(int $.Input.body.m)", "\"4\"", "1.5", "10")
	}
	text := func() string {
		return g.pick("$.Input.body.s", "$.Input.body.t", "\"l\"", "\"\"", "\"a-b c\"", "\"Él\"", "(upper $.Input.body.s)", "\"%d\"", again())
	}
	list := func() string { return g.list(depth - 1) }
	return "(" + g.form(g.pick("and %v %v", "or %v %v", "not %v", "eq %v %v", "ne %s %s", "lt %n %n", "le %s %s", "gt %n %n", "ge %n %n", "eq %n %n %n", "len %v", "index %l %n", "index $.Input.body.o %s", "slice %s 1 2", "slice %l %n", "print %v %v", "printf \"%d|%5d|%-5d|%05d\" %n %n %n %n", "printf \"%s|%q|%x|%v|%T\" %s %s %s %v %v", "printf \"%6.2f|%e|%g\" %n %n %n", "printf %s %v", "printf \"%+d %t %c %U\" %n %v %n %n", "println %v", "add %n %n", "sub %n %n", "mul %n %n", "div %n %n", "mod %n %n", "max %n %n", "min %n %n", "add1 %n", "ceil %n", "floor %n", "round %n 1", "addf %n %n", "until %n", "untilStep %n %n 1", "seq %n %n", "trim %s", "trimAll %s %s", "trimSuffix %s %s", "trimPrefix %s %s", "substr %n %n %s", "trunc %n %s", "abbrev %n %s", "abbrevboth %n %n %s", "contains %s %s", "hasPrefix %s %s", "cat %v %v", "indent %n %s", "replace %s %s %s", "repeat %n %s", "plural %s %s %n", "regexMatch %s %s", "regexFind \"[a-z]+\" %s", "regexFindAll \"[lo]\" %s %n", "regexReplaceAll \"l(.)\" %s \"<$1>\"", "regexSplit \"l\" %s %n", "splitList %s %s", "split %s %s", "splitn %s %n %s", "join %s %l", "sortAlpha %l", "first %l", "last %l", "rest %l", "append %l %v", "prepend %l %v", "concat %l %l", "reverse %l", "uniq %l", "without %l %v", "has %v %l", "chunk %n %l", "dict %s %v", "get $.Input.body.o %s", "hasKey $.Input.body.o %s", "pluck %s $.Input.body.o", "dig \"o\" \"k\" %v $.Input.body", "dig %s %s %v $.Input.body", "merge (dict %s %v) $.Input.body.o", "omit $.Input.body.o %s", "pick $.Input.body.o %s", "keys $.Input.body.o | sortAlpha", "default %v %v", "coalesce %v %v", "ternary %v %v %v", "empty %v", "all %v %v", "any %v %v", "toJson %v", "fromJson %s", "toString %v", "int %v", "float64 %v", "toDecimal %n", "atoi %s", "b64enc %s", "b64dec %s", "b32enc %s", "sha1sum %s", "adler32sum %s", "quote %v %v", "kindIs %s %v", "typeOf %v", "deepEqual %v %v", "date \"2006-01-02 15:04\" (toDate \"2006-01-02T15:04:05Z\" $.Input.body.day)", "date \"Mon Jan _2 3PM\" (toDate \"2006-01-02T15:04:05Z\" $.Input.body.day)", "duration %n", "durationRound %s", "semverCompare \">=1.2\" \"1.3.0\"", "semver %s", "base %s", "dir \"a/b\"", "urlParse \"http://u@h:1/p?q#f\"", "urlJoin (dict \"host\" %s)", "camelcase %s", "snakecase %s", "kebabcase %s", "wrap %n %s", "wrapWith %n %s %s", "initials %s", "shuffle \"\"", "fail %s", "html %s", "js %s", "urlquery %s"),
		map[byte]func() string{'v': again, 's': text, 'n': number, 'l': list}) + ")"
}

func (g *generator) govaluate(depth int) string {
	if depth <= 0 || g.Intn(6) == 0 {
		return g.pick("s", "t", "e", "n", "m", "f", "yes", "no", "z", "l", "nums", "missing", "1", "2", "3", "0", "1.5", "0x1f", "'hello'", "\"Ada\"", "'2014-01-02'", "true", "false", "''", "'a'", "[s]", "1e3", "'3:04PM'", "nil")
	}
	again := func() string { return g.govaluate(depth - 1) }
	number := func() string { return g.pick("n", "m", "f", "1", "2", "0", "-n", "2.5", again()) }
	text := func() string { return g.pick("s", "t", "'hello'", "\"l\"", "e", "'^h.*o$'", again()) }
	truth := func() string { return g.pick("yes", "no", "!no", "true", again(), again()) }
	list := func() string { return g.pick("l", "nums", "('a','b')", "(1,2,3)", "(n, s)", again()) }
	return g.form(g.pick("%v == %v", "%v != %v", "%n < %n", "%n <= %n", "%s > %s", "%n >= %n", "%s =~ %s", "%s !~ %s", "%v in %l", "%b && %b", "%b || %b", "!%b", "%n + %n", "%s + %v", "%n - %n", "%n * %n", "%n / %n", "%n % %n", "%n ** %n", "%n & %n", "%n | %n", "%n ^ %n", "%n << 2", "%n >> 1", "~%n", "-%n", "%b ? %v : %v", "%v ?? %v", "(%v)", "( %b )", "%v%v", "%b ? %v"),
		map[byte]func() string{'v': again, 's': text, 'n': number, 'l': list, 'b': truth})
}

func (g *generator) expr(depth int) string {
	if depth <= 0 || g.Intn(6) == 0 {
		return g.pick("body.s", "body.t", "body.e", "body.n", "body.f", "body.yes", "body.no", "body.nil", "body.l", "body.o", "body.items", "body.nope", "body?.nope?.x", "nope", "1", "2", "0", "1.5", "'hello'", "\"a\"", "`raw`", "true", "false", "nil", "[1, 2, 3]", "{a: 1, b: 'x'}", "body['s']", "body.l[0]", "body.l[-1]", "body.l[1:]", "body.s[1:3]", "[]", "0x10", "1_000")
	}
	again := func() string { return g.expr(depth - 1) }
	number := func() string { return g.pick("1", "2", "7", "0", "2.5", "-3", "len(body.l)", "len(body.s)", again()) }
	text := func() string { return g.pick("body.s", "body.t", "'l'", "''", "'a b'", again()) }
	truth := func() string { return g.pick("body.yes", "body.no", "true", "not body.no", again(), again()) }
	list := func() string {
		return g.pick("body.l", "body.items", "[1, 2, 3]", "1..4", "['a', 'b', 'a']", "split(body.s, 'l')", again())
	}
	closure := func() string {
		return g.pick("# == 'a'", "# > 1", "# != nil", "{# == 'b'}", "true", "len(#) > 0", "#.id == 'p'", ".v", "#", "#index > 0", "not (# in ['a', 2])")
	}
	return g.form(g.pick("%v == %v", "%v != %v", "%n < %n", "%s <= %s", "%n > %n", "%s contains %s", "%s startsWith %s", "%s endsWith %s", "%s matches '^h'", "%v in %l", "%v not in %l", "%b && %b", "%b || %b", "%b and %b", "%b or %b", "!%b", "not %b", "%n + %n", "%s + %s", "%n - %n", "%n * %n", "%n / %n", "%n % %n", "%n ** 2", "%n ^ 2", "-%n", "%b ? %v : %v", "%v ?? %v", "(%v)", "all(%l, %c)", "any(%l, %c)", "none(%l, %c)", "one(%l, %c)", "filter(%l, %c)", "map(%l, %c)", "count(%l, %c)", "count(%l)", "find(%l, %c)", "findIndex(%l, %c)", "findLast(%l, %c)", "groupBy(%l, %c)", "sortBy(%l, %c)", "reduce(%l, #acc + #, 0)", "sum(%l)", "mean([1, 2, %n])", "median([3, 1, 2])", "min(%n, %n)", "max(%n, %n)", "abs(%n)", "ceil(%n)", "floor(%n)", "round(%n)", "int(%v)", "float(%v)", "string(%v)", "type(%v)", "len(%v)", "upper(%s)", "lower(%s)", "trim(%s)", "trimPrefix(%s, %s)", "trimSuffix(%s, %s)", "split(%s, %s)", "splitAfter(%s, 'l')", "replace(%s, %s, %s)", "repeat(%s, 2)", "join(['a', 'b'], %s)", "indexOf(%s, %s)", "lastIndexOf(%s, %s)", "hasPrefix(%s, %s)", "hasSuffix(%s, %s)", "first(%l)", "last(%l)", "take(%l, 2)", "reverse(%l)", "sort(%l)", "uniq(%l)", "flatten([%l, %l])", "concat(%l, %l)", "keys(body.o) | sort()", "values(body.o) | sort()", "toJSON(%v)", "fromJSON('[1]')", "toBase64(%s)", "fromBase64(%s)", "toPairs({a: %v})", "fromPairs([[%s, %v]])", "get(%v, %v)", "%l | filter(%c) | len()", "let x = %v; x == x", "let x = %n; x + x", "if %b { %v } else { %v }", "bitand(7, 2)", "bitshl(1, 3)", "duration('1h').Minutes()", "date(body.day).Year()", "date('2024-01-02').Weekday()"),
		map[byte]func() string{'v': again, 's': text, 'n': number, 'l': list, 'b': truth, 'c': closure})
}

func (g *generator) jq(depth int) string {
	if depth <= 0 || g.Intn(5) == 0 {
		return g.pick(".", ".body", ".body.s", ".body.n", ".body.f", ".body.l", ".body.o", ".body.items", ".body.nope", ".body.nil", ".body.yes", ".body.nope?", ".body.l[0]", ".body.l[-1]", ".body.l[1:]", ".body.s[1:3]", ".body.items[].id", ".body.l[]", ".[\"body\"]", "1", "2.5", "\"x\"", "null", "true", "false", "[]", "{}", "[1,2,3]", "{a:1}", "\"a\\(1+1)b\"", "empty")
	}
	again := func() string { return g.jq(depth - 1) }
	list := func() string {
		return g.pick(".body.l", ".body.items", ".body.nums", "[3,1,2]", "[.body.l[]]", "("+again()+")")
	}
	text := func() string { return g.pick(".body.s", ".body.t", "\"l\"", "\"a,b\"", "\"\"", "("+again()+")") }
	number := func() string { return g.pick(".body.n", "1", "2", "0", ".body.f", "-1", "("+again()+")") }
	return g.form(g.pick("%v | %v", "%v, %v", "(%v) + (%v)", "%n - %n", "%n * %n", "%n / %n", "%n % %n", "%v == %v", "%v != %v", "%v < %v", "%n >= %n", "%v and %v", "%v or %v", "%v | not", "%v // %v", "[%v]", "{a: (%v), b: (%v)}", "{(%s): 1}", "if %v then %v else %v end", "if %v then %v end", "try (%v) catch .", "(%v)?", "%l | map(%v)", "%l | map(select(%v))", "%l | length", "%v | length", "%v | keys", "%v | to_entries", "%l | sort", "%l | sort_by(.v)", "%l | group_by(.v)", "%l | unique", "%l | reverse", "%l | add", "%l | first", "%l | last", "%l | min", "%l | max", "%l | any", "%l | all", "%l | index(\"a\")", "%l | join(\"-\")", "%l | flatten", "%l | contains([\"a\"])", "%l | inside([1])", "%s | ascii_upcase", "%s | ascii_downcase", "%s | split(%s)", "%s | ltrimstr(\"h\")", "%s | rtrimstr(\"o\")", "%s | startswith(%s)", "%s | endswith(%s)", "%s | test(\"l+\")", "%s | [match(\"l\"; \"g\").offset]", "%s | sub(\"l\"; \"L\")", "%s | gsub(\"l\"; \"L\")", "%s | capture(\"(?<a>l)\")", "%s | explode", "%s | tojson", "%v | tojson", "%v | tostring", "%s | tonumber", "%v | type", "%s | @base64", "%s | @uri", "%v | @json", "%s | @html", "[%n, %s] | @csv", "%n | floor", "%n | sqrt", "range(%n)", "[range(0; 5; 2)]", "[limit(2; %v)]", "first(%v)", "reduce %l[] as $x (0; . + 1)", "[foreach .body.nums[] as $x (0; . + $x)]", "%v as $x | $x", "def f: %v; f", "def f(x): x | x; f(%v)", "%v | has(\"s\")", ".body | del(.s)", ".body.s = (%v)", ".body.s |= (%v)", ".body.n += (%n)", ".body | with_entries(.value |= tostring)", "[paths]", "%v | [..]", "%v | walk(.)", "%v | to_entries | from_entries", "getpath([\"body\",\"s\"])", "setpath([\"body\",\"q\"]; %v)", "%v | recurse", "%l | .[1:]", "%l | .[:-1]", "%l | indices(\"a\")", "[[1,2],[3]] | transpose", "%v | tojson | fromjson", "%v | isvalid(.a)", "limit(3; repeat(1))", "%v | error", ".body | map_values(%v)", "[.body[] | numbers]", "input_line_number", "%s | ltrimstr(1)", "splits(\"l\")", "@text \"a\\(%v)\"", "%v | tostream", "%n | tostring", "[.body.nums[] | . * 2] | add", ".body.day | fromdate", ".body.day | fromdate | todate", "%v | limit(1; .[]?)", "label $out | (1, break $out, 2)", "[.[]?]", "env | type", "$__loc__", "%l | min_by(.v)", "%l | max_by(.v)", "%l | unique_by(.v)", "%v | ltrimstr(\"x\")", "%v | utf8bytelength", "%l | combinations?", "%l | index(1)", "[.body.s | scan(\"l\")]", "%n | pow(.; 2)", "%v | abs?", "%v | trim", "%v | getpath([\"a\",\"b\"])", "%v | splits(\"a\")?", "%v | ascii_downcase?"),
		map[byte]func() string{'v': again, 's': text, 'n': number, 'l': list})
}

func (g *generator) luaValue(depth int) string {
	if depth <= 0 || g.Intn(4) == 0 {
		return g.pick("b.s", "b.t", "b.n", "b.f", "b.yes", "b.no", "b.nope", "b.l", "b.o", "b.o.k", "b.l[1]", "b.items[2].id", "#b.l", "#b.s", "1", "2.5", "'x'", "\"a\\nb\"", "[[long]]", "nil", "true", "false", "{}", "{1,2}", "{a=1}", "0x10", "1e3")
	}
	again := func() string { return g.luaValue(depth - 1) }
	number := func() string { return g.pick("b.n", "b.f", "1", "2", "#b.l", "7", again()) }
	text := func() string { return g.pick("b.s", "b.t", "'l'", "'%a+'", "''", again()) }
	return g.form(g.pick("(%v == %v)", "(%v ~= %v)", "(%n < %n)", "(%s <= %s)", "(%v and %v)", "(%v or %v)", "(not %v)", "(%n + %n)", "(%n - %n)", "(%n * %n)", "(%n / 2)", "(%n %% %n)", "(%n ^ 2)", "(-%n)", "(%s .. %s)", "(%s .. %n)", "#%s", "tostring(%v)", "tonumber(%v)", "type(%v)", "string.upper(%s)", "string.lower(%s)", "string.len(%s)", "string.rep(%s, 2)", "string.reverse(%s)", "string.sub(%s, %n, %n)", "string.byte(%s)", "string.char(65, 66)", "string.find(%s, %s)", "string.find(%s, %s, 1, true)", "string.match(%s, '(%l+)')", "string.gsub(%s, 'l', 'L')", "string.format('%s|%q', %s, 'a')", "string.format('%d %5.2f %x', 3, 2.5, 255)", "b.s:upper()", "(%s):len()", "math.floor(%n)", "math.ceil(%n)", "math.max(%n, %n)", "math.min(%n, %n)", "math.abs(%n)", "math.sqrt(4)", "math.fmod(7, 3)", "table.concat(b.l, %s)", "table.concat({1,2,3}, ',')", "select('#', %v, %v)", "select(2, %v, %v)", "unpack({%v, %v})", "next({})", "rawequal(%v, %v)", "rawget(b, 's')", "pcall(function() return %v end)", "({%v, %v})[1]", "(function(x) return x end)(%v)"),
		map[byte]func() string{'v': again, 's': text, 'n': number})
}

func (g *generator) lua() string {
	value := func() string { return g.luaValue(3) }
	body := g.form(g.pick("", "", "local x = %v\n", "for i, v in ipairs(b.l) do if v == %v then break end b.s = b.s .. v end\n", "local sum = 0; for _, v in ipairs(b.nums) do sum = sum + v end; b.sum = sum\n", "if %v then b.s = %v else b.t = %v end\n", "table.sort(b.l)\n", "table.insert(b.l, %v)\n", "table.remove(b.l, 1)\n", "local i = 0; while i < 3 do i = i + 1 end b.i = i\n", "repeat b.n = b.n + 1 until b.n > 5\n", "for i = 3, 1, -1 do b.l[#b.l + 1] = i end\n", "b.q = %v\n", "b.o = setmetatable({}, {__index = function(t, k) return k end}).zzz\n"), map[byte]func() string{'v': value})
	return fmt.Sprintf("local b = event.body\n%s%s", body, g.form(g.pick("return %v", "return %v == %v", "return {v = %v}", "return {v = %v, w = %v}", "return event", "event.x = %v return event"), map[byte]func() string{'v': value}))
}
