package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"reflect"
)

// compare makes random cases, asks the reference and our program, and prints where they differ.
func compare(dialect string, seed int64, count int, ours string, valuesOnly bool) int {
	g := newGenerator(seed)
	var all []Case
	var asked bytes.Buffer
	for i := 0; i < count; i++ {
		one := g.next(dialect)
		one.set("dialect", dialect)
		asked.Write(append(must1(json.Marshal(one)), '\n'))
		one.fill(dialect)
		all = append(all, one)
	}
	command := exec.Command(ours)
	command.Stdin, command.Stderr = &asked, os.Stderr
	answers, err := command.Output()
	if err != nil {
		fmt.Printf("%s: our program failed: %v\n", dialect, err)
		return 1
	}
	lines := bytes.Split(bytes.TrimSpace(answers), []byte("\n"))
	differing, both := 0, 0
	for i, one := range all {
		answer := Case{}
		if i >= len(lines) || json.Unmarshal(lines[i], &answer) != nil {
			fmt.Printf("%s: no answer to case %d: %s", dialect, i, one.print())
			return differing + 1
		}
		if one["want"] != nil && answer["want"] != nil {
			both++
		}
		if same(dialect, one, answer) || (valuesOnly && (one["want"] == nil || answer["want"] == nil)) {
			continue
		}
		differing++
		fmt.Printf("%s seed %d case %d\n  %s  ours: want=%s error=%s\n", dialect, seed, i, one.print(), answer["want"], answer["error"])
	}
	fmt.Printf("%-10s %5d random cases of seed %d, %d with two values, %d differ\n", dialect, count, seed, both, differing)
	return differing
}

func must1(data []byte, err error) []byte {
	must(err)
	return data
}

func same(dialect string, reference, answer Case) bool {
	if (reference["want"] == nil) != (answer["want"] == nil) {
		return false
	}
	if reference["want"] == nil {
		return true
	}
	var a, b any
	must(json.Unmarshal(reference["want"], &a))
	must(json.Unmarshal(answer["want"], &b))
	if dialect == "sjson" {
		// The texts of errors are each library's own.
		x, y := a.(map[string]any), b.(map[string]any)
		return reflect.DeepEqual(x["json"], y["json"])
	}
	return near(a, b)
}

// near is equality with room for the last digit of a float.
func near(a, b any) bool {
	switch x := a.(type) {
	case float64:
		y, ok := b.(float64)
		return ok && (x == y || math.Abs(x-y) <= math.Abs(x)*1e-15)
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !near(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for key := range x {
			if other, ok := y[key]; !ok || !near(x[key], other) {
				return false
			}
		}
		return true
	}
	return a == b
}
