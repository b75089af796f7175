package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var testSecrets = Secrets{"secret_key": true, "password": true}

func edited(t *testing.T, text string, edits ...Edit) (string, error) {
	t.Helper()
	d, err := ReadDocument("sluice.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Edit(edits, testSecrets); err != nil {
		return "", err
	}
	out, err := d.Text()
	return string(out), err
}

// set reads an edit as people say it: devices.press.interval = "500ms"; without = it removes.
func set(line string) Edit {
	path, value, _ := strings.Cut(line, " = ")
	e := Edit{Path: strings.Split(path, ".")}
	if value != "" {
		e.Value = json.RawMessage(value)
	}
	return e
}

const hall = `gateway: {name: line-3}
# what is polled
devices:                       # in the order of the hall
  - name: press                # the old one
    driver: modbus
    address: tcp://10.0.0.7:502
    points:                    # from the manual, page 7
      - {name: counter, address: "holding:0"}   # shots
      # the label is long
      - name: label
        address: "holding:16"
        type: string
        length: 16
      - {name: state, address: "holding:26", enum: {0: stopped, 1: running}, precision: 2} # of {the} drive
    interval: 1s               # behind the points

  # the meter at the door
  - name: meter
    driver: modbus
    points: [{name: power, address: "holding:1", bits: {3: "a, b"}}]

# what goes up
uplinks: []
`

func TestAnEditChangesNothingElse(t *testing.T) {
	for _, c := range []struct {
		edits     []string
		old, want string
	}{
		{[]string{`devices.press.interval = "500ms"`}, "interval: 1s  ", "interval: 500ms  "},
		{[]string{`gateway.name = "line 4"`}, "{name: line-3}", "{name: line 4}"},
		{[]string{`gateway.name = "line: 4"`}, "{name: line-3}", `{name: "line: 4"}`},
		{[]string{`devices.press.address = "tcp://10.0.0.8:502"`}, "10.0.0.7", "10.0.0.8"},
		{[]string{`devices.press.name = "press-2"`, `devices.press-2.interval = "2s"`}, "name: press   ", "name: press-2   "},
		{[]string{`devices.press.points.counter.address = "holding:5"`}, `"holding:0"`, `"holding:5"`},
		{[]string{`devices.press.points.counter.unit = "pcs"`}, `"holding:0"}`, `"holding:0", unit: pcs}`},
		{[]string{`devices.press.points.label.length = 12`}, "length: 16", "length: 12"},
		{[]string{`devices.press.points.label.scale = 0.1`}, "length: 16\n", "length: 16\n        scale: 0.1\n"},
		{[]string{`devices.press.points.label.type`}, "        type: string\n", ""},
		{[]string{`devices.press.points.label.name`}, "- name: label\n        address", "- address"},
		{[]string{`devices.press.points.state.enum.0 = "off"`}, "{0: stopped", `{0: "off"`},
		{[]string{`devices.press.points.state.enum.1`}, ", 1: running", ""},
		{[]string{`devices.press.points.state.enum`}, "enum: {0: stopped, 1: running}, ", ""},
		{[]string{`devices.press.points.counter`}, "      - {name: counter, address: \"holding:0\"}   # shots\n", ""},
		{[]string{`devices.press.points.new = {"name":"new","address":"input:3","unit":"°C"}`}, "# of {the} drive\n", "# of {the} drive\n      - {name: new, address: \"input:3\", unit: \"°C\"}\n"},
		{[]string{`devices.meter.points.new = {"name":"new","address":"x"}`}, `"a, b"}}]`, `"a, b"}}, {name: new, address: x}]`},
		{[]string{`devices.meter.points.power.bits.3 = "c"`}, `"a, b"`, `"c"`},
		{[]string{`devices.meter.points`}, "    points: [{name: power, address: \"holding:1\", bits: {3: \"a, b\"}}]\n", ""},
		{[]string{`devices.meter.points = []`}, "[{name: power, address: \"holding:1\", bits: {3: \"a, b\"}}]", "[]"},
		{[]string{`devices.meter.interval = "5s"`}, "3: \"a, b\"}}]\n", "3: \"a, b\"}}]\n    interval: 5s\n"},
		{[]string{`uplinks.cloud = {"name":"cloud","driver":"mqtt","forward":[{"from":"readings/#"}]}`}, "uplinks: []\n",
			"uplinks:\n  - name: cloud\n    driver: mqtt\n    forward:\n      - {from: \"readings/#\"}\n"},
		{[]string{`uplinks`}, "uplinks: []\n", ""},
		{[]string{`mqtt.listen = ["127.0.0.1:1883"]`}, "uplinks: []\n", "uplinks: []\nmqtt:\n  listen: [\"127.0.0.1:1883\"]\n"},
		{[]string{`web = {"listen":"0.0.0.0:80"}`}, "uplinks: []\n", "uplinks: []\nweb:\n  listen: 0.0.0.0:80\n"},
		{[]string{`gateway`}, "gateway: {name: line-3}\n", ""},
		{[]string{`gateway.name`}, "{name: line-3}", "{}"},
		{[]string{`devices.pump = {"name":"pump","driver":"modbus","points":[{"name":"a","address":"h:1"}]}`}, "3: \"a, b\"}}]\n",
			"3: \"a, b\"}}]\n  - name: pump\n    driver: modbus\n    points:\n      - {name: a, address: \"h:1\"}\n"},
	} {
		var edits []Edit
		for _, e := range c.edits {
			edits = append(edits, set(e))
		}
		want := strings.Replace(hall, c.old, c.want, 1)
		if len(c.edits) > 1 {
			want = strings.Replace(want, "interval: 1s", "interval: 2s", 1)
		}
		for _, ends := range []string{"\n", "\r\n"} {
			got, err := edited(t, strings.ReplaceAll(hall, "\n", ends), edits...)
			if err != nil || got != strings.ReplaceAll(want, "\n", ends) {
				t.Errorf("%q gives %v\n%s", c.edits, err, got)
			}
		}
	}
}

func TestAWholeListIsHeldAgainstTheOldOne(t *testing.T) {
	got, err := edited(t, hall, set(`devices.press.points = [
		{"name":"state","address":"holding:27","enum":{"0":"stopped","1":"running"},"precision":2},
		{"name":"label","address":"holding:16","type":"string","length":16},
		{"name":"shots","address":"holding:0"},
		{"name":"new","address":"holding:1"}]`))
	want := `    points:                    # from the manual, page 7
      - {name: state, address: "holding:27", enum: {0: stopped, 1: running}, precision: 2} # of {the} drive
      # the label is long
      - name: label
        address: "holding:16"
        type: string
        length: 16
      - {name: shots, address: "holding:0"}
      - {name: new, address: "holding:1"}
    interval: 1s               # behind the points
`
	if err != nil || !strings.Contains(got, want) {
		t.Errorf("got %v\n%s", err, got)
	}
}

func TestAnItemThatMovesTakesItsRemarksAlong(t *testing.T) {
	got, err := edited(t, hall, set(`devices.press.points = [
		{"name":"counter","address":"holding:0"},
		{"name":"state","address":"holding:26","enum":{"0":"stopped","1":"running"},"precision":2},
		{"name":"label","address":"holding:17","type":"string","length":16}]`))
	i, j, k := strings.Index(got, "# of {the} drive"), strings.Index(got, "# the label is long"), strings.Index(got, `"holding:17"`)
	if err != nil || i < 0 || j < i || k < j || len(got) != len(hall) {
		t.Errorf("got %v\n%s", err, got)
	}
}

func TestSecretsStayUnlessTheyAreWritten(t *testing.T) {
	const text = "rocketmq:\n  access:\n    - {access_key: a, secret_key: HUSH}\ndevices:\n  - {name: d, password: 'WORD'} # p\n"
	d, err := ReadDocument("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := d.JSON(testSecrets)
	if err != nil || string(shown) != `{"rocketmq":{"access":[{"access_key":"a","secret_key":"***"}]},"devices":[{"name":"d","password":"***"}]}` {
		t.Errorf("shown is %s, %v", shown, err)
	}
	got, err := edited(t, text, set(`devices.d = {"name":"d2","password":"***"}`), set(`rocketmq.access.0.secret_key = "NEW"`))
	if want := strings.NewReplacer("name: d,", "name: d2,", "HUSH", "NEW").Replace(text); err != nil || got != want {
		t.Errorf("got %v\n%s", err, got)
	}
	if _, err := edited(t, text, set(`devices.e = {"name":"e","password":"***"}`)); err == nil || !strings.Contains(err.Error(), "write the secret") {
		t.Errorf("a secret that is nowhere gives %v", err)
	}
	d.Hide(testSecrets, func(string) string { return "***" })
	hidden, err := d.Text()
	if want := strings.NewReplacer("HUSH", `"***"`, "'WORD'", `"***"`).Replace(text); err != nil || string(hidden) != want {
		t.Errorf("hidden is %v\n%s", err, hidden)
	}
}

func TestWhatCannotBeEditedIsRefusedInWords(t *testing.T) {
	const aliases = "base: &base {driver: modbus, interval: 1s}\ndevices:\n  - {<<: *base, name: a}\n  - *base\n"
	for _, c := range []struct{ text, edit, want string }{
		{hall, `devices.nobody.interval = "1s"`, "there is no devices.nobody"},
		{hall, `devices.nobody`, "nothing to remove"},
		{hall, `devices.nobody = {"name":"else"}`, "has that name"},
		{hall, `gateway.name.first = 1`, "has no keys"},
		{aliases, `base.driver = "x"`, "aliases"},
		{aliases, `devices.1.driver = "x"`, "through an alias"},
		{aliases, `base`, "change it by hand"},
	} {
		if got, err := edited(t, c.text, set(c.edit)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s gives %v, want %q\n%s", c.edit, err, c.want, got)
		}
	}
	// What came in through << is overridden where it is needed.
	got, err := edited(t, aliases, set(`devices.a.interval = "2s"`))
	if want := strings.Replace(aliases, "name: a}", "name: a, interval: 2s}", 1); err != nil || got != want {
		t.Errorf("got %v\n%s", err, got)
	}
	if _, err := ReadDocument("f", []byte("a: 1\r\nb: 2\n")); err == nil || !strings.Contains(err.Error(), "line ends") {
		t.Errorf("two kinds of line ends give %v", err)
	}
}

func TestAnEmptyFileCanBeFilled(t *testing.T) {
	for _, text := range []string{"", "# nothing yet\n", "# nothing yet", "\n\n"} {
		got, err := edited(t, text, set(`gateway.name = "a"`), set(`devices.p = {"name":"p"}`))
		if err != nil || !strings.HasPrefix(got, text) || !strings.Contains(got, "gateway:\n  name: a\ndevices:\n  - name: p") {
			t.Errorf("%q gives %v\n%s", text, err, got)
		}
	}
}

func TestPathsOfProblemsAreThoseOfEdits(t *testing.T) {
	d, err := ReadDocument("f", []byte(hall))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"devices[0].points[2].enum": "devices press points 2 enum", "gateway.name": "gateway name", "devices[7].x": "devices 7 x", "": "", "mqtt.listen[0]": "mqtt listen 0",
	} {
		if got := strings.Join(d.Steps(path), " "); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}

// plainEdit applies an edit to a decoded document, as a model of what the editor must do.
func plainEdit(doc any, path []string, value any, remove bool) any {
	if len(path) == 0 {
		return value
	}
	switch at := doc.(type) {
	case map[string]any:
		if len(path) == 1 && remove {
			delete(at, path[0])
		} else {
			at[path[0]] = plainEdit(at[path[0]], path[1:], value, remove)
		}
		return at
	case []any:
		i, _ := strconv.Atoi(path[0])
		if len(path) == 1 && remove {
			return slices.Delete(at, i, i+1)
		}
		if i == len(at) {
			return append(at, value)
		}
		at[i] = plainEdit(at[i], path[1:], value, remove)
		return at
	}
	return value
}

func randomValue(r *rand.Rand, level int) any {
	switch n := r.IntN(9); {
	case n == 0 && level < 3:
		list := []any{}
		for range r.IntN(4) {
			list = append(list, randomValue(r, level+1))
		}
		return list
	case n == 1 && level < 3:
		section := map[string]any{}
		for range r.IntN(4) {
			section[randomText(r)] = randomValue(r, level+1)
		}
		return section
	case n == 2:
		return float64(r.IntN(100000)) - 500
	case n == 3:
		return r.Float64()
	case n == 4:
		return r.IntN(2) == 0
	}
	return randomText(r)
}

func randomText(r *rand.Rand) string {
	words := []string{"a", "tcp://10.0.0.7:502", "500ms", "yes", "null", "12", "0x10", "-", "- x", "# no", "a # b", "a: b", "{}", "it's", `say "x"`, "", " ", "x ", "温度", "°C", "*", "&a", "!t", "%", "@", "`", "two\nlines", "tab\t", "readings/#", "1e3", "~", "a,b", "[", "?", "|", "12:30", ".5", "=", "<<", "\u2028", "🙂"}
	return words[r.IntN(len(words))]
}

// randomEdit changes something at random in doc, all items by their number.
func randomEdit(r *rand.Rand, doc any) (path []string, value any, remove bool) {
	for at := doc; ; {
		if r.IntN(4) == 0 && len(path) > 0 {
			break
		}
		var steps []string
		var next func(string) any
		switch here := at.(type) {
		case map[string]any:
			for key := range here {
				steps = append(steps, key)
			}
			slices.Sort(steps)
			next = func(key string) any { return here[key] }
			if r.IntN(6) == 0 {
				key := randomText(r)
				if _, there := here[key]; !there {
					return append(path, key), randomValue(r, 0), false
				}
			}
		case []any:
			for i := range here {
				steps = append(steps, strconv.Itoa(i))
			}
			next = func(key string) any { i, _ := strconv.Atoi(key); return here[i] }
			if r.IntN(6) == 0 {
				return append(path, strconv.Itoa(len(here))), randomValue(r, 0), false
			}
		}
		if len(steps) == 0 {
			break
		}
		step := steps[r.IntN(len(steps))]
		path, at = append(path, step), next(step)
	}
	if len(path) == 0 {
		return []string{"gateway"}, map[string]any{"name": "x"}, false
	}
	if r.IntN(3) == 0 {
		return path, nil, true
	}
	return path, randomValue(r, 0), false
}

func decoded(t *testing.T, d *Document) map[string]any {
	t.Helper()
	shown, err := d.JSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(shown, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// tryEdits makes random edits of a text, each upon the last, and holds the result against the model. It
// gives how many were refused.
func tryEdits(t *testing.T, text []byte, seed uint64, n int) (refused int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	for range n {
		d, err := ReadDocument("f", text)
		if err != nil {
			return refused
		}
		model := decoded(t, d)
		var edits []Edit
		var said []string
		for range 1 + r.IntN(3) {
			path, value, remove := randomEdit(r, model)
			e := Edit{Path: path}
			if !remove {
				e.Value, _ = json.Marshal(value)
			}
			edits, said = append(edits, e), append(said, fmt.Sprintf("%q = %s", path, e.Value))
			model, _ = plainEdit(model, path, value, remove).(map[string]any)
		}
		if err := d.Edit(edits, nil); err != nil {
			refused++ // a name that is a number, a key that an alias brought
			continue
		}
		next, err := d.Text()
		if err != nil {
			if wrong := (&EditError{}); !errors.As(err, &wrong) {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			refused++
			continue
		}
		after, err := ReadDocument("f", next)
		if err != nil {
			t.Fatalf("%s leads to a text that cannot be read: %v\n%s", said, err, next)
		}
		if known, err := d.Edited(); err != nil || known.Source() != string(next) || known.text != after.text || !reflect.DeepEqual(known.root, after.root) {
			t.Fatalf("%s of\n%s\nis not known as it would be read (%v):\n%s", said, text, err, next)
		}
		if got := decoded(t, after); !reflect.DeepEqual(plainJSON(t, got), plainJSON(t, model)) {
			t.Fatalf("%s of\n%s\ngives\n%s", said, text, next)
		}
		text = next
	}
	return refused
}

// plainJSON makes two documents comparable: without keys that are null, which the editor leaves out.
func plainJSON(t *testing.T, doc any) string {
	t.Helper()
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func configurations(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string][]byte{"hall": []byte(hall)}
	for _, name := range append(files, "../../docs/full.yaml") {
		if texts[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return texts
}

func TestRandomEditsDoWhatTheySay(t *testing.T) {
	for name, text := range configurations(t) {
		if _, err := ReadDocument(name, text); err != nil {
			continue
		}
		refused := 0
		const rounds, edits = 20, 6
		for seed := range uint64(rounds) {
			refused += tryEdits(t, text, seed, edits)
		}
		t.Logf("%s: %d of %d refused", name, refused, rounds*edits)
		if refused > rounds*edits/4 && !strings.Contains(name, "anchors") && !strings.Contains(name, "merge") && !strings.Contains(name, "duplicates") {
			t.Errorf("%s: %d of %d random edits are refused", name, refused, rounds*edits)
		}
	}
}

func FuzzEdit(f *testing.F) {
	for _, text := range configurations(f) {
		f.Add(text, uint64(1))
	}
	f.Add([]byte("a: &x\n  - |\n    # no remark\n\n  - >-\n   b\nc: [*x, 'it''s', {\"q\":1}]\n"), uint64(2))
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		if len(text) > 4<<10 {
			return
		}
		tryEdits(t, text, seed, 2)
	})
}

func TestFiveThousandPointsAreEditedAtOnce(t *testing.T) {
	var b strings.Builder
	b.WriteString("devices:\n  - name: press\n    points:\n")
	var edits []Edit
	for i := range 5000 {
		fmt.Fprintf(&b, "      - {name: p%d, address: \"holding:%d\", type: uint16, unit: kWh} # %d\n", i, i, i)
		edits = append(edits, set(fmt.Sprintf(`devices.press.points.p%d.address = "holding:%d"`, i, i+1)))
	}
	got, err := edited(t, b.String(), edits...)
	if err != nil || strings.Count(got, "\n") != 5003 || !strings.Contains(got, `p4999, address: "holding:5000"`) {
		t.Errorf("got %v, %d lines", err, strings.Count(got, "\n"))
	}
}

func TestFiveThousandPointsInOneLineAreEditedAtOnce(t *testing.T) {
	points := make([]string, 5000)
	for i := range points {
		points[i] = fmt.Sprintf("{name: p%d, address: \"holding:%d\", unit: °C}", i, i)
	}
	text := "devices: [{name: press, points: [" + strings.Join(points, ", ") + "]}]\n"
	got, err := edited(t, text, set(`devices.press.points.p4999.unit = "K"`))
	if want := strings.Replace(text, points[4999], `{name: p4999, address: "holding:4999", unit: K}`, 1); err != nil || got != want {
		t.Errorf("got %v, and not the one word that was changed", err)
	}
}
