// Conformance says what the reference implementations of the dialects answer.
//
//	go run . check                                  every committed expectation is what the references say
//	go run . update                                 writes them anew
//	go run . fill DIALECT < CASES > FILLED          adds expectations to new cases
//	go run . random -dialect X -seed N -count N     compares random cases with our answers; fails above 2 %
//	go run . seeds -out DIR                         writes the cases as seeds for fuzzing
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

func main() {
	time.Local = time.UTC
	if len(os.Args) < 2 {
		usage()
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	cases := flags.String("cases", "../../lang/tests/cases", "the folder of the case files")
	dialect := flags.String("dialect", "", "one dialect, or all")
	seed := flags.Int64("seed", time.Now().Unix(), "where the random cases start")
	count := flags.Int("count", 2000, "how many random cases")
	ours := flags.String("ours", "../../target/debug/examples/conformance", "our program: cases in, answers out")
	values := flags.Bool("values", false, "only differences between two values, not between a value and an error")
	out := flags.String("out", "", "the folder of the seeds")
	if os.Args[1] == "fill" {
		if len(os.Args) != 3 || oracles[os.Args[2]] == nil {
			usage()
		}
		for _, one := range read(os.Stdin) {
			one.fill(os.Args[2])
			_, err := os.Stdout.Write(one.print())
			must(err)
		}
		return
	}
	must(flags.Parse(os.Args[2:]))
	dialects := []string{*dialect}
	if *dialect == "" {
		dialects = dialects[:0]
		for name := range oracles {
			dialects = append(dialects, name)
		}
		sort.Strings(dialects)
	}
	differences := 0
	for _, name := range dialects {
		switch path := filepath.Join(*cases, name+".jsonl"); os.Args[1] {
		case "check":
			differences += check(path, name)
		case "update":
			update(path, name)
		case "random":
			// Random cases also meet what differs on purpose and defects of the references: they are shown, and few.
			if found := compare(name, *seed, *count, *ours, *values); found*50 > *count {
				differences += found
			}
		case "seeds":
			seeds(path, name, *out)
		default:
			usage()
		}
	}
	if differences > 0 {
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: conformance check|update|random|seeds [FLAGS], or conformance fill DIALECT; see main.go")
	os.Exit(2)
}

func read(from io.Reader) []Case {
	in := bufio.NewScanner(from)
	in.Buffer(nil, 64<<20)
	var all []Case
	for in.Scan() {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		one := Case{}
		if err := json.Unmarshal(in.Bytes(), &one); err != nil {
			panic(fmt.Sprintf("%v: %s", err, in.Bytes()))
		}
		all = append(all, one)
	}
	must(in.Err())
	return all
}

func load(path string) []Case {
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	return read(file)
}

// check prints each case whose expectation is not what the reference says.
func check(path, dialect string) int {
	all, wrong := load(path), 0
	for i, one := range all {
		was, failed := one["want"], one["error"] != nil
		one.fill(dialect)
		// Go's maps have no order: what is random there is right when it can happen.
		for tries := 0; tries < 60 && !agrees(was, failed, one); tries++ {
			one.fill(dialect)
		}
		if !agrees(was, failed, one) {
			wrong++
			fmt.Printf("%s:%d\n  committed %s error=%v\n  now       %s", path, i+1, was, failed, one.print())
		}
	}
	fmt.Printf("%-10s %5d cases, %d not what the reference says\n", dialect, len(all), wrong)
	return wrong
}

func agrees(want json.RawMessage, failed bool, one Case) bool {
	if failed || want == nil {
		return failed == (one["error"] != nil)
	}
	var a, b any
	must(json.Unmarshal(want, &a))
	return one["want"] != nil && json.Unmarshal(one["want"], &b) == nil && near(a, b)
}

func update(path, dialect string) {
	var out bytes.Buffer
	for _, one := range load(path) {
		one.fill(dialect)
		out.Write(one.print())
	}
	must(os.WriteFile(path, out.Bytes(), 0o644))
}

// seeds writes program, zero byte, input for each case that is not long.
func seeds(path, dialect, out string) {
	folder := filepath.Join(out, dialect)
	must(os.MkdirAll(folder, 0o755))
	for _, one := range load(path) {
		program, document := one.text("expr"), string(one["input"])
		if one["path"] != nil {
			program, document = one.text("path"), one.text("json")
		}
		data := []byte(program + "\x00" + document)
		if len(data) > 1000 || strings.ContainsRune(program, 0) {
			continue
		}
		name := fmt.Sprintf("%x", sha256.Sum256(data))[:16]
		must(os.WriteFile(filepath.Join(folder, name), data, 0o644))
	}
}
