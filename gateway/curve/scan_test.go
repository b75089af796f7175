package curve

import (
	"encoding/json"
	"math"
	"testing"

	"sluice/gateway/message"
)

func TestScanTakesOnlyTheWantedPoints(t *testing.T) {
	r := message.Reading{Gateway: "g", Device: "press", Epoch: 1, Seq: 42, Time: 1795345665221, Points: []message.Point{
		{Name: "counter", Value: message.Uint(7)},
		{Name: "a \"b\"\n", Value: message.Float32(21.3)},
		{Name: "running", Value: message.Bool(true)},
		{Name: "recipe", Value: message.Text("B-114 \\ }{")},
		{Name: "level", Value: message.Int(-5)},
		{Name: "pressure", Error: "exception 2"},
		{Name: "held", Value: message.Int(3), Error: "late", Held: true},
		{Name: "tiny", Value: message.Float64(1e-9)},
		{Name: "nan", Value: message.Float64(math.NaN())},
	}}
	points := []string{"level", "a \"b\"\n", "nothing", "pressure", "recipe", "held", "running", "tiny", "nan"}
	samples := make([]Sample, len(points))
	at, ok := NewScanner(points).Scan(r.AppendJSON(nil), samples)
	if !ok || at != r.Time {
		t.Fatalf("the reading of %d is read as one of %d, %v", r.Time, at, ok)
	}
	for i, want := range []Sample{
		{Kind: Number, Value: -5}, {Kind: Number, Value: 21.3}, {}, {Kind: Failed}, {Kind: Text}, {Kind: Failed},
		{Kind: Number, Value: 1, Bool: true}, {Kind: Number, Value: 1e-9}, {Kind: Failed},
	} {
		got := samples[i]
		if got.Kind != want.Kind || got.Value != want.Value || got.Bool != want.Bool {
			t.Errorf("%q is %+v, want %+v", points[i], got, want)
		}
	}
	if text, ok := Unquoted(samples[4].Raw); !ok || text != "B-114 \\ }{" {
		t.Errorf("the text is %q", text)
	}
	scanner := NewScanner(points[:1])
	r.Points = append(r.Points[:1], r.Points[2:]...) // a name that is escaped costs something
	reading := r.AppendJSON(nil)
	if n := testing.AllocsPerRun(100, func() { scanner.Scan(reading, samples[:1]) }); n > 0 {
		t.Errorf("a reading costs %v allocations", n)
	}
}

func TestStateOfADevice(t *testing.T) {
	at, state, ok := State([]byte(`{"gateway":"g","device":"d","state":"offline","error":"no \"answer\"","ts":17}`))
	if at != 17 || state != "offline" || !ok {
		t.Errorf("got %d %q %v", at, state, ok)
	}
}

// FuzzScan compares with encoding/json whatever that accepts.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"gateway":"g","ts":1795345665221,"values":{"a":1.5,"b":true,"c":"x"},"errors":{"d":"no"}}`), "a", "d")
	f.Add([]byte(`{"ts":1,"values":{"\u0061":-0.0e3,"b":[1,{"a":2}],"a":null},"errors":{}}`), "a", "b")
	f.Add([]byte(` { "errors" : { "a" : {} } , "values" : { "a" : 12345678901234567890 } , "ts" : 2 , "ts" : 3 } `), "a", "")
	f.Add([]byte(`{"ts":1,"values":{"a":1},"values":{"b":2}}`), "a", "b")
	f.Add([]byte(`{"ts":1,"values":[{"a":1}],"errors":"a"}`), "a", "b")
	f.Fuzz(func(t *testing.T, reading []byte, a, b string) {
		if a == b {
			return
		}
		samples := make([]Sample, 2)
		at, ok := NewScanner([]string{a, b}).Scan(reading, samples)
		State(reading)
		var whole map[string]json.RawMessage
		if !json.Valid(reading) || json.Unmarshal(reading, &whole) != nil || whole == nil {
			return
		}
		var wantAt int64
		if err := json.Unmarshal(whole["ts"], &wantAt); (err == nil && string(whole["ts"]) != "null") != ok || ok && at != wantAt {
			t.Fatalf("the time of %s is %d %v, want %d %v", reading, at, ok, wantAt, err)
		}
		var values, errors map[string]json.RawMessage
		_ = json.Unmarshal(whole["values"], &values)
		_ = json.Unmarshal(whole["errors"], &errors)
		for i, name := range []string{a, b} {
			got := samples[i]
			raw, there := values[name]
			_, failed := errors[name]
			var n float64
			var word bool
			switch {
			case failed:
				if got.Kind != Failed {
					t.Errorf("%q in %s is %v, want an error", name, reading, got.Kind)
				}
			case !there:
				if got.Kind != Missing && whole["errors"] == nil {
					t.Errorf("%q in %s is %v %s, want nothing", name, reading, got.Kind, got.Raw)
				}
			case string(raw) != "null" && json.Unmarshal(raw, &n) == nil:
				if got.Kind != Number || got.Value != n {
					t.Errorf("%q in %s is %v %v, want %v", name, reading, got.Kind, got.Value, n)
				}
			case string(raw) != "null" && json.Unmarshal(raw, &word) == nil:
				if got.Kind != Number || !got.Bool || got.Value == 1 != word {
					t.Errorf("%q in %s is %+v, want %v", name, reading, got, word)
				}
			case got.Kind != Text:
				t.Errorf("%q in %s is %v, want text", name, reading, got.Kind)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	r := message.Reading{Gateway: "line-3", Device: "press", Epoch: 1, Seq: 42, Time: 1795345665221}
	for _, name := range []string{"temperature", "pressure", "flow", "level"} {
		r.Points = append(r.Points, message.Point{Name: name, Value: message.Float32(21.37)})
	}
	reading := r.AppendJSON(nil)
	s, samples := NewScanner([]string{"temperature", "pressure", "flow", "level"}), make([]Sample, 4)
	b.SetBytes(int64(len(reading)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := s.Scan(reading, samples); !ok {
			b.Fatal("no reading")
		}
	}
}
