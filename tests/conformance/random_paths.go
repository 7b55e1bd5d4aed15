package main

import (
	"fmt"
	"math/rand"
	"strings"

	"github.com/tidwall/gjson"
)

// A generator makes documents and the paths that could mean something in them.
type generator struct{ *rand.Rand }

func newGenerator(seed int64) *generator { return &generator{rand.New(rand.NewSource(seed))} }

func (g *generator) pick(of ...string) string { return of[g.Intn(len(of))] }

var keys = []string{"a", "b", "c", "n", "id", "name", "nets", "a.b", "x-y", "@a", "#", "0", "1", "", "ab", "é", "a*", "!k", "a|b", "\\\"q", "\\u0061", "a:b"}

func (g *generator) key() string {
	if g.Intn(3) > 0 {
		return g.pick(keys[:7]...)
	}
	return g.pick(keys...)
}

func (g *generator) space() string {
	if g.Intn(6) > 0 {
		return ""
	}
	return g.pick(" ", "\n", "\t", "  ", "\r\n")
}

func (g *generator) scalar() string {
	return g.pick("1", "0", "-1", "2", "10", "1.0", "1.5", "1e3", "-0", "0.1", "1e-7", "123456789012345678901", "1E+2", "true", "false", "null",
		`""`, `"a"`, `"b"`, `"ab"`, `"abc"`, `"1"`, `"true"`, `"x\ny"`, `"\u00e9"`, `"é<&>"`, `"\"q\""`, `"\ud83d\ude00"`, `"a.b"`, `"{\"a\":1}"`, `"[1,2]"`, `"A long text that does not fit on a line of eighty characters, says nobody"`)
}

func (g *generator) value(depth int) string {
	s := g.space
	switch n := g.Intn(10); {
	case depth <= 0 || n < 3:
		return g.scalar()
	case n < 6:
		var b strings.Builder
		b.WriteString("[" + s())
		same := g.Intn(2) == 0
		shape := g.object(depth - 1)
		for i, n := 0, g.Intn(5); i < n; i++ {
			if i > 0 {
				b.WriteString(s() + "," + s())
			}
			if same && g.Intn(4) > 0 {
				shape = g.object(depth - 1)
				b.WriteString(shape)
			} else {
				b.WriteString(g.value(depth - 1))
			}
		}
		b.WriteString(s() + "]")
		return b.String()
	default:
		return g.object(depth - 1)
	}
}

func (g *generator) object(depth int) string {
	s := g.space
	var b strings.Builder
	b.WriteString("{" + s())
	for i, n := 0, g.Intn(5); i < n; i++ {
		if i > 0 {
			b.WriteString(s() + "," + s())
		}
		fmt.Fprintf(&b, `"%s"%s:%s%s`, g.key(), s(), s(), g.value(depth))
	}
	b.WriteString(s() + "}")
	return b.String()
}

func (g *generator) document() string {
	d := g.value(4)
	for tries := 0; tries < 3 && len(d) < 6; tries++ {
		d = g.value(4)
	}
	if g.Intn(20) == 0 {
		return g.space() + d + g.space()
	}
	return d
}

func (g *generator) name() string {
	switch g.Intn(12) {
	case 0:
		return g.pick("*", "a*", "?", "?b", "*b", "n*", "**", "a?", "i*d", "\\*", "a\\*", "a\\**")
	case 1:
		return g.pick("a\\.b", "\\@a", "\\#", "a\\|b", "x\\-y", "\\!k", "a\\", "\\a", "a.b", "a:b", "\\:0")
	case 2:
		return g.key()
	default:
		return g.pick("a", "b", "c", "n", "id", "name", "nets")
	}
}

func (g *generator) literal() string {
	return g.pick("1", "0", "2", "1.5", "true", "false", "null", `"a"`, `"b"`, `"ab"`, `"a*"`, `"*b*"`, `"?"`, `"\"q\""`, `""`, "a", "ab", "~true", "~false", "~null", "~*", "~x", "1e3", `"x\ny"`, "-1", `"A"`, "", "é")
}

func (g *generator) query(depth int) string {
	op := g.pick("==", "==", "=", "!=", "<", "<=", ">", ">=", "%", "!%", "", "!", "=~")
	left := g.pick("", g.name(), g.name(), g.name()+"."+g.name())
	if depth > 0 && g.Intn(4) == 0 {
		left = g.path(depth-1, 2)
	}
	s := g.pick("", "", "", " ")
	open, close := "(", ")"
	if g.Intn(8) == 0 {
		open, close = "[", "]"
	}
	if op == "" {
		return "#" + open + s + left + s + close + g.pick("", "#")
	}
	return "#" + open + s + left + s + op + s + g.literal() + close + g.pick("", "#", "#")
}

func (g *generator) modifier() string {
	return g.pick("@reverse", "@ugly", "@pretty", "@this", "@valid", "@keys", "@values", "@flatten", "@join", "@tostr", "@fromstr", "@group",
		"@dig:a", "@dig:id", "@dig:name.a", `@flatten:{"deep":true}`, `@join:{"preserve":true}`, `@pretty:{"sortKeys":true}`,
		`@pretty:{"indent":"\t","prefix":">","width":20}`, `@pretty:{"width":0}`, `@pretty:{"indent":""}`, "@nope", "@nope:1", "@reverse:x", "@this:", `@ugly:"s"`,
		"@dig:#(a==1)", `@dig:[a,b]`, `@flatten:1`, "@dig:@this", "@dig:*")
}

func (g *generator) multi(depth int) string {
	var b strings.Builder
	open := g.pick("[", "{")
	b.WriteString(open)
	for i, n := 0, g.Intn(4); i < n; i++ {
		if i > 0 {
			b.WriteString(",")
		}
		if open == "{" || g.Intn(10) == 0 {
			b.WriteString(g.pick("", "", `"k":`, `k:`, `"a b":`, `"k\"":`, `k.x:`))
		}
		b.WriteString(g.path(depth-1, 2))
	}
	b.WriteString(map[string]string{"[": "]", "{": "}"}[open])
	return b.String()
}

func (g *generator) component(depth int) string {
	switch n := g.Intn(20); {
	case n < 8:
		return g.name()
	case n < 11:
		return g.pick("0", "1", "2", "00", "9", "-1")
	case n < 13:
		return "#"
	case n < 15:
		return g.query(depth)
	case n < 17:
		return g.modifier()
	case n < 18 && depth > 0:
		return g.multi(depth)
	case n < 19:
		return g.pick(`!"x"`, "!5", "!true", "!null", "!{\"a\":1}", "![1,2]", "!nope", "!", "!-1.5", "!\"a\\\"b\"")
	default:
		return g.name()
	}
}

func (g *generator) path(depth, most int) string {
	var b strings.Builder
	if depth == 2 && g.Intn(40) == 0 {
		b.WriteString("..")
	}
	for i, n := 0, 1+g.Intn(most); i < n; i++ {
		if i > 0 {
			b.WriteString(g.pick(".", ".", ".", ".", "|"))
		}
		b.WriteString(g.component(depth))
	}
	if g.Intn(60) == 0 {
		b.WriteString(g.pick(".", "|", "\\", "#", "("))
	}
	return b.String()
}

// guided makes a path that mostly follows what is in the document.
func (g *generator) guided(doc string, most int) string {
	var parts []string
	at := gjson.Parse(doc)
	for i, n := 0, 1+g.Intn(most); i < n; i++ {
		var names []string
		var values []gjson.Result
		at.ForEach(func(key, value gjson.Result) bool {
			name := key.String()
			if at.IsArray() {
				name = fmt.Sprint(len(names))
			}
			names = append(names, name)
			values = append(values, value)
			return true
		})
		if len(names) == 0 || !(at.IsArray() || at.IsObject()) {
			break
		}
		place := g.Intn(len(names))
		at = values[place]
		name := strings.NewReplacer("\\", "\\\\", ".", "\\.", "*", "\\*", "?", "\\?", "|", "\\|", "#", "\\#", "@", "\\@", "!", "\\!").Replace(names[place])
		switch n := g.Intn(12); {
		case n == 0 && len(name) > 0 && !strings.Contains(name, "\\"):
			name = g.pick("*", name[:1]+"*", "*"+name[len(name)-1:])
		case n == 1:
			name = g.component(1)
		case n < 5 && at.IsObject():
			name = g.pick("#", g.query(0), g.query(1))
		}
		parts = append(parts, name)
	}
	if len(parts) == 0 || g.Intn(5) == 0 {
		parts = append(parts, g.component(2))
	}
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteString(g.pick(".", ".", ".", ".", ".", "|"))
		}
		b.WriteString(part)
	}
	return b.String()
}

func (g *generator) getCase() Case {
	c, doc := Case{}, g.document()
	c.set("json", doc)
	if g.Intn(3) > 0 {
		c.set("path", g.guided(doc, 5))
	} else {
		c.set("path", g.path(2, 4))
	}
	return c
}

func (g *generator) setCase() Case {
	var parts []string
	for i, n := 0, 1+g.Intn(4); i < n; i++ {
		switch n := g.Intn(20); {
		case n < 11:
			parts = append(parts, g.pick("a", "b", "c", "n", "id", "name", "nets", "new"))
		case n < 15:
			parts = append(parts, g.pick("0", "1", "2", "3", "-1", "-1", "-2", ":0", ":a", ":-1", "00"))
		case n < 17:
			parts = append(parts, g.name())
		case n < 18:
			parts = append(parts, g.pick("#", "*", g.query(0), "?"))
		default:
			parts = append(parts, g.key())
		}
	}
	value, doc := g.value(1), g.document()
	path := strings.Join(parts, ".")
	if g.Intn(2) == 0 {
		path = g.guided(doc, 4)
		if g.Intn(3) == 0 {
			path += "." + parts[0]
		}
	}
	if g.Intn(15) == 0 {
		doc = g.pick("", " ", "{}", "[]", "5", "null", `"s"`)
	}
	c, op := Case{}, g.pick("raw", "raw", "string", "delete")
	c.set("json", doc)
	c.set("path", path)
	c.set("op", op)
	switch op {
	case "raw":
		c.set("value", value)
	case "string":
		c.set("value", g.pick("x", "", "a\"b", "<b>&", "é", "\u2028", "line\nbreak", "\x01", "\x7f", "back\\slash", "\t", "\b\f"))
	}
	return c
}
