package message

import (
	"encoding/json"
	"math"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a/b", "a", false},
		{"a", "a/b", false},
		{"#", "a", true},
		{"#", "/", true},
		{"a/#", "a", true},
		{"a/#", "a/", true},
		{"a/#", "a/b/c", true},
		{"a/#", "ab", false},
		{"+", "a", true},
		{"+", "/a", false},
		{"/+", "/a", true},
		{"+/+", "/a", true},
		{"a/+", "a", false},
		{"a/+", "a/", true},
		{"a/+/c", "a/b/c", true},
		{"a/+/c", "a/b/d", false},
		{"a/+/#", "a/b", true},
		{"a/+/#", "a", false},
		{"readings/#", "readings/line-3/press", true},
		{"#", "$SYS/uptime", false},
		{"+/uptime", "$SYS/uptime", false},
		{"$SYS/#", "$SYS/uptime", true},
	} {
		if got := Match(c.filter, c.topic); got != c.want {
			t.Errorf("Match(%q, %q) = %v, want %v", c.filter, c.topic, got, c.want)
		}
	}
}

func TestCheckTopicAndFilter(t *testing.T) {
	long := string(make([]byte, MaxTopicBytes+1))
	for _, c := range []struct {
		name          string
		topic, filter bool
	}{
		{"a/b", true, true},
		{"", false, false},
		{"/", true, true},
		{"a/+", false, true},
		{"a/#", false, true},
		{"#/a", false, false},
		{"a#", false, false},
		{"a/b+/c", false, false},
		{"a\x00b", false, false},
		{"a\xffb", false, false},
		{long, false, false},
		{"设备/一", true, true},
	} {
		if got := CheckTopic(c.name) == nil; got != c.topic {
			t.Errorf("CheckTopic(%.20q) accepts = %v, want %v", c.name, got, c.topic)
		}
		if got := CheckFilter(c.name) == nil; got != c.filter {
			t.Errorf("CheckFilter(%.20q) accepts = %v, want %v", c.name, got, c.filter)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Add("+/+", "/")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if CheckTopic(topic) != nil || CheckFilter(filter) != nil {
			return
		}
		Match(filter, topic)
		if !Match(topic, topic) {
			t.Errorf("%q does not match itself", topic)
		}
		if topic[0] != '$' && !Match("#", topic) {
			t.Errorf("# does not match %q", topic)
		}
	})
}

func TestReadingAsJSON(t *testing.T) {
	r := Reading{
		Gateway: "line-3", Device: "press", Epoch: 1, Seq: 42, Time: 1795345665221,
		Points: []Point{
			{Name: "counter", Value: Uint(7)},
			{Name: "temperature", Value: Float32(21.3)},
			{Name: "level", Value: Int(-5)},
			{Name: "running", Value: Bool(true)},
			{Name: "label", Value: Text("a \"b\"\n")},
			{Name: "pressure", Error: "exception 2: illegal data address"},
			{Name: "ratio", Value: Float64(math.NaN())},
			{Name: "tiny", Value: Float64(1e-9)},
			{Name: "none"},
		},
	}
	want := `{"gateway":"line-3","device":"press","epoch":1,"seq":42,"ts":1795345665221,` +
		`"values":{"counter":7,"temperature":21.3,"level":-5,"running":true,"label":"a \"b\"\n","tiny":1e-09},` +
		`"errors":{"pressure":"exception 2: illegal data address","ratio":"the device sent NaN","none":"no value"}}`
	if got := string(r.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !json.Valid(r.AppendJSON(nil)) {
		t.Error("that is not JSON")
	}
	buf := make([]byte, 0, 1024)
	r.Points = r.Points[:4]
	if n := testing.AllocsPerRun(100, func() { r.AppendJSON(buf) }); n != 0 {
		t.Errorf("a plain reading costs %v allocations, want none", n)
	}
}

func FuzzReadingAsJSON(f *testing.F) {
	f.Add("a", "b", 1.5, "text", "trouble")
	f.Add("\x00", "\xff", math.Inf(1), "\u2028", "")
	f.Fuzz(func(t *testing.T, gateway, name string, number float64, s, problem string) {
		r := Reading{Gateway: gateway, Device: name, Points: []Point{
			{Name: name, Value: Float64(number)}, {Name: name + "2", Value: Float32(float32(number))},
			{Name: s, Value: Text(s)}, {Name: "p", Error: problem},
		}}
		if b := r.AppendJSON(nil); !json.Valid(b) {
			t.Errorf("not JSON: %s", b)
		}
	})
}
