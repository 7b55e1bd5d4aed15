// Fills in what the reference libraries say: reads case lines, writes them with "want" or "error".
//
//	go run . govaluate < cases.jsonl > filled.jsonl
//
// A case is {"expr":…,"input":…}; "mode" chooses filter or transform for lua. Keys that are not
// "want" or "error" are kept.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"time"

	"github.com/Knetic/govaluate"
	"github.com/expr-lang/expr"
	"github.com/itchyny/gojq"
	lua "github.com/yuin/gopher-lua"
)

type oracle func(text string, input any, mode string) (any, error)

func main() {
	oracles := map[string]oracle{"govaluate": runGovaluate, "expr": runExpr, "lua": runLua, "jq": runJq}
	run, ok := oracles[os.Args[len(os.Args)-1]]
	if !ok {
		fmt.Fprintln(os.Stderr, "usage: exprs govaluate|expr|lua|jq")
		os.Exit(2)
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		line := map[string]json.RawMessage{}
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			panic(fmt.Sprintf("%v: %s", err, in.Bytes()))
		}
		var text, mode string
		var input any
		must(json.Unmarshal(line["expr"], &text))
		if raw, ok := line["input"]; ok {
			must(json.Unmarshal(raw, &input))
		}
		if raw, ok := line["mode"]; ok {
			must(json.Unmarshal(raw, &mode))
		}
		delete(line, "want")
		delete(line, "error")
		delete(line, "why")
		value, err := guarded(run, text, input, mode)
		var encoded []byte
		if err == nil {
			encoded, err = encode(plain(value))
		}
		if err != nil {
			line["error"] = json.RawMessage("true")
			line["why"], _ = encode(firstLine(err.Error()))
		} else {
			line["want"] = encoded
		}
		printed := []byte{'{'}
		for _, key := range []string{"id", "mode", "expr", "input", "want", "error", "why", "differs", "ours"} {
			if raw, ok := line[key]; ok {
				if len(printed) > 1 {
					printed = append(printed, ',')
				}
				printed = append(printed, fmt.Sprintf("%q:", key)...)
				printed = append(printed, raw...)
			}
		}
		out.Write(append(printed, '}', '\n'))
	}
	must(in.Err())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func firstLine(text string) string {
	for i, char := range text {
		if char == '\n' || i > 160 {
			return text[:i]
		}
	}
	return text
}

func encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(buffer.Bytes()), err
}

// guarded turns a panic of a library into an error.
func guarded(run oracle, text string, input any, mode string) (value any, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("panic: %v", caught)
		}
	}()
	return run(text, input, mode)
}

// plain makes a value of any library one that JSON can hold.
func plain(value any) any {
	switch typed := value.(type) {
	case nil:
		return nil
	case time.Time:
		return typed.Format(time.RFC3339Nano)
	case time.Duration:
		return typed.String()
	case *time.Location:
		return typed.String()
	case float64:
		return typed
	case []byte:
		return string(typed)
	}
	reflected := reflect.ValueOf(value)
	switch reflected.Kind() {
	case reflect.Slice, reflect.Array:
		items := []any{}
		for i := 0; i < reflected.Len(); i++ {
			items = append(items, plain(reflected.Index(i).Interface()))
		}
		return items
	case reflect.Map:
		object := map[string]any{}
		for _, key := range reflected.MapKeys() {
			object[fmt.Sprint(key.Interface())] = plain(reflected.MapIndex(key).Interface())
		}
		return object
	case reflect.Func:
		return errors.New("function")
	}
	return value
}

func runGovaluate(text string, input any, _ string) (any, error) {
	expression, err := govaluate.NewEvaluableExpression(text)
	if err != nil {
		return nil, err
	}
	variables, _ := input.(map[string]any)
	if variables == nil {
		variables = map[string]any{}
	}
	value, err := expression.Evaluate(variables)
	if float, ok := value.(float64); ok && (math.IsNaN(float) || math.IsInf(float, 0)) {
		return nil, errors.New("not finite")
	}
	return value, err
}

func runExpr(text string, input any, _ string) (any, error) {
	env, _ := input.(map[string]any)
	if env == nil {
		env = map[string]any{}
	}
	return expr.Eval(text, env)
}

func runJq(text string, input any, mode string) (any, error) {
	query, err := gojq.Parse(text)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	iterator := query.RunWithContext(ctx, input)
	outputs := []any{}
	for {
		value, ok := iterator.Next()
		if !ok {
			break
		}
		if err, ok := value.(error); ok {
			if mode == "all" {
				return nil, err
			}
			return nil, err
		}
		if mode != "all" {
			return value, nil
		}
		outputs = append(outputs, value)
	}
	if mode != "all" {
		return nil, errors.New("no output")
	}
	return outputs, nil
}

func runLua(text string, input any, mode string) (any, error) {
	object, ok := input.(map[string]any)
	if !ok && input != nil {
		return nil, errors.New("the event is not an object")
	}
	state := lua.NewState()
	defer state.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("event", toTable(object))
	if err := state.DoString(text); err != nil {
		return nil, err
	}
	result := state.Get(-1)
	if mode == "filter" {
		return result == lua.LTrue, nil
	}
	if _, ok := result.(*lua.LTable); !ok {
		return nil, errors.New("not a table")
	}
	return toGo(result)
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

func toGo(value lua.LValue) (any, error) {
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
		isArray := false
		if meta, ok := typed.Metatable.(*lua.LTable); ok {
			isArray = meta.RawGetString("__is_array") == lua.LTrue
		}
		last := typed.MaxN()
		if last > 0 || isArray {
			items := []any{}
			for i := 1; i <= last; i++ {
				item, err := toGo(typed.RawGetInt(i))
				if err != nil {
					return nil, err
				}
				items = append(items, item)
			}
			return items, nil
		}
		object := map[string]any{}
		var failed error
		typed.ForEach(func(key, item lua.LValue) {
			converted, err := toGo(item)
			if err != nil {
				failed = err
			}
			object[key.String()] = converted
		})
		return object, failed
	}
	return nil, fmt.Errorf("a %s has no JSON", value.Type())
}
