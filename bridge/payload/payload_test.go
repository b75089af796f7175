package payload

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sluice/bridge"
	"sluice/gateway/config"
	"sluice/gateway/message"
)

var update = flag.Bool("update", false, "write the golden files anew")

// press is the reading that the documentation shows.
var press = stored(message.Reading{
	Gateway: "line-3", Device: "press", Epoch: 1, Seq: 42, Time: 1795345665221,
	Points: []message.Point{
		{Name: "counter", Value: message.Uint(7)},
		{Name: "temperature", Value: message.Float32(21.5)},
		{Name: "pressure", Error: "exception 2: illegal data address"},
	},
})

func stored(in message.Reading) *message.Record {
	return &message.Record{Position: 9, Message: message.Message{
		Topic: "readings/" + in.Gateway + "/" + in.Device, Payload: in.AppendJSON(nil), Time: in.Time, Device: in.Device, Seq: in.Seq,
		Properties: []message.Property{{Name: "site", Value: "north"}},
	}}
}

func foreign(topic, payload string) *message.Record {
	return &message.Record{Message: message.Message{Topic: topic, Payload: []byte(payload), Time: 1795345665000}}
}

// records are what the golden files are made of.
var records = []struct {
	name   string
	record *message.Record
}{
	{"a plain reading", press},
	{"every type", stored(message.Reading{Gateway: "line-3", Device: "all", Epoch: 2, Seq: 1, Time: 1, Unsynced: true, Points: []message.Point{
		{Name: "yes", Value: message.Bool(true)}, {Name: "no", Value: message.Bool(false)},
		{Name: "small", Value: message.Int(-5)}, {Name: "min", Value: message.Int(math.MinInt64)}, {Name: "max", Value: message.Uint(math.MaxUint64)},
		{Name: "exact", Value: message.Int(9007199254740991)}, {Name: "beyond", Value: message.Int(-9007199254740992)},
		{Name: "single", Value: message.Float32(21.3)}, {Name: "double", Value: message.Float64(1e-9)}, {Name: "huge", Value: message.Float64(1e300)},
		{Name: "text", Value: message.Text("a \"b\"\n\\")}, {Name: "empty", Value: message.Text("")},
		{Name: "nan", Value: message.Float64(math.NaN())}, {Name: "infinite", Value: message.Float32(float32(math.Inf(-1)))}, {Name: "absent"},
	}})},
	{"names that are not plain", stored(message.Reading{Gateway: "线-3", Device: "压力机", Seq: 3, Time: 1795345665221, Points: []message.Point{
		{Name: "温度", Value: message.Float64(20)}, {Name: "a/b+c#", Value: message.Int(1)}, {Name: `q"uote`, Value: message.Int(2)},
		{Name: "ts", Value: message.Int(3)}, {Name: "errors", Value: message.Text("none")}, {Name: "", Value: message.Int(4)},
	}})},
	{"nothing but errors", stored(message.Reading{Gateway: "line-3", Device: "press", Epoch: 1, Seq: 43, Time: 1795345666221, Points: []message.Point{
		{Name: "counter", Error: "timed out after 1s"}, {Name: "temperature", Error: "timed out after 1s"},
	}})},
	{"no points", stored(message.Reading{Gateway: "line-3", Device: "press", Epoch: 1, Seq: 44, Time: 1795345667221})},
	{"a reading of an MQTT device", foreign("plant/oven", ` { "values" : { "t" : 20.50 , "nested" : {"a":[1,"}"]} , "none" : null } , "ts" : 5 , "errors":{"x":7} } `)},
	{"a reading with odd parts", foreign("plant/oven", `{"values":{"t":1e2},"ts":1.5,"seq":"x","epoch":-1,"device":7,"gateway":null,"errors":[]}`)},
	{"JSON that is no reading", foreign("plant/oven/state", `{"state":"on"}`)},
	{"an array", foreign("plant/oven", `[{"values":{}}]`)},
	{"text", foreign("plant/oven", "hello")},
	{"nothing", foreign("plant/oven", "")},
	{"broken JSON", foreign("plant/oven", `{"values":{"t":1}`)},
}

// stateless are the formats that make JSON of a reading.
var stateless = []string{"object", "values", "points", "neuron", "neuron-tags", "thingsboard", "thingsboard-device", "alink", "huawei"}

func maker(t testing.TB, o Options) *Maker {
	t.Helper()
	m, err := New(o, "line-3")
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	return m
}

func TestFormatsAreAsRecorded(t *testing.T) {
	var got strings.Builder
	for _, c := range records {
		fmt.Fprintf(&got, "=== %s\n%s\n%s\n", c.name, c.record.Topic, c.record.Payload)
		for _, name := range append([]string{"stored"}, stateless...) {
			for _, big := range []string{"number", "text"} {
				made, err := maker(t, Options{Format: name, BigIntegers: big, Group: "fast"}).Make(nil, c.record)
				if err != nil {
					t.Fatalf("%s of %s: %v", name, c.name, err)
				}
				if big == "text" && (name != "object" || !strings.Contains(c.name, "every")) {
					continue
				}
				fmt.Fprintf(&got, "--- %s, big integers as %s: %d\n", name, big, len(made))
				for _, m := range made {
					fmt.Fprintf(&got, "%s|%s\n", m.Point, m.Payload)
				}
			}
		}
	}
	golden(t, "testdata/formats.golden", got.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if i >= len(gotLines) || i >= len(wantLines) || gotLines[i] != wantLines[i] {
			t.Fatalf("%s, line %d:\ngot  %s\nwant %s", path, i+1, strings.Join(gotLines[i:min(i+1, len(gotLines))], ""), strings.Join(wantLines[i:min(i+1, len(wantLines))], ""))
		}
	}
}

// TestNothingGetsLostOnTheWay reads what was made with encoding/json and compares it with what
// encoding/json reads in the record.
func TestNothingGetsLostOnTheWay(t *testing.T) {
	for _, c := range records {
		checkAgainstJSON(t, c.record)
	}
}

func checkAgainstJSON(t *testing.T, r *message.Record) {
	t.Helper()
	var in reading
	known := in.parse(r, `"line-3"`)
	var top map[string]json.RawMessage
	var values map[string]any
	isReading := decode(r.Payload, &top) && top != nil && decode(top["values"], &values) && values != nil
	if known != isReading {
		t.Fatalf("%q is a reading: %v, want %v", r.Payload, known, isReading)
	}
	if !known {
		return
	}
	for _, name := range stateless {
		made, err := maker(t, Options{Format: name}).Make(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, each := range made {
			if !json.Valid(each.Payload) {
				t.Fatalf("%s made %q of %q, which is not JSON", name, each.Payload, r.Payload)
			}
		}
	}
	want := values
	var failed map[string]any
	if decode(top["errors"], &failed) {
		for name := range failed {
			want[name] = nil
		}
	}
	made, _ := maker(t, Options{Format: "values"}).Make(nil, r)
	var got map[string]any
	if !decode(made[0].Payload, &got) || !reflect.DeepEqual(got, want) {
		t.Fatalf("values of %q are %v, want %v", r.Payload, got, want)
	}
}

func decode(b []byte, into any) bool {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return json.Valid(b) && d.Decode(into) == nil
}

func TestStoredIsNeitherCopiedNorRead(t *testing.T) {
	m := maker(t, Options{})
	made, err := m.Make(nil, press)
	if err != nil || len(made) != 1 || &made[0].Payload[0] != &press.Payload[0] {
		t.Fatalf("got %v, %v, want the record's own payload", made, err)
	}
	if n := testing.AllocsPerRun(100, func() { made, _ = m.Make(made[:0], press) }); n != 0 {
		t.Errorf("a stored message costs %v allocations, want none", n)
	}
}

func TestWhatWasMadeStaysWhenTheNextIsMade(t *testing.T) {
	for _, name := range append(stateless, "template") {
		o := Options{Format: name}
		if name == "template" {
			o.Template = "{{json .Values}}"
		}
		m := maker(t, o)
		first, err := m.Make(nil, press)
		if err != nil {
			t.Fatal(err)
		}
		before := string(first[0].Payload)
		if _, err := m.Make(nil, records[1].record); err != nil {
			t.Fatal(err)
		}
		if got := string(first[0].Payload); got != before {
			t.Errorf("%s: %s became %s", name, before, got)
		}
	}
}

func TestValidateNamesEveryMistake(t *testing.T) {
	for _, c := range []struct {
		options Options
		want    []string // path: words of the problem
	}{
		{Options{}, nil},
		{Options{Format: "template", Template: "{{.TS}}", Filter: "reading"}, nil},
		{Options{Format: "xml"}, []string{`format: is "xml"; there is stored, object`}},
		{Options{Format: "template"}, []string{"template: is empty"}},
		{Options{Template: "x"}, []string{"template: is of no use"}},
		{Options{Format: "template", Template: "a\n{{.TS"}, []string{"template: line 2: unclosed action"}},
		{Options{Format: "template", Template: "a\n {{.Tem}}"}, []string{"template: line 2, column 4: at <.Tem>: can't evaluate field Tem; there are Reading, Topic"}},
		{Options{Format: "template", Template: "{{shout .TS}}"}, []string{`template: line 1: function "shout" not defined`}},
		{Options{Filter: "values.t >"}, []string{"filter: line 1, column 10: unexpected token EOF"}},
		{Options{Filter: "temperature > 3"}, []string{"filter: line 1, column 1: unknown name temperature"}},
		{Options{Filter: "seq"}, []string{"filter: "}},
		{Options{Filter: "topic > 3"}, []string{"filter: line 1, column 7: invalid operation"}},
		{Options{BigIntegers: "hex", Format: "y"}, []string{"format: ", "big_integers: "}},
	} {
		var got []string
		c.options.Validate(func(path, problem string) { got = append(got, path+": "+problem) })
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%+v: complaints %q, want %q", c.options, got, c.want)
		}
		if _, err := New(c.options, "line-3"); (err == nil) != (len(c.want) == 0) {
			t.Errorf("%+v: New gives %v", c.options, err)
		}
	}
}

func TestEveryFormatOfTheSchemaIsThere(t *testing.T) {
	field, _ := reflect.TypeFor[config.Payload]().FieldByName("Format")
	names := strings.Split(field.Tag.Get("enum"), ",")
	if len(names) != len(formats)-2 { // the empty name is stored, and sparkplug belongs to a whole uplink
		t.Errorf("the schema knows %d formats, the code %d", len(names), len(formats)-2)
	}
	for _, name := range names {
		if _, known := formats[name]; !known || !strings.Contains(formatNames, name) {
			t.Errorf("%s is in the schema alone", name)
		}
	}
}

func FuzzMake(f *testing.F) {
	for _, c := range records {
		f.Add(c.record.Topic, c.record.Payload)
	}
	f.Add("a/b", []byte(`{"\u0076alues":{"a\\\"":[{"}":"]"}]},"values":{"x":1,"x":2}}`))
	f.Add("a/b", []byte("{\"values\":{\"\xff\":\"\xff\"},\"errors\":{\"\xff\":\"\xff\"}}"))
	templated := maker(f, Options{Format: "template", Template: `{{range .Points}}{{json .Name}}={{.Value}}{{if gt .Value 3}}!{{end}}{{end}}{{json .Values}}`})
	filtered := maker(f, Options{Format: "object", Filter: `values.x > 3 or errors.x != "" or payload contains "a" and seq % 2 == 0`})
	node, err := NewEdgeNode("g", "n")
	if err != nil {
		f.Fatal(err)
	}
	session := node.Connect(1)
	session.Births(1)
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		r := &message.Record{Message: message.Message{Topic: topic, Payload: payload}}
		checkAgainstJSON(t, r)
		for _, m := range []*Maker{templated, filtered} {
			m.Make(nil, r) // refusing is fine, panicking is not
		}
		made, err := session.Data(r, 2)
		if err != nil {
			return
		}
		for _, each := range made {
			if _, err := decodeMetrics(each.Payload); err != nil {
				t.Errorf("%q became a Sparkplug payload that cannot be read: %v", payload, err)
			}
		}
	})
}

func BenchmarkMake(b *testing.B) {
	in := message.Reading{Gateway: "line-3", Device: "press", Epoch: 1, Seq: 42, Time: 1795345665221}
	for i := range 10 {
		in.Points = append(in.Points, message.Point{Name: fmt.Sprintf("temperature%d", i), Value: message.Float32(21.5)})
	}
	r := stored(in)
	for _, o := range []Options{
		{Format: "stored"}, {Format: "object"}, {Format: "values"}, {Format: "points"}, {Format: "neuron"}, {Format: "neuron-tags"},
		{Format: "thingsboard"}, {Format: "template", Template: `{"t":{{.Values.temperature1}},"ts":{{.TS}}}`},
		{Format: "stored", Filter: "values.temperature1 > 80"},
	} {
		name := o.Format
		if o.Filter != "" {
			name = "filter"
		}
		b.Run(name, func(b *testing.B) {
			m := maker(b, o)
			var made []bridge.Made
			b.ReportAllocs()
			b.SetBytes(int64(len(r.Payload)))
			for b.Loop() {
				var err error
				if made, err = m.Make(made[:0], r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("sparkplug", func(b *testing.B) {
		node, err := NewEdgeNode("plant", "line-3")
		if err != nil {
			b.Fatal(err)
		}
		session := node.Connect(1)
		session.Births(1)
		b.ReportAllocs()
		b.SetBytes(int64(len(r.Payload)))
		for b.Loop() {
			if _, err := session.Data(r, 2); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// everything has a value of each type that filters and Sparkplug treat differently.
var everything = message.Reading{
	Gateway: "line-3", Device: "all", Epoch: 1, Seq: 12, Time: 1795345665221,
	Points: []message.Point{
		{Name: "temperature", Value: message.Float32(80.5)}, {Name: "count", Value: message.Int(7)},
		{Name: "total", Value: message.Uint(math.MaxUint64)}, {Name: "low", Value: message.Int(math.MinInt64)},
		{Name: "running", Value: message.Bool(true)}, {Name: "name", Value: message.Text("oven")}, {Name: "温度", Value: message.Float64(1e-9)},
		{Name: "pressure", Error: "exception 2: illegal data address"},
	},
}
