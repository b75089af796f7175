package config

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEveryKeyIsDocumented(t *testing.T) {
	var undocumented func(path string, fields []Field)
	keys := 0
	undocumented = func(path string, fields []Field) {
		for _, f := range fields {
			keys++
			if at := join(path, f.Name); f.Doc == "" || !strings.HasSuffix(f.Doc, ".") {
				t.Errorf("%s needs a sentence, has %q", at, f.Doc)
			}
			undocumented(join(path, f.Name), f.Fields)
		}
	}
	undocumented("", Describe(Config{}))
	if keys < 60 {
		t.Errorf("only %d keys were looked at", keys)
	}
}

func TestDescribe(t *testing.T) {
	got := Describe(&everything{Number: 3, Token: "hunter2", Wait: time.Minute, Texts: []string{"a"}})
	byName := map[string]Field{}
	for _, f := range got {
		byName[f.Name] = f
	}
	inners := []Field{{Name: "a", Type: "integer", Default: "5"}, {Name: "b", Type: "integer"}}
	for _, want := range []Field{
		{Name: "shared", Type: "integer", Default: "7"},
		{Name: "text", Type: "text", Max: "5"},
		{Name: "number", Type: "integer", Default: "3"},
		{Name: "ratio", Type: "number", Min: "0", Max: "1"},
		{Name: "on", Type: "boolean"},
		{Name: "wait", Type: "duration", Default: "1m"},
		{Name: "room", Type: "size", Default: "1KiB"},
		{Name: "host", Type: "text"},
		{Name: "pointer", Type: "section", Fields: inners},
		{Name: "texts", Type: "text", List: true, Min: "1", Max: "2", Enum: []string{"a", "b"}},
		{Name: "inners", Type: "section", List: true, Fields: inners},
		{Name: "map", Type: "map"},
		{Name: "deep", Type: "map", Fields: inners},
		{Name: "any", Type: "value"},
		{Name: "token", Type: "secret"},
		{Name: "file", Type: "file"},
		{Name: "lower", Type: "integer"},
	} {
		if have := byName[want.Name]; !reflect.DeepEqual(have, want) {
			t.Errorf("got  %+v\nwant %+v", have, want)
		}
	}
	if len(got) != 20 || byName["common"].Name != "" || byName["Options"].Name != "" {
		t.Errorf("got %d keys: %+v", len(got), got)
	}
}

func TestReferenceNamesEveryKey(t *testing.T) {
	var b bytes.Buffer
	if err := WriteReference(&b, testKinds); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"## `store`\n", "| `retention.age` | duration | `720h` |", "| `when_full` | text: drop-oldest or refuse | `drop-oldest` |",
		"| `users[].name` | text | required |", "### The driver `modbus`", "| `points[].type` |", "| `unit` | integer, 1 to 247 | `1` | Modbus unit id |",
		"### The uplink driver `mqtt`", "| `tls.server_name` |", "| `interval` | duration, at least 10ms | `1s` |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the reference lacks %q", want)
		}
	}
}
