package payload

import (
	"strings"
	"testing"

	"sluice/bridge"
)

func TestFilterDecides(t *testing.T) {
	other := foreign("status/line-3/press", `{"state":"ok"}`)
	r := stored(everything)
	for _, c := range []struct {
		filter      string
		record      string
		want        bool
		problemHas  string
		compileOnly bool
	}{
		{filter: `true`, want: true},
		{filter: `reading`, want: true},
		{filter: `reading`, record: "other", want: false},
		{filter: `not reading and payload contains "ok"`, record: "other", want: true},
		{filter: `fromJSON(payload).state == "ok"`, record: "other", want: true},
		{filter: `device == "press"`, record: "other", want: true},
		{filter: `topic startsWith "readings/" && gateway == "line-3" && device == "all"`, want: true},
		{filter: `values.temperature > 80`, want: true},
		{filter: `values.temperature > 80.5`, want: false},
		{filter: `values["temperature"] <= 80.5 and values.count >= 7 and values.count < 8`, want: true},
		{filter: `values.count == 7`, want: true},
		{filter: `values.count in [5, 6, 7]`, want: true},
		{filter: `int(values.count) % 2 == 1`, want: true},
		{filter: `values.name == "oven" and values.name in ["oven", "press"]`, want: true},
		{filter: `values.running`, want: true},
		{filter: `not values.running`, want: false},
		{filter: `values.name > "a"`, want: true},
		{filter: `values.pressure > 3`, want: false}, // it failed
		{filter: `not (values.pressure > 3)`, want: true},
		{filter: `values.pressure > 3 or values.temperature > 80`, want: true},
		{filter: `values.pressure + 1 > 3`, want: false}, // it cannot be computed
		{filter: `values.pressure == nil`, want: true},
		{filter: `"pressure" in errors and errors.pressure contains "exception"`, want: true},
		{filter: `len(errors) == 0`, want: false},
		{filter: `len(values) > 3`, want: true},
		{filter: `seq % 10 == 2 and epoch == 1 and ts > 1.7e12`, want: true},
		{filter: `properties.site == "north"`, want: true},
		{filter: `properties.none == "north"`, want: false},
		{filter: `any(keys(values), # startsWith "temp")`, want: true},
		{filter: `$env.device == "all"`, want: true},
		{filter: `values.name > 3`, problemHas: "cannot compare text with a number"},
		{filter: `values.name`, problemHas: "the filter failed: "},
		{filter: `values.temperature + "x" == ""`, problemHas: "the filter failed: line 1, column 20"},
		{filter: `let x = topic + topic; x == ""`, problemHas: "let is not possible"},
		{filter: `all(1..9, all(1..9, all(1..9, true)))`, problemHas: "nested more than 2 deep"},
		{filter: `all([1], true) and all([1], true) and all([1], true) and all([1], true) and all([1], true)`, problemHas: "has 5 loops"},
		{filter: `len(1..100000000) > 1`, problemHas: "memory budget exceeded"},
		{filter: `repeat("x", 1000000) == ""`, problemHas: "unknown name repeat"},
		{filter: strings.Repeat("(", 3000) + "true" + strings.Repeat(")", 3000), problemHas: "has 6004 bytes"},
		{filter: strings.Repeat("true and ", 400) + "true", problemHas: "exceeds maximum allowed nodes"},
	} {
		m, err := New(Options{Format: "values", Filter: c.filter}, "line-3")
		var made []bridge.Made
		if err == nil {
			record := r
			if c.record != "" {
				record = other
			}
			made, err = m.Make(nil, record)
		}
		if c.problemHas != "" {
			if err == nil || !strings.Contains(err.Error(), c.problemHas) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%.60s: got %v, want a problem with %q", c.filter, err, c.problemHas)
			}
			continue
		}
		if err != nil || len(made) > 0 != c.want {
			t.Errorf("%.60s lets it through: %v, %v, want %v", c.filter, len(made) > 0, err, c.want)
		}
	}
}

func TestFilteredMessageIsAsStored(t *testing.T) {
	made, err := maker(t, Options{Filter: "seq > 1"}).Make(nil, press)
	if err != nil || len(made) != 1 || &made[0].Payload[0] != &press.Payload[0] {
		t.Errorf("got %v, %v", made, err)
	}
}

func FuzzFilter(f *testing.F) {
	for _, text := range []string{`values.temperature > 80 and len(errors) == 0`, `any(keys(values), # startsWith "t")`, `fromJSON(payload).x ?? 3 > 2`, `topic matches "^a+$"`} {
		f.Add(text)
	}
	r := stored(everything)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := New(Options{Filter: text}, "line-3")
		if err != nil {
			return // refusing is fine, panicking is not
		}
		m.Make(nil, r)
	})
}

func TestFilterFindsNamesThatAreEscaped(t *testing.T) {
	r := foreign("a/b", `{"values":{"a\"b":3,"\u0074":4,"other":5}}`)
	for filter, want := range map[string]bool{
		`values["a\"b"] > 2 and values.t > 3`: true,
		`values["a\"b"] > 3 or values.t > 4`:  false,
		`len(values) == 3 and values.t == 4`:  true,
		`"other" in values and values.t == 4`: true,
	} {
		made, err := maker(t, Options{Filter: filter}).Make(nil, r)
		if err != nil || len(made) > 0 != want {
			t.Errorf("%s lets it through: %v, %v, want %v", filter, len(made) > 0, err, want)
		}
	}
}
