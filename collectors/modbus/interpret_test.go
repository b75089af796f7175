package modbus

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"testing"
)

// wordsOf gives registers that hold bytes.
func wordsOf(b []byte) []uint16 {
	var out []uint16
	for ; len(b) >= 2; b = b[2:] {
		out = append(out, binary.BigEndian.Uint16(b))
	}
	return out
}

func interpretation(all []Interpretation, kind Type, order Order) *Interpretation {
	for i := range all {
		if all[i].Type == kind && all[i].Order == order {
			return &all[i]
		}
	}
	return nil
}

// Whatever order a value was written in, it is among the interpretations under that order.
func TestInterpretationsHoldTheValueInItsOrder(t *testing.T) {
	for order := range orders {
		for _, as := range []struct {
			kind  Type
			value string
		}{
			{"int16", "-1234"}, {"uint16", "1234"}, {"bcd16", "1234"},
			{"int32", "-123456"}, {"uint32", "123456"}, {"float32", "21.3"}, {"bcd32", "12345678"},
			{"int64", "-5000000"}, {"uint64", "5000000"}, {"float64", "231.75"}, {"bcd64", "123456789"},
		} {
			p := Point{Name: "x", Address: address("holding:0"), Type: as.kind, Order: order}
			if len(mistakesOf(p, Limits{})) > 0 {
				continue
			}
			ready := newPoint(&p)
			raw, err := ready.encode(json.RawMessage(as.value))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, each := range Interpretations(wordsOf(raw)) {
				same := each.Type == as.kind && each.Order.swaps(ready.bytes) == order.swaps(ready.bytes)
				found = found || same && each.Value.String() == as.value
			}
			if !found {
				t.Errorf("%s %s as %s is not among the interpretations of % x", as.kind, as.value, order, raw)
			}
		}
	}
}

// The complaint: 230.1 V in the order CDAB, read as ABCD, is 1.8e-36 or the like.
func TestOneOrderIsPlausible(t *testing.T) {
	bits := math.Float32bits(230.1)
	registers := []uint16{uint16(bits), uint16(bits >> 16)} // words in reverse
	all := Interpretations(registers)
	for order, want := range map[Order]bool{"ABCD": false, "CDAB": true, "BADC": false, "DCBA": false} {
		got := interpretation(all, "float32", order)
		if got == nil || got.Plausible != want {
			t.Errorf("%s: %+v, want plausible %v", order, got, want)
		}
	}
	if got := interpretation(all, "float32", "CDAB"); got.Value.String() != "230.1" || got.Registers != 2 {
		t.Errorf("CDAB gives %v of %d registers, want 230.1 of 2", got.Value, got.Registers)
	}
}

func TestPlausible(t *testing.T) {
	for _, test := range []struct {
		bytes string
		kind  Type
		order Order
		want  string // value, with ! when it is not plausible
	}{
		{"00 E6", "uint16", "AB", "230"}, {"00 E6", "uint16", "BA", "!58880"},
		{"00 01 E2 40", "uint32", "ABCD", "123456"}, {"00 01 E2 40", "uint32", "DCBA", "!1088553216"},
		{"00 00 00 00", "float32", "DCBA", "0"},
		{"7F C0 00 00", "float32", "ABCD", "!null"},
		{"50 52 45 53 53 00", "string", "AB", `"PRESS"`}, {"50 52 45 53 53 00", "string", "BA", `"RPSE` + "\\u0000" + `S"`},
		{"01 02", "string", "AB", `!"\u0001\u0002"`},
		{"00 00 00 00 00 0F 42 40", "int64", "ABCD", "1000000"},
	} {
		got := interpretation(Interpretations(wordsOf(unhex(t, test.bytes))), test.kind, test.order)
		if got == nil {
			t.Errorf("%s as %s %s is not there", test.bytes, test.kind, test.order)
			continue
		}
		text := got.Value.String()
		if !got.Plausible {
			text = "!" + text
		}
		if text != test.want && test.want[0] != '"' || test.want[0] == '"' && got.Value.String() != test.want {
			t.Errorf("%s as %s %s is %s, want %s", test.bytes, test.kind, test.order, text, test.want)
		}
	}
}

func TestInterpretationsOfFewRegisters(t *testing.T) {
	for n, want := range []map[Type]bool{
		{},
		{"int16": true, "int8": true, "bcd16": true, "string": true, "int32": false, "int64": false},
		{"int16": true, "int32": true, "float32": true, "int64": false},
		{"int16": true, "int32": true, "float32": true, "int64": false},
		{"int16": true, "int32": true, "float32": true, "int64": true, "float64": true},
	} {
		got := make(map[Type]bool)
		for _, each := range Interpretations(make([]uint16, n)) {
			got[each.Type] = true
			if each.Registers > n {
				t.Errorf("%d registers: %+v needs more", n, each)
			}
		}
		for kind, there := range want {
			if got[kind] != there {
				t.Errorf("%d registers: %s is there: %v, want %v", n, kind, got[kind], there)
			}
		}
	}
	seen := make(map[string]bool)
	for _, each := range Interpretations([]uint16{0x1234, 0x5678, 0x9012, 0x3456}) {
		key := fmt.Sprint(each.Type, each.Order, each.Byte)
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
	}
	if len(seen) < 40 {
		t.Errorf("%d interpretations of four registers, want every type in every order", len(seen))
	}
}

func FuzzInterpretations(f *testing.F) {
	f.Add([]byte{0x41, 0xAA, 0x66, 0x66, 0, 0, 0, 1})
	f.Add([]byte("PRESS-7 "))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, each := range Interpretations(wordsOf(b)) {
			text, err := json.Marshal(each)
			if err != nil || !json.Valid(text) {
				t.Errorf("% x: %+v is %s, %v", b, each, text, err)
			}
		}
	})
}
