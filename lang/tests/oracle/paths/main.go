// Fills path cases with what gjson and sjson answer.
//
//	go run . gjson < cases > filled
//	go run . sjson < cases > filled
//	go run . gjson-random SEED COUNT > filled
//	go run . sjson-random SEED COUNT > filled
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// A Case is one line. Ours, Differs and Refused survive a refill: our answer where it is another, and why;
// and why compiling refuses a path that selects something.
type Case struct {
	JSON    string  `json:"json"`
	Path    string  `json:"path"`
	Op      string  `json:"op,omitempty"`
	Value   *string `json:"value,omitempty"`
	Want    any     `json:"want,omitempty"`
	Ours    any     `json:"ours,omitempty"`
	Differs string  `json:"differs,omitempty"`
	Refused string  `json:"refused,omitempty"`
}

type found struct {
	Exists bool   `json:"exists"`
	Type   string `json:"type,omitempty"`
	Raw    string `json:"raw,omitempty"`
	Str    string `json:"str,omitempty"`
}

type written struct {
	JSON  *string `json:"json,omitempty"`
	Error string  `json:"error,omitempty"`
}

func fillGet(c *Case) {
	defer func() {
		if p := recover(); p != nil {
			c.Want = found{Type: fmt.Sprint("panic: ", p)}
		}
	}()
	r := gjson.Get(c.JSON, c.Path)
	if !r.Exists() {
		c.Want = found{}
		return
	}
	c.Want = found{true, r.Type.String(), r.Raw, r.String()}
}

func fillSet(c *Case) {
	defer func() {
		if p := recover(); p != nil {
			c.Want = written{Error: fmt.Sprint("panic: ", p)}
		}
	}()
	var out string
	var err error
	value := ""
	if c.Value != nil {
		value = *c.Value
	}
	switch c.Op {
	case "raw":
		out, err = sjson.SetRaw(c.JSON, c.Path, value)
	case "string":
		out, err = sjson.Set(c.JSON, c.Path, value)
	case "delete":
		out, err = sjson.Delete(c.JSON, c.Path)
	default:
		panic("unknown op " + c.Op)
	}
	if err != nil {
		c.Want = written{Error: err.Error()}
		return
	}
	c.Want = written{JSON: &out}
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	emit := func(c Case) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(c); err != nil {
			panic(err)
		}
		out.Write(b.Bytes())
	}
	mode := os.Args[1]
	if len(os.Args) == 4 {
		seed, _ := strconv.ParseInt(os.Args[2], 10, 64)
		count, _ := strconv.Atoi(os.Args[3])
		g := newGenerator(seed)
		for i := 0; i < count; i++ {
			if mode == "gjson-random" {
				c := g.getCase()
				fillGet(&c)
				emit(c)
			} else {
				c := g.setCase()
				fillSet(&c)
				emit(c)
			}
		}
		return
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		var c Case
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			panic(err.Error() + ": " + in.Text())
		}
		if mode == "gjson" {
			fillGet(&c)
		} else {
			fillSet(&c)
		}
		emit(c)
	}
}
