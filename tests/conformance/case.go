package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// order is how the members of a case are printed; others are dropped.
var order = []string{"id", "json", "path", "op", "value", "mode", "expr", "input", "want", "error", "why"}

// A Case is one line of a case file: what is asked, and after fill what the reference answers.
// gjson and sjson ask with json, path, op and value, the others with mode, expr and input.
type Case map[string]json.RawMessage

func (c Case) text(key string) string {
	var text string
	if raw, ok := c[key]; ok {
		must(json.Unmarshal(raw, &text))
	}
	return text
}

func (c Case) set(key string, value any) {
	raw, err := encode(value)
	must(err)
	c[key] = raw
}

// print writes the case as one line.
func (c Case) print() []byte {
	line := []byte{'{'}
	for _, key := range order {
		if raw, ok := c[key]; ok {
			if len(line) > 1 {
				line = append(line, ',')
			}
			line = append(line, fmt.Sprintf("%q:", key)...)
			line = append(line, raw...)
		}
	}
	return append(line, '}', '\n')
}

// fill asks the reference. A library that panics or takes more than seconds has answered with an error.
func (c Case) fill(dialect string) {
	hadWhy := c["why"] != nil || (dialect != "gotemplate" && dialect != "gjson" && dialect != "sjson")
	delete(c, "want")
	delete(c, "error")
	delete(c, "why")
	value, err := c.ask(dialect)
	var encoded []byte
	if err == nil {
		encoded, err = encode(plain(value))
	}
	if err == nil {
		c["want"] = encoded
		return
	}
	c["error"] = json.RawMessage("true")
	if hadWhy {
		c.set("why", firstLine(err.Error()))
	}
}

func (c Case) ask(dialect string) (any, error) {
	type answer struct {
		value any
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() {
			if caught := recover(); caught != nil {
				done <- answer{nil, fmt.Errorf("panic: %v", caught)}
			}
		}()
		value, err := oracles[dialect](c)
		done <- answer{value, err}
	}()
	select {
	case got := <-done:
		return got.value, got.err
	case <-time.After(10 * time.Second):
		return nil, fmt.Errorf("takes too long")
	}
}

func encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(buffer.Bytes()), err
}

func firstLine(text string) string {
	for i, char := range text {
		if char == '\n' || i > 160 {
			return text[:i]
		}
	}
	return text
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
