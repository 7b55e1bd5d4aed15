package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"text/template"
	"time"

	"github.com/Knetic/govaluate"
	"github.com/Masterminds/sprig/v3"
	"github.com/expr-lang/expr"
	"github.com/itchyny/gojq"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	lua "github.com/yuin/gopher-lua"
)

// oracles are the reference implementations, called as Argo Events calls them.
var oracles = map[string]func(Case) (any, error){
	"gotemplate": runTemplate,
	"gjson":      runGet,
	"sjson":      runSet,
	"govaluate":  runGovaluate,
	"expr":       runExpr,
	"lua":        runLua,
	"jq":         runJq,
}

func (c Case) input() any {
	var input any
	if raw, ok := c["input"]; ok {
		must(json.Unmarshal(raw, &input))
	}
	return input
}

func (c Case) object() map[string]any {
	if object, ok := c.input().(map[string]any); ok {
		return object
	}
	return map[string]any{}
}

func runTemplate(c Case) (any, error) {
	parsed, err := template.New("param").Funcs(sprig.TxtFuncMap()).Parse(c.text("expr"))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, map[string]any{"Input": c.input()})
	return out.String(), err
}

type found struct {
	Exists bool   `json:"exists"`
	Type   string `json:"type,omitempty"`
	Raw    string `json:"raw,omitempty"`
	Str    string `json:"str,omitempty"`
}

func runGet(c Case) (any, error) {
	r := gjson.Get(c.text("json"), c.text("path"))
	if !r.Exists() {
		return found{}, nil
	}
	return found{true, r.Type.String(), r.Raw, r.String()}, nil
}

type written struct {
	JSON  *string `json:"json,omitempty"`
	Error string  `json:"error,omitempty"`
}

func runSet(c Case) (any, error) {
	var out string
	var err error
	switch c.text("op") {
	case "raw":
		out, err = sjson.SetRaw(c.text("json"), c.text("path"), c.text("value"))
	case "string":
		out, err = sjson.Set(c.text("json"), c.text("path"), c.text("value"))
	case "delete":
		out, err = sjson.Delete(c.text("json"), c.text("path"))
	default:
		err = errors.New("unknown op " + c.text("op"))
	}
	if err != nil {
		return written{Error: err.Error()}, nil
	}
	return written{JSON: &out}, nil
}

func runGovaluate(c Case) (any, error) {
	expression, err := govaluate.NewEvaluableExpression(c.text("expr"))
	if err != nil {
		return nil, err
	}
	value, err := expression.Evaluate(c.object())
	if float, ok := value.(float64); ok && (math.IsNaN(float) || math.IsInf(float, 0)) {
		return nil, errors.New("not finite")
	}
	return value, err
}

func runExpr(c Case) (any, error) {
	names := c.object()
	// Not into what `$env` alone gives: functions are no JSON.
	if strings.Contains(c.text("expr"), "sprig") {
		functions := sprig.GenericFuncMap()
		delete(functions, "env")
		delete(functions, "expandenv")
		names["sprig"] = functions
	}
	return expr.Eval(c.text("expr"), names)
}

func runJq(c Case) (any, error) {
	query, err := gojq.Parse(c.text("expr"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	iterator := query.RunWithContext(ctx, c.input())
	outputs := []any{}
	for {
		value, ok := iterator.Next()
		if !ok {
			break
		}
		if err, ok := value.(error); ok {
			return nil, err
		}
		if c.text("mode") != "all" {
			return value, nil
		}
		outputs = append(outputs, value)
	}
	if c.text("mode") != "all" {
		return nil, errors.New("no output")
	}
	return outputs, nil
}

func runLua(c Case) (any, error) {
	object, ok := c.input().(map[string]any)
	if !ok && c.input() != nil {
		return nil, errors.New("the event is not an object")
	}
	state := lua.NewState()
	defer state.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("event", toTable(object))
	if err := state.DoString(c.text("expr")); err != nil {
		return nil, err
	}
	result := state.Get(-1)
	if c.text("mode") == "filter" {
		return result == lua.LTrue, nil
	}
	if _, ok := result.(*lua.LTable); !ok {
		return nil, errors.New("not a table")
	}
	return toGo(result, 0)
}

func toTable(object map[string]any) *lua.LTable {
	table := &lua.LTable{}
	for key, value := range object {
		switch typed := value.(type) {
		case []any:
			list := &lua.LTable{}
			for _, item := range typed {
				if converted := toLua(item); converted != nil {
					list.Append(converted)
				}
			}
			table.RawSetString(key, list)
		default:
			if converted := toLua(value); converted != nil {
				table.RawSetString(key, converted)
			}
		}
	}
	return table
}

func toLua(value any) lua.LValue {
	switch typed := value.(type) {
	case float64:
		return lua.LNumber(typed)
	case string:
		return lua.LString(typed)
	case bool:
		return lua.LBool(typed)
	case map[string]any:
		return toTable(typed)
	}
	return nil
}

func toGo(value lua.LValue, depth int) (any, error) {
	if depth > 200 {
		// A table that contains itself ends the process in Go.
		return nil, errors.New("too deep")
	}
	switch typed := value.(type) {
	case *lua.LNilType:
		return nil, nil
	case lua.LBool:
		return bool(typed), nil
	case lua.LString:
		return string(typed), nil
	case lua.LNumber:
		float := float64(typed)
		if math.IsNaN(float) || math.IsInf(float, 0) {
			return nil, errors.New("not finite")
		}
		return float, nil
	case *lua.LTable:
		return tableToGo(typed, depth+1)
	}
	return nil, fmt.Errorf("a %s has no JSON", value.Type())
}

func tableToGo(table *lua.LTable, depth int) (any, error) {
	isArray := false
	if meta, ok := table.Metatable.(*lua.LTable); ok {
		isArray = meta.RawGetString("__is_array") == lua.LTrue
	}
	last := table.MaxN()
	if last > 0 || isArray {
		items := []any{}
		for i := 1; i <= last; i++ {
			item, err := toGo(table.RawGetInt(i), depth)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		return items, nil
	}
	object := map[string]any{}
	var failed error
	table.ForEach(func(key, item lua.LValue) {
		converted, err := toGo(item, depth)
		if err != nil {
			failed = err
		}
		object[key.String()] = converted
	})
	return object, failed
}
