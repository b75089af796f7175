package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// everything has a field of each form that options may take.
type everything struct {
	common    `yaml:",inline"`
	Text      string            `yaml:"text" max:"5"`
	Number    int16             `yaml:"number"`
	Wide      uint64            `yaml:"wide"`
	Ratio     float32           `yaml:"ratio" min:"0" max:"1"`
	On        bool              `yaml:"on"`
	Wait      time.Duration     `yaml:"wait" default:"3s"`
	Signed    Duration          `yaml:"signed" min:"-1h"`
	Room      Size              `yaml:"room" default:"1KiB"`
	Host      netip.Addr        `yaml:"host"`
	Pointer   *inner            `yaml:"pointer"`
	Texts     []string          `yaml:"texts" min:"1" max:"2" enum:"a,b"`
	Inners    []inner           `yaml:"inners"`
	Map       map[string]int    `yaml:"map"`
	Deep      map[string]*inner `yaml:"deep"`
	Any       any               `yaml:"any"`
	Token     Secret            `yaml:"token"`
	File      string            `yaml:"file" path:"new"`
	Files     []string          `yaml:"files" path:"new"`
	Untouched int               `yaml:"-"`
	Lower     int
}

type common struct {
	Shared int `yaml:"shared" default:"7"`
}

type inner struct {
	A int `yaml:"a" default:"5"`
	B int `yaml:"b"`
}

func (e *everything) Validate(report func(path, problem string)) {
	if e.Number == 13 {
		report("number", "brings bad luck")
		report("pointer.a", "has no place of its own")
	}
}

func decodeOptions(t *testing.T, keys string) (*everything, string) {
	t.Helper()
	options := new(everything)
	kinds := Kinds{Driver: func(string) (any, bool) { return options, true }}
	text := "devices:\n  - name: a\n    driver: it\n" + keys
	_, err := Parse(filepath.Join("etc", "f.yaml"), []byte(text), kinds)
	if err != nil {
		return options, err.Error()
	}
	return options, ""
}

func TestEveryFormOfValueIsDecoded(t *testing.T) {
	got, problem := decodeOptions(t, `    shared: 8
    text: "12"
    number: -0x1F
    wide: 18446744073709551615
    ratio: 1
    "on": TRUE
    wait: 1m30s
    signed: -5m
    room: 1.5 KiB
    host: 10.0.0.1
    pointer: {b: 2}
    texts: [b]
    inners: [{b: 1}, {a: 1}]
    map: {x: 1, "y": 0o17}
    deep: {x: {}, y: {a: 2}}
    any: {x: [1, 2.5, true, null, text, {y: 1}]}
    token: hunter2
    file: a/b
    files: [c, /d]
    lower: 0x10
`)
	if !strings.Contains(problem, "number: \"-0x1F\" stands here") {
		t.Errorf("YAML has no signed hexadecimal numbers; got %q", problem)
	}
	want := everything{
		common: common{Shared: 8}, Text: "12", Wide: 1<<64 - 1, Ratio: 1, On: true, Wait: 90 * time.Second,
		Signed: Duration(-5 * time.Minute), Room: 1536, Host: netip.MustParseAddr("10.0.0.1"), Pointer: &inner{5, 2},
		Texts: []string{"b"}, Inners: []inner{{5, 1}, {1, 0}}, Map: map[string]int{"x": 1, "y": 15},
		Deep:  map[string]*inner{"x": {5, 0}, "y": {2, 0}},
		Any:   map[string]any{"x": []any{int64(1), 2.5, true, nil, "text", map[string]any{"y": int64(1)}}},
		Token: "hunter2", File: filepath.Join("etc", "a", "b"), Files: []string{filepath.Join("etc", "c"), "/d"}, Lower: 16,
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
}

func TestMissingKeysHaveTheirDefaults(t *testing.T) {
	got, problem := decodeOptions(t, "")
	want := everything{common: common{Shared: 7}, Wait: 3 * time.Second, Room: 1024}
	if problem != "" || !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v, %q; want %+v", *got, problem, want)
	}
}

func TestValuesThatDoNotFitAreRefused(t *testing.T) {
	for line, want := range map[string]string{
		"text: abcdef":                "6 characters is too much; write at most 5 characters",
		"text: [a]":                   "a list stands here; write text",
		"number: 40000":               "40000 is out of range; write a number from -32768 to 32767",
		"number: 13":                  "number: brings bad luck",
		"wide: -1":                    "-1 is out of range; write a number from 0 to 18446744073709551615",
		"wide: 18446744073709551616":  "out of range",
		"ratio: 1.01":                 "1.01 is out of range; write 0 to 1",
		"ratio: .inf":                 "not a number that can be used here",
		"\"on\": yes":                 "\"yes\" stands here; write true or false",
		"wait: -1s":                   "-1s is negative; write at least 0",
		"wait: 5":                     "\"5\" is not a duration",
		"wait: {s: 5}":                "a section with keys stands here; write a duration such as",
		"signed: -2h":                 "-2h is too little; write at least -1h",
		"room: 4G":                    "\"4G\" is not a size",
		"host: here":                  "host: ParseAddr",
		"host: []":                    "a list stands here; write a single value",
		"pointer: 5":                  "5 stands here; write a section with the keys a, b",
		"texts: []":                   "0 entries is out of range; write 1 to 2 entries",
		"texts: [a, b, a]":            "3 entries is out of range",
		"texts: [a, c]":               "texts[1]: \"c\" is not possible here; did you mean \"a\"; write a or b",
		"inners: [{c: 1}]":            "inners[0].c: unknown key; did you mean \"a\"; known here: a, b",
		"map: [1]":                    "a list stands here; write a section",
		"map: {x: y}":                 "map.x: \"y\" stands here; write a whole number",
		"map: {x: 1, x: 2}":           "map.x: this key stands in line 4 already",
		"deep: {x: {a: b}}":           "deep.x.a: \"b\" stands here",
		"token: {a: b}":               "token: a section with keys stands here",
		"token: true":                 "token: this stands here; write text",
		"untouched: 1":                "untouched: unknown key",
		"common: {}":                  "common: unknown key",
		"number: 13\n    pointer: {}": "f.yaml:5:14: devices[0].pointer.a: has no place",
	} {
		_, problem := decodeOptions(t, "    "+line+"\n")
		if !strings.Contains(problem, want) {
			t.Errorf("%s\n got %s\nwant %s", line, problem, want)
		}
	}
}

func TestSecretsDoNotShowInProblems(t *testing.T) {
	type options struct {
		Token Secret `yaml:"token" min:"20" enum:"x"`
	}
	kinds := Kinds{Driver: func(string) (any, bool) { return new(options), true }}
	for _, value := range []string{"hunter2", "'7'", "12345678901", "{hunter2: hunter2}"} {
		_, err := Parse("f.yaml", []byte("devices: [{name: a, driver: it, token: "+value+"}]"), kinds)
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "1234") {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestWiringMistakesAreBugs(t *testing.T) {
	type repeats struct {
		Name string `yaml:"name"`
	}
	type undecodable struct {
		F func() `yaml:"f"`
	}
	type twice struct {
		A int `yaml:"a"`
		B int `yaml:"a"`
	}
	type badBound struct {
		A Duration `yaml:"a" min:"5"`
	}
	type badDefault struct {
		A int `yaml:"a" default:"x"`
	}
	for _, options := range []any{new(repeats), new(undecodable), new(twice), new(badDefault), new(badBound), repeats{}, nil, 7, (*repeats)(nil)} {
		func() {
			defer func() {
				if r := recover(); !strings.HasPrefix(fmt.Sprint(r), "bug: ") {
					t.Errorf("%T: got %v", options, r)
				}
			}()
			kinds := Kinds{Driver: func(string) (any, bool) { return options, true }}
			Parse("f.yaml", []byte("devices: [{name: a, driver: it}]"), kinds)
			t.Errorf("%T was taken", options)
		}()
	}
}

func TestNotYetAvailable(t *testing.T) {
	for text, want := range map[string]string{
		"uplinks: [{forward: [{qos: 2}]}]": "uplinks[0].forward[0].qos: ",
	} {
		got := problems(t, text)
		found := false
		for line := range strings.Lines(got) {
			found = found || strings.Contains(line, want) && strings.Contains(line, "comes with a later version")
		}
		if !found {
			t.Errorf("%s\ngot %s", text, got)
		}
	}
	if got := problems(t, "mqtt: {users: [], store_qos0: all, tls: }\nrocketmq:\nuplinks: [{name: a, driver: mqtt, address: b, forward: [{from: a, to: b, order: strict}]}]"); got != "" {
		t.Errorf("what is empty or usual is not refused; got %s", got)
	}
}

func TestLogLimitOn32Bit(t *testing.T) {
	limit := func(text string) (Size, string) {
		root, _ := parseYAML([]byte(text))
		d := decoder{root: root, blamed: map[string]bool{}, schemas: map[reflect.Type][]field{}}
		s := Store{Limit: 8 << 30}
		d.checkLimit(&s, 32)
		return s.Limit, d.problems.Error()
	}
	if got, problem := limit("store: {dir: a}"); got != maxLimit32 || problem != "" {
		t.Errorf("the default became %v, %s", got, problem)
	}
	if _, problem := limit("store: {limit: 8GiB}"); !strings.Contains(problem, "write at most 768MiB") {
		t.Errorf("got %q", problem)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(readFile(f, file))
	}
	f.Add([]byte("a: {b: [c:d, :e, f: g]}"))
	f.Add([]byte("a: &a {b: *a}\n<<: [*a, {c: d}]\n? [x]\n: - |\n  y\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		kinds := testKinds
		kinds.Driver = func(kind string) (any, bool) {
			if kind == "any" {
				return new(everything), true
			}
			return testKinds.Driver(kind)
		}
		c, err := Parse("fuzz.yaml", in, kinds)
		all, ok := err.(Problems)
		if err == nil {
			all, ok = c.Warnings, true
		}
		if !ok {
			t.Fatalf("%q: %v is no Problems", in, err)
		}
		lines := 1 + strings.Count(string(in), "\n")
		for _, p := range all {
			if p.Line < 1 || p.Line > lines || p.Column < 1 || p.Message == "" || strings.Contains(p.String(), "\n") {
				t.Errorf("%q: %+v has no place among %d lines", in, p, lines)
			}
		}
		if err != nil && !all.serious() {
			t.Errorf("%q: refused for %v", in, all)
		}
	})
}

func TestAnAddressOfAnyTypeMayNameABus(t *testing.T) {
	type options struct {
		Address busAddress `yaml:"address"`
	}
	kinds := Kinds{Driver: func(string) (any, bool) { return new(options), true }}
	text := "buses: [{name: one, serial: /dev/null}]\ndevices: [{name: a, driver: it, address: 'bus://%s'}]"
	if _, err := Parse("f.yaml", fmt.Appendf(nil, text, "one"), kinds); err != nil {
		t.Error(err)
	}
	if _, err := Parse("f.yaml", fmt.Appendf(nil, text, "two"), kinds); err == nil || err.Error() != `f.yaml:2:42: devices[0].address: no bus is called "two"; there is one` {
		t.Errorf("got %v", err)
	}
}

type busAddress struct{ name string }

func (b *busAddress) UnmarshalText(text []byte) error {
	b.name = strings.TrimPrefix(string(text), "bus://")
	return nil
}
