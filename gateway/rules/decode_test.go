package rules

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"sluice/gateway/message"
)

func TestAGapIsAnEvent(t *testing.T) {
	e, err := DecodeEvent([]byte(`{"gateway":"line-3","device":"press","alarm":"gap","epoch":1,"from":3,"to":9,"ts":1795345665221}`))
	if err != nil || e.State != Gap || e.Device != "press" || e.Time != 1795345665221 || e.Words("zh") == e.Words("en") {
		t.Errorf("a gap is %+v, %v", e, err)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"gateway":"line-3","device":"press","alarm":"gap","epoch":1,"from":3,"to":9,"ts":1795345665221}`))
	f.Add([]byte(`{"gateway":"line-3","alarm":"hot","state":"raised","severity":"critical","device":"press","point":"t","value":81.5,"text":"hot","ts":1,"id":"a","since":1}`))
	f.Add([]byte(`{"alarm":"hot","state":"acknowledged","severity":"info","device":"press","value":null,"ts":1,"id":"a","by":"li","note":"\u0000"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := DecodeEvent(in)
		if err != nil || e.State == Gap {
			return
		}
		again, err := DecodeEvent(e.Message().Payload)
		// JSON may be written with other blanks within a value: it is a scalar, which has none.
		if err != nil || !reflect.DeepEqual(again, e) && string(again.Value) != "" && !json.Valid(e.Value) {
			t.Errorf("%s does not survive a round trip: %+v, %v", in, again, err)
		}
	})
}

func FuzzReading(f *testing.F) {
	f.Add([]byte(`{"gateway":"g","device":"d","epoch":1,"seq":2,"ts":3,"values":{"a":1.5,"b":"x\"y","c":true,"d":null},"errors":{"e":"no"}}`))
	f.Add([]byte(`{"values":{"a":{"b":[1,2,"]"]},"\u0061":-1e3}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var r reading
		ours := map[string]message.Value{}
		if r.read(in) != nil || r.values != nil && walk(r.values, func(name, token []byte) error {
			ours[string(name)] = scalar(token, ours[string(name)])
			return nil
		}) != nil {
			return
		}
		var members map[string]json.RawMessage
		var theirs map[string]any
		if json.Unmarshal(in, &members) != nil || json.Unmarshal(members["values"], &theirs) != nil {
			return // what is no JSON may be taken for less than it seems, and never panics
		}
		for name, want := range theirs {
			got := ours[name]
			switch want := want.(type) {
			case float64:
				if f, ok := got.Float(); !ok || f != want && !math.IsInf(f, 0) {
					t.Errorf("%s: %s is %v, want %v", in, name, got, want)
				}
			case bool, string:
				if got.Any() != want {
					t.Errorf("%s: %s is %v, want %v", in, name, got, want)
				}
			}
		}
	})
}

func FuzzSaved(f *testing.F) {
	f.Add([]byte(`{"version":1,"epoch":7,"position":3,"ts":1,"states":[{"alarm":"hot","when":"above","severity":"critical","device":"press","point":"t","phase":2,"id":"a","since":1,"seen":1,"value":81.5}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := decodeSaved(in)
		if err != nil {
			return
		}
		c := newCore("g", nil)
		c.restore(s.States, 1)
		if _, err := decodeSaved(s.encode()); err != nil {
			t.Errorf("%s does not survive a round trip: %v", in, err)
		}
	})
}
