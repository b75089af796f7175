package payload

import (
	"bytes"
	"strings"

	"sluice/bridge"
)

// reserved are the keys that the object has for itself. A point of such a name has value_ before it.
var reserved = map[string]bool{
	`"ts"`: true, `"gateway"`: true, `"device"`: true, `"epoch"`: true, `"seq"`: true, `"clock"`: true, `"errors"`: true,
}

// appendObject makes one flat object: where the reading comes from, and every point by its name.
func appendObject(m *Maker, b []byte, in *reading) []byte {
	b = append(b, '{')
	b = appendSource(b, in)
	failed := false
	for i := range in.points {
		p := &in.points[i]
		b = append(b, ',')
		if reserved[string(p.name)] {
			b = append(b, `"value_`...)
			b = append(b, p.name[1:]...)
		} else {
			b = append(b, p.name...)
		}
		b = append(b, ':')
		b = m.appendValueOrNull(b, p)
		failed = failed || p.value == nil
	}
	if failed {
		b = append(b, `,"errors":{`...)
		b = appendMembers(b, in, failedPoint, func(b []byte, p *point) []byte { return append(b, p.problem...) })
		b = append(b, '}')
	}
	return append(b, '}')
}

// appendSource appends the members that say which reading this is.
func appendSource(b []byte, in *reading) []byte {
	b = append(append(b, `"ts":`...), in.ts...)
	if in.clock != nil {
		b = append(append(b, `,"clock":`...), in.clock...)
	}
	b = append(append(b, `,"gateway":`...), in.gateway...)
	b = append(append(b, `,"device":`...), in.device...)
	b = append(append(b, `,"epoch":`...), in.epoch...)
	return append(append(b, `,"seq":`...), in.seq...)
}

// appendValues makes an object of the points alone; one without a value is null.
func appendValues(m *Maker, b []byte, in *reading) []byte {
	b = append(b, '{')
	b = appendMembers(b, in, anyPoint, m.appendValueOrNull)
	return append(b, '}')
}

func anyPoint(*point) bool      { return true }
func goodPoint(p *point) bool   { return p.value != nil }
func failedPoint(p *point) bool { return p.value == nil }

// appendMembers appends name and value of the chosen points.
func appendMembers(b []byte, in *reading, chosen func(*point) bool, value func([]byte, *point) []byte) []byte {
	first := true
	for i := range in.points {
		p := &in.points[i]
		if !chosen(p) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(append(b, p.name...), ':')
		b = value(b, p)
	}
	return b
}

func (m *Maker) appendValueOrNull(b []byte, p *point) []byte {
	if p.value == nil {
		return append(b, "null"...)
	}
	return m.appendValue(b, p)
}

// largestExact is the largest whole number that a 64-bit float holds beside all smaller ones.
const largestExact = "9007199254740991"

// appendValue appends the value of a point that has one.
func (m *Maker) appendValue(b []byte, p *point) []byte {
	if m.options.BigIntegers != "text" {
		return append(b, p.value...)
	}
	digits := integerDigits(p.value)
	if digits < len(largestExact) || digits == len(largestExact) && string(bytes.TrimPrefix(p.value, []byte("-"))) <= largestExact {
		return append(b, p.value...)
	}
	b = append(b, '"')
	b = append(b, p.value...)
	return append(b, '"')
}

// makePoints makes one message a point.
func makePoints(m *Maker, dst []bridge.Made, in *reading) []bridge.Made {
	for i := range in.points {
		p := &in.points[i]
		b := append(m.scratch[:0], `{"name":`...)
		b = append(b, p.name...)
		b = append(b, `,"value":`...)
		b = m.appendValueOrNull(b, p)
		if p.value == nil {
			b = append(append(b, `,"error":`...), p.problem...)
		}
		b = append(b, ',')
		m.scratch = append(appendSource(b, in), '}')
		dst = append(dst, bridge.Made{Point: topicLevel(text(p.name)), Payload: m.keep()})
	}
	return dst
}

var levelCharacters = strings.NewReplacer("/", "_", "+", "_", "#", "_", "\x00", "_")

// topicLevel makes a point's name fit for one level of a topic.
func topicLevel(name string) string {
	if name == "" {
		return "_"
	}
	return levelCharacters.Replace(name)
}
