// Command oracle renders template cases with Go's text/template and Sprig.
//
// Run it here with `go run . < cases > results`: each line in is {"expr": TEMPLATE, "input": JSON},
// each line out adds "want": TEXT or "error": true and "message": TEXT. The zone is UTC, .Input is the input.
// With `-functions` it prints the names of all functions instead.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
)

type result struct {
	Expr    string          `json:"expr"`
	Input   json.RawMessage `json:"input,omitempty"`
	Want    *string         `json:"want,omitempty"`
	Error   bool            `json:"error,omitempty"`
	Message string          `json:"message,omitempty"`
}

func render(expr string, input json.RawMessage) (string, error) {
	var value any
	if len(input) > 0 {
		if err := json.Unmarshal(input, &value); err != nil {
			return "", err
		}
	}
	parsed, err := template.New("param").Funcs(sprig.TxtFuncMap()).Parse(expr)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, map[string]any{"Input": value})
	return out.String(), err
}

func main() {
	time.Local = time.UTC
	if len(os.Args) > 1 && os.Args[1] == "-functions" {
		var names []string
		for name := range sprig.TxtFuncMap() {
			names = append(names, name)
		}
		sort.Strings(names)
		fmt.Println(strings.Join(names, "\n"))
		return
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		var one result
		if err := json.Unmarshal(in.Bytes(), &one); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		text, err := render(one.Expr, one.Input)
		if err != nil {
			one.Error, one.Message = true, err.Error()
		} else {
			one.Want = &text
		}
		var line bytes.Buffer
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(one); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		out.Write(line.Bytes())
	}
}
