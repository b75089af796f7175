package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"sluice/gateway/message"
)

// errReading marks a payload that is no reading.
var errReading = errors.New("no reading")

// reading is what a rule needs of a reading's payload. Whoever may publish under readings/ writes such
// payloads, so nothing is taken for granted. It is walked in place: that costs no allocation unless a name
// or text has an escape.
type reading struct {
	time   int64 // 0: it says none
	values []byte
	errors []byte
}

// read finds the parts of a payload; the last of a name that repeats counts.
func (r *reading) read(payload []byte) error {
	*r = reading{}
	return walk(payload, func(name, value []byte) error {
		switch string(name) {
		case "ts":
			if n, ok := number(value); ok && n == math.Trunc(n) && math.Abs(n) < 1<<53 {
				r.time = int64(n)
			}
		case "values":
			r.values = value
		case "errors":
			r.errors = value
		}
		return nil
	})
}

// walk calls each for every member of the JSON object in text. name and value lie in text, unless the name
// has an escape.
func walk(text []byte, each func(name, value []byte) error) error {
	s := scanner{text: text}
	if !s.take('{') {
		return errReading
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return errReading
		}
		name, ok := s.word()
		if !ok || !s.take(':') {
			return errReading
		}
		value, ok := s.value()
		if !ok {
			return errReading
		}
		if err := each(name, value); err != nil {
			return err
		}
	}
	if s.blank(); s.at != len(text) {
		return errReading
	}
	return nil
}

// scanner steps over JSON. What it steps over it checks only as far as it must to find its end.
type scanner struct {
	text []byte
	at   int
}

func (s *scanner) blank() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\n' || s.text[s.at] == '\t' || s.text[s.at] == '\r') {
		s.at++
	}
}

func (s *scanner) take(c byte) bool {
	s.blank()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// word takes a string and gives what it means.
func (s *scanner) word() ([]byte, bool) {
	s.blank()
	quoted, escaped, ok := s.quoted()
	if !ok || !escaped {
		return bytes.Trim(quoted, `"`), ok
	}
	var plain string
	if json.Unmarshal(quoted, &plain) != nil {
		return nil, false
	}
	return []byte(plain), true
}

// quoted takes a string with its quotes.
func (s *scanner) quoted() (quoted []byte, escaped, ok bool) {
	from := s.at
	if from >= len(s.text) || s.text[from] != '"' {
		return nil, false, false
	}
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[from:s.at], escaped, true
		case c == '\\':
			escaped = true
			s.at++
		case c < ' ':
			return nil, false, false
		}
	}
	return nil, false, false
}

// value takes whatever stands here.
func (s *scanner) value() ([]byte, bool) {
	s.blank()
	if s.at >= len(s.text) {
		return nil, false
	}
	from := s.at
	switch s.text[s.at] {
	case '"':
		_, _, ok := s.quoted()
		return s.text[from:s.at], ok
	case '{', '[':
		return s.nested()
	}
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return s.text[from:s.at], s.at > from
		}
		s.at++
	}
	return s.text[from:s.at], s.at > from
}

// nested takes an object or a list with all that is in it.
func (s *scanner) nested() ([]byte, bool) {
	from, depth := s.at, 0
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '"':
			if _, _, ok := s.quoted(); !ok {
				return nil, false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.at++
				return s.text[from:s.at], true
			}
		}
		s.at++
	}
	return nil, false
}

// scalar reads a value of a reading; absent for null and for what is no scalar. was lends its text where it
// is the same, so that a text that does not change costs nothing.
func scalar(token []byte, was message.Value) message.Value {
	switch {
	case len(token) == 0:
	case token[0] == '"':
		if kept, is := was.AsText(); is && len(token) == len(kept)+2 && string(token[1:len(token)-1]) == kept {
			return was
		}
		s := scanner{text: token}
		if text, ok := s.word(); ok {
			return message.Text(string(text))
		}
	case string(token) == "true":
		return message.Bool(true)
	case string(token) == "false":
		return message.Bool(false)
	default:
		if n, ok := number(token); ok {
			return message.Float64(n)
		}
	}
	return message.Value{}
}

// number reads a JSON number. Up to 15 digits with at most 22 decimals are exact in one division; the rest
// goes the long way.
func number(token []byte) (float64, bool) {
	mantissa, decimals, digits, at := uint64(0), 0, 0, 0
	negative := len(token) > 0 && token[0] == '-'
	if negative {
		at++
	}
	for fraction := false; at < len(token); at++ {
		switch c := token[at]; {
		case c >= '0' && c <= '9' && digits < 15:
			mantissa = mantissa*10 + uint64(c-'0')
			digits++
			if fraction {
				decimals++
			}
		case c == '.' && !fraction && digits > 0:
			fraction = true
		default:
			return longNumber(token)
		}
	}
	if digits == 0 || token[len(token)-1] == '.' {
		return 0, false
	}
	n := float64(mantissa) / powers[decimals]
	if negative {
		n = -n
	}
	return n, true
}

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

func longNumber(token []byte) (float64, bool) {
	if !json.Valid(token) { // ParseFloat takes more than JSON has
		return 0, false
	}
	n, err := strconv.ParseFloat(string(token), 64)
	return n, err == nil && token[0] != '"'
}
