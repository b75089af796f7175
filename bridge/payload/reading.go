package payload

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"sluice/gateway/message"
)

// reading is a stored reading taken apart without being converted: the parts are JSON as it stands in
// the record, so that numbers and names go up digit by digit as they came.
type reading struct {
	known           bool // that it is a reading; otherwise the rest is what the record alone tells
	gateway, device []byte
	epoch, seq, ts  []byte
	clock           []byte // nil: it is trusted
	points          []point
	own             []byte // memory of what did not come from the payload
}

// point is one point's share. A point without a value has a problem.
type point struct {
	name    []byte
	value   []byte // nil: there is none
	problem []byte
}

var noValue = []byte(`"no value"`)

// parse takes r apart and says whether it is a reading: a JSON object whose "values" is an object.
// Readings of MQTT devices may lack the rest; the record and the gateway's name fill it in.
func (in *reading) parse(r *message.Record, gateway string) bool {
	points, own := in.points[:0], in.own[:0]
	*in = reading{}
	var values, errors []byte
	if looksLikeObject(r.Payload) && json.Valid(r.Payload) {
		object := scanner{rest: r.Payload}
		for name, value := range object.members {
			if bytes.IndexByte(name, '\\') >= 0 {
				name = appendQuoted(nil, text(name))
			}
			switch string(name) {
			case `"gateway"`:
				in.gateway = ofKind(value, '"')
			case `"device"`:
				in.device = ofKind(value, '"')
			case `"epoch"`:
				in.epoch = wholeNumber(value)
			case `"seq"`:
				in.seq = wholeNumber(value)
			case `"ts"`:
				in.ts = wholeNumber(value)
			case `"clock"`:
				in.clock = ofKind(value, '"')
			case `"values"`:
				values = ofKind(value, '{')
			case `"errors"`:
				errors = ofKind(value, '{')
			}
		}
	}
	if values == nil {
		in.gateway, in.device, in.epoch, in.seq, in.ts, in.clock = nil, nil, nil, nil, nil, nil
	}
	in.fill(r, gateway, own)
	in.points = points
	if values == nil {
		return false
	}
	in.known = true
	for name, value := range (&scanner{rest: values}).members {
		if string(value) == "null" {
			in.points = append(in.points, point{name: name, problem: noValue})
			continue
		}
		in.points = append(in.points, point{name: name, value: value})
	}
	if errors != nil {
		for name, value := range (&scanner{rest: errors}).members {
			if ofKind(value, '"') == nil {
				value = noValue
			}
			in.points = append(in.points, point{name: name, problem: value})
		}
	}
	return true
}

// fill gives every part that the payload did not name.
func (in *reading) fill(r *message.Record, gateway string, own []byte) {
	// All in one piece of memory: what is appended later may move it, so the cuts come last.
	own = append(own, gateway...)
	g := len(own)
	if in.device == nil {
		own = appendQuoted(own, deviceOf(r))
	}
	d := len(own)
	own = strconv.AppendInt(own, r.Time, 10)
	t := len(own)
	own = strconv.AppendUint(own, r.Seq, 10)
	s := len(own)
	own = append(own, '0')
	in.own = own
	if in.gateway == nil {
		in.gateway = own[:g]
	}
	if in.device == nil {
		in.device = own[g:d]
	}
	if in.ts == nil {
		in.ts = own[d:t]
	}
	if in.seq == nil {
		in.seq = own[t:s]
	}
	if in.epoch == nil {
		in.epoch = own[s:]
	}
}

// deviceOf names the device that a record speaks of, as the topic templates of uplinks do.
func deviceOf(r *message.Record) string {
	if r.Device != "" {
		return r.Device
	}
	kind, rest, _ := strings.Cut(r.Topic, "/")
	switch kind {
	case "readings", "status", "commands", "replies", "alarms":
		if _, device, found := strings.Cut(rest, "/"); found {
			device, _, _ = strings.Cut(device, "/")
			return device
		}
	}
	return r.Topic[strings.LastIndexByte(r.Topic, '/')+1:]
}

func looksLikeObject(payload []byte) bool {
	payload = bytes.TrimLeft(payload, " \t\r\n")
	return len(payload) > 0 && payload[0] == '{'
}

// ofKind gives value if it begins as that kind of JSON does.
func ofKind(value []byte, first byte) []byte {
	if value[0] != first {
		return nil
	}
	return value
}

// wholeNumber gives value if it is one that 64 bits hold.
func wholeNumber(value []byte) []byte {
	if integerDigits(value) == 0 {
		return nil
	}
	if _, err := strconv.ParseInt(string(value), 10, 64); err != nil {
		if _, err := strconv.ParseUint(string(value), 10, 64); err != nil {
			return nil
		}
	}
	return value
}

// integerDigits counts the digits of a JSON number that has neither point nor exponent; 0: it is
// something else.
func integerDigits(value []byte) int {
	digits := bytes.TrimPrefix(value, []byte("-"))
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0
		}
	}
	return len(digits)
}

// text gives what a JSON string says.
func text(quoted []byte) string {
	if plain(quoted) {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		panic("bug: a string within valid JSON is none: " + err.Error())
	}
	return s
}

// plain says whether a JSON string says just what stands between its quotes.
func plain(quoted []byte) bool { return bytes.IndexByte(quoted, '\\') < 0 && utf8.Valid(quoted) }

// appendQuoted appends s as a JSON string.
func appendQuoted(b []byte, s string) []byte { return message.Text(s).AppendJSON(b) }

// scanner walks over one object of valid JSON. It need not look for mistakes: there are none.
type scanner struct{ rest []byte }

// members yields the name, quoted, and the value of each member.
func (s *scanner) members(yield func(name, value []byte) bool) {
	s.skip(1 + bytes.IndexByte(s.rest, '{'))
	for {
		s.space()
		if s.rest[0] == '}' {
			return
		}
		if s.rest[0] == ',' {
			s.skip(1)
			s.space()
		}
		name := s.value()
		s.space()
		s.skip(1) // the colon
		s.space()
		if !yield(name, s.value()) {
			return
		}
	}
}

func (s *scanner) skip(n int) { s.rest = s.rest[n:] }

func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t' || s.rest[0] == '\r' || s.rest[0] == '\n') {
		s.skip(1)
	}
}

// value cuts off the value that comes next.
func (s *scanner) value() []byte {
	n := 0
	switch s.rest[0] {
	case '"':
		n = stringEnd(s.rest)
	case '{', '[':
		n = nestedEnd(s.rest)
	default: // a number, true, false or null
		n = plainEnd(s.rest)
	}
	value := s.rest[:n:n]
	s.skip(n)
	return value
}

// plainEnd gives the length of the number or word that b begins with.
func plainEnd(b []byte) int {
	for i, c := range b {
		switch c {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return len(b)
}

// stringEnd gives the length of the string that b begins with, its quotes included.
func stringEnd(b []byte) int {
	for i := 1; ; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// nestedEnd gives the length of the object or array that b begins with.
func nestedEnd(b []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
