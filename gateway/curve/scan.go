// Package curve turns readings, as the log has them, into what a chart can show: it takes single points
// out of their JSON, thins them to the width of the chart without losing an extreme, and knows where
// nothing may be drawn. It keeps nothing of its own.
package curve

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Kind says what a reading has of a point.
type Kind byte

// What a reading may have of a point.
const (
	Missing Kind = iota // nothing: another group's reading, or nothing has changed
	Number              // a number, or a switch: 0 or 1
	Text                // a text, null, or something else that cannot be drawn
	Failed              // why there is no value; also with one that stands in for it
)

// Sample is one point's share of a reading.
type Sample struct {
	Kind  Kind
	Value float64 // of a Number
	Bool  bool    // the Number is a switch
	Raw   []byte  // the value as it stands in the reading, or the error's text in quotes; part of the reading
}

// Scanner takes the same points out of one reading after the other. One goroutine at a time uses it.
type Scanner struct {
	names []string
	hint  int // the point that the last key was: they come in the same order each time
}

// NewScanner makes a scanner for points of one device. Samples come in this order.
func NewScanner(points []string) *Scanner { return &Scanner{names: points} }

// Scan fills samples, one a point, from the JSON of a reading, and gives the time of its poll. ok is false
// when that is no reading with a time. It looks at no more than it needs: what is damaged elsewhere stays
// unnoticed. Of members of one name the last counts.
func (s *Scanner) Scan(reading []byte, samples []Sample) (at int64, ok bool) {
	clear(samples)
	r := reader{text: reading}
	sound := r.object(func(key []byte) bool {
		switch {
		case is(key, "ts"):
			raw, sound := r.value()
			at, ok = integer(raw)
			return sound
		case is(key, "values"):
			for i := range samples {
				if samples[i].Kind != Failed {
					samples[i] = Sample{}
				}
			}
			return r.members(func(name, value []byte) {
				if i := s.find(name); i >= 0 && samples[i].Kind != Failed {
					samples[i] = sampleOf(value)
				}
			})
		case is(key, "errors"):
			return r.members(func(name, value []byte) {
				if i := s.find(name); i >= 0 {
					samples[i] = Sample{Kind: Failed, Raw: value}
				}
			})
		}
		_, sound := r.value()
		return sound
	})
	return at, ok && sound
}

// State gives the time and the state of a message about a device's condition.
func State(payload []byte) (at int64, state string, ok bool) {
	r := reader{text: payload}
	sound := r.object(func(key []byte) bool {
		raw, sound := r.value()
		switch {
		case is(key, "ts"):
			at, ok = integer(raw)
		case is(key, "state"):
			state, _ = Unquoted(raw)
		}
		return sound
	})
	return at, state, ok && sound
}

// find gives the place of a name, which is in quotes, among the points; -1 when it is none of them.
func (s *Scanner) find(quoted []byte) int {
	for range s.names {
		if s.hint >= len(s.names) {
			s.hint = 0
		}
		at := s.hint
		s.hint++
		if is(quoted, s.names[at]) {
			return at
		}
	}
	return -1
}

// is says whether a text in quotes is this one.
func is(quoted []byte, text string) bool {
	inside := quoted[1 : len(quoted)-1]
	if string(inside) == text {
		return bytes.IndexByte(inside, '\\') < 0
	}
	if bytes.IndexByte(inside, '\\') < 0 {
		return false
	}
	plain, ok := Unquoted(quoted)
	return ok && plain == text
}

// Unquoted gives a JSON string's text; false when it is none.
func Unquoted(quoted []byte) (string, bool) {
	if len(quoted) < 2 || quoted[0] != '"' {
		return "", false
	}
	if inside := quoted[1 : len(quoted)-1]; bytes.IndexByte(inside, '\\') < 0 {
		return string(inside), true
	}
	var text string
	return text, json.Unmarshal(quoted, &text) == nil
}

func sampleOf(value []byte) Sample {
	switch string(value) {
	case "true":
		return Sample{Kind: Number, Value: 1, Bool: true, Raw: value}
	case "false":
		return Sample{Kind: Number, Bool: true, Raw: value}
	}
	if n, ok := number(value); ok {
		return Sample{Kind: Number, Value: n, Raw: value}
	}
	return Sample{Kind: Text, Raw: value}
}

func integer(raw []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return n, err == nil
}

var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// number reads a JSON number. Plain decimals of up to 15 digits, which nearly all are, are a whole number
// and a power of ten that a float64 holds both exactly, so their quotient is the nearest there is.
func number(raw []byte) (float64, bool) {
	digits := raw
	if len(raw) > 0 && raw[0] == '-' {
		digits = raw[1:]
	}
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return 0, false
	}
	whole, decimals, point := uint64(0), 0, false
	for i, c := range digits {
		switch {
		case c >= '0' && c <= '9' && i < len(tens):
			whole = whole*10 + uint64(c-'0')
			if point {
				decimals++
			}
		case c == '.' && !point && i < len(tens):
			point = true
		default:
			n, err := strconv.ParseFloat(string(raw), 64)
			return n, err == nil
		}
	}
	n := float64(whole) / tens[decimals]
	if raw[0] == '-' {
		n = -n
	}
	return n, true
}
