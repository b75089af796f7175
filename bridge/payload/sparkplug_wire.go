package payload

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// dataType is Sparkplug's number for the type of a metric.
type dataType uint32

// Those that we write, and those that have a form of their own when they are read.
const (
	typeUnknown dataType = iota
	typeInt8
	typeInt16
	typeInt32
	typeInt64
	typeUInt8
	typeUInt16
	typeUInt32
	typeUInt64
	typeFloat
	typeDouble
	typeBoolean
	typeString
	typeDateTime
	typeText
)

// metricValue is a value as the wire has it: bits of a number or boolean, or text.
type metricValue struct {
	bits uint64
	text string
}

// wireMetric is one metric of a payload.
type wireMetric struct {
	name       string // empty: the alias tells
	alias      uint64 // 0: there is none, of those that we write
	aliased    bool   // where it was decoded: others may begin with the alias 0
	time       int64
	kind       dataType
	historical bool
	null       bool
	value      metricValue
	field      protowire.Number // of the value, where it was decoded; 0: there was none
}

func typeOf(raw []byte) dataType {
	switch raw[0] {
	case 't', 'f':
		return typeBoolean
	case '"', '{', '[':
		return typeString
	}
	if integerDigits(raw) > 0 {
		if _, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return typeInt64
		}
		if _, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
			return typeUInt64
		}
	}
	return typeDouble
}

// join gives the type that holds what t held and raw too. It only ever widens, so a device is born
// anew for a metric three times at most: whole number, fraction, text.
func (t dataType) join(raw []byte) dataType {
	seen := typeOf(raw)
	switch {
	case t == typeUnknown || t == seen:
		return seen
	case t.isNumber() && seen.isNumber():
		if t == typeUInt64 && seen == typeInt64 && raw[0] != '-' {
			return t
		}
		return typeDouble
	}
	return typeString
}

func (t dataType) isNumber() bool { return t == typeInt64 || t == typeUInt64 || t == typeDouble }

// orDouble is the type of a metric that never had a value.
func (t dataType) orDouble() dataType {
	if t == typeUnknown {
		return typeDouble
	}
	return t
}

// value converts a JSON value to a type that can hold it.
func (t dataType) value(raw []byte) metricValue {
	switch t {
	case typeBoolean:
		return metricValue{bits: protowire.EncodeBool(raw[0] == 't')}
	case typeInt64:
		n, _ := strconv.ParseInt(string(raw), 10, 64)
		return metricValue{bits: uint64(n)}
	case typeUInt64:
		n, _ := strconv.ParseUint(string(raw), 10, 64)
		return metricValue{bits: n}
	case typeDouble:
		f, _ := strconv.ParseFloat(string(raw), 64) // beyond the range it is an infinity
		return metricValue{bits: math.Float64bits(f)}
	}
	if raw[0] == '"' {
		return metricValue{text: text(raw)}
	}
	return metricValue{text: string(raw)}
}

// Field numbers of sparkplug_b.proto.
const (
	payloadTimestamp protowire.Number = 1
	payloadMetrics   protowire.Number = 2
	payloadSeq       protowire.Number = 3
	payloadUUID      protowire.Number = 4 // says that what counts is in a body, which may be compressed
	payloadBody      protowire.Number = 5

	metricName       protowire.Number = 1
	metricAlias      protowire.Number = 2
	metricTimestamp  protowire.Number = 3
	metricDatatype   protowire.Number = 4
	metricHistorical protowire.Number = 5
	metricNull       protowire.Number = 7
	metricInt        protowire.Number = 10
	metricLong       protowire.Number = 11
	metricFloat      protowire.Number = 12
	metricDouble     protowire.Number = 13
	metricBoolean    protowire.Number = 14
	metricString     protowire.Number = 15
	metricBytes      protowire.Number = 16 // also File, and arrays
	metricDataSet    protowire.Number = 17
	metricTemplate   protowire.Number = 18
)

// payloadWriter writes a Payload field by field.
type payloadWriter struct{ bytes, inner []byte }

func (p *payloadWriter) timestamp(ms int64) {
	p.bytes = appendVarint(p.bytes, payloadTimestamp, uint64(ms))
}

func (p *payloadWriter) seq(n uint64) { p.bytes = appendVarint(p.bytes, payloadSeq, n) }

// metric writes one metric. The type stands in data too, where the specification could do without:
// not every decoder keeps what the birth has said.
func (p *payloadWriter) metric(m *wireMetric) {
	b := p.inner[:0]
	if m.name != "" {
		b = appendText(b, metricName, m.name)
	}
	if m.alias != 0 {
		b = appendVarint(b, metricAlias, m.alias)
	}
	if m.time != 0 {
		b = appendVarint(b, metricTimestamp, uint64(m.time))
	}
	b = appendVarint(b, metricDatatype, uint64(m.kind))
	if m.historical {
		b = appendVarint(b, metricHistorical, 1)
	}
	if m.null {
		b = appendVarint(b, metricNull, 1)
	} else {
		b = appendValueField(b, m)
	}
	p.inner = b
	p.bytes = protowire.AppendTag(p.bytes, payloadMetrics, protowire.BytesType)
	p.bytes = protowire.AppendBytes(p.bytes, b)
}

func appendValueField(b []byte, m *wireMetric) []byte {
	switch m.kind {
	case typeInt64, typeUInt64:
		return appendVarint(b, metricLong, m.value.bits)
	case typeBoolean:
		return appendVarint(b, metricBoolean, m.value.bits)
	case typeDouble:
		b = protowire.AppendTag(b, metricDouble, protowire.Fixed64Type)
		return protowire.AppendFixed64(b, m.value.bits)
	}
	return appendText(b, metricString, m.value.text)
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendText(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

// maxCommandMetrics bounds what one command may ask.
const maxCommandMetrics = 1000

var errBadPayload = errors.New("the command is no Sparkplug payload")

// decodeMetrics reads the metrics of a Payload. Fields that it does not know are passed over.
func decodeMetrics(b []byte) ([]wireMetric, error) {
	var metrics []wireMetric
	err := eachField(b, func(field protowire.Number, kind protowire.Type, v fieldValue) error {
		if field != payloadMetrics || kind != protowire.BytesType {
			return nil
		}
		if len(metrics) == maxCommandMetrics {
			return fmt.Errorf("the command has more than %d metrics", maxCommandMetrics)
		}
		m, err := decodeMetric(v.bytes)
		metrics = append(metrics, m)
		return err
	})
	return metrics, err
}

func decodeMetric(b []byte) (wireMetric, error) {
	var m wireMetric
	err := eachField(b, func(field protowire.Number, kind protowire.Type, v fieldValue) error {
		if !fits(field, kind) {
			return nil
		}
		switch field {
		case metricName:
			m.name = string(v.bytes)
		case metricAlias:
			m.alias, m.aliased = v.number, true
		case metricTimestamp:
			m.time = int64(v.number)
		case metricDatatype:
			m.kind = dataType(v.number)
		case metricHistorical:
			m.historical = v.number != 0
		case metricNull:
			m.null = v.number != 0
		case metricInt, metricLong, metricFloat, metricDouble, metricBoolean:
			m.field, m.value = field, metricValue{bits: v.number}
		case metricString, metricBytes, metricDataSet, metricTemplate:
			m.field, m.value = field, metricValue{text: string(v.bytes)}
		}
		return nil
	})
	return m, err
}

// fits says whether a field of a metric came with its own wire type.
func fits(field protowire.Number, kind protowire.Type) bool {
	switch field {
	case metricName, metricString, metricBytes, metricDataSet, metricTemplate:
		return kind == protowire.BytesType
	case metricFloat:
		return kind == protowire.Fixed32Type
	case metricDouble:
		return kind == protowire.Fixed64Type
	}
	return kind == protowire.VarintType
}

type fieldValue struct {
	number uint64
	bytes  []byte
}

func eachField(b []byte, each func(protowire.Number, protowire.Type, fieldValue) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errBadPayload
		}
		b = b[n:]
		var v fieldValue
		switch kind {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var word uint32
			word, n = protowire.ConsumeFixed32(b)
			v.number = uint64(word)
		case protowire.Fixed64Type:
			v.number, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return errBadPayload
		}
		b = b[n:]
		if err := each(field, kind, v); err != nil {
			return err
		}
	}
	return nil
}
