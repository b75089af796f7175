package payload

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// What is read of one payload for people. Counts and lengths go on beyond that.
const (
	maxReadMetrics = 1000
	maxReadText    = 1024 // bytes of a value or a name
	maxReadBytes   = 64   // of a binary value, which become twice as many digits
)

// SparkplugContent is what a Sparkplug B message says, for people to read.
type SparkplugContent struct {
	Kind        string // NBIRTH, DDATA and so on
	Group, Node string
	Device      string    // empty: it is about the node itself
	Time        time.Time // zero: there is none, or none that a calendar has
	Seq         *uint64   // nil: there is none
	Metrics     []SparkplugMetric
	Count       int // of the metrics, of which Metrics are the first
}

// SparkplugMetric is one metric. Its name is empty where the birth has told which name the alias has.
type SparkplugMetric struct {
	Name       string
	Alias      *uint64
	Type       string // as the specification writes it; empty: the message does not say
	Time       time.Time
	Historical bool
	Null       bool   // there is no value
	Value      string // a number has all its digits, what is binary is in hexadecimal
	Bytes      int    // how long the value is, where Value is binary or only its beginning
}

// ReadSparkplug reads any edge node's or host's message; ok is false for what is none, by its topic or
// by its form, and for what its sender has compressed.
func ReadSparkplug(topic string, payload []byte) (content SparkplugContent, ok bool) {
	levels := strings.Split(topic, "/")
	if len(levels) < 4 || levels[0] != "spBv1.0" {
		return content, false
	}
	content.Group, content.Kind, content.Node = levels[1], levels[2], levels[3]
	switch content.Kind {
	case "NBIRTH", "NDEATH", "NDATA", "NCMD":
		ok = len(levels) == 4
	case "DBIRTH", "DDEATH", "DDATA", "DCMD":
		if ok = len(levels) == 5; ok {
			content.Device = levels[4]
		}
	}
	if !ok || len(payload) == 0 {
		return content, false
	}
	return content, eachField(payload, content.field) == nil
}

// field reads one field of a Payload. One with a number that Sparkplug has not, or with the wire type of
// another, is a sign of something else.
func (c *SparkplugContent) field(field protowire.Number, kind protowire.Type, v fieldValue) error {
	switch {
	case field == payloadTimestamp && kind == protowire.VarintType:
		c.Time = sparkplugTime(v.number)
	case field == payloadSeq && kind == protowire.VarintType:
		c.Seq = &v.number
	case field == payloadMetrics && kind == protowire.BytesType:
		if c.Count++; c.Count > maxReadMetrics {
			return nil
		}
		m, err := decodeMetric(v.bytes)
		if err != nil {
			return err
		}
		c.Metrics = append(c.Metrics, m.shown())
	case field == payloadUUID && kind == protowire.BytesType:
		if string(v.bytes) == "SPBV1.0_COMPRESSED" {
			return errBadPayload // what counts is compressed
		}
	case field == payloadBody && kind == protowire.BytesType:
	default:
		return errBadPayload
	}
	return nil
}

// shown gives a decoded metric as people read it.
func (m *wireMetric) shown() SparkplugMetric {
	shown := SparkplugMetric{Type: m.kind.String(), Time: sparkplugTime(uint64(m.time)), Historical: m.historical, Null: m.null || m.field == 0}
	shown.Name, _ = beginning(m.name, maxReadText)
	if m.aliased {
		shown.Alias = &m.alias
	}
	if shown.Null {
		return shown
	}
	switch m.field {
	case metricBytes, metricDataSet, metricTemplate:
		shown.Value = hex.EncodeToString([]byte(m.value.text[:min(len(m.value.text), maxReadBytes)]))
		shown.Bytes = len(m.value.text)
		return shown
	case metricFloat, metricDouble: // which JSON has no word for, if they are no numbers
		if f := m.float(); math.IsNaN(f) || math.IsInf(f, 0) {
			shown.Value = strconv.FormatFloat(f, 'g', -1, 64)
			return shown
		}
	case metricLong:
		if at := sparkplugTime(m.value.bits); m.kind == typeDateTime && !at.IsZero() {
			shown.Value = at.Format("2006-01-02T15:04:05.000Z07:00")
			return shown
		}
	}
	value, err := m.commanded()
	if err != nil {
		panic("bug: a metric with a value has none: " + err.Error())
	}
	text, isText := value.AsText()
	if !isText {
		shown.Value = value.String()
		return shown
	}
	var whole bool
	if shown.Value, whole = beginning(text, maxReadText); !whole {
		shown.Bytes = len(m.value.text)
	}
	return shown
}

func (m *wireMetric) float() float64 {
	if m.field == metricFloat {
		return float64(math.Float32frombits(uint32(m.value.bits)))
	}
	return math.Float64frombits(m.value.bits)
}

// beginning gives the characters of a text that fit into so many bytes.
func beginning(s string, most int) (fits string, whole bool) {
	if whole = len(s) <= most; !whole {
		s = s[:most]
	}
	if whole {
		return strings.ToValidUTF8(s, "\ufffd"), true
	}
	return strings.ToValidUTF8(s, ""), false // a character that was cut in two goes
}

// sparkplugTime gives a moment in Unix milliseconds, or the zero time if it has more digits in its year
// than JSON's dates.
func sparkplugTime(ms uint64) time.Time {
	const year10000 = 253402300800000
	if ms == 0 || ms >= year10000 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// String names a type as the specification does; by its number if it is a later one; empty: it is not told.
func (t dataType) String() string {
	names := [...]string{"", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float", "Double", "Boolean", "String", "DateTime", "Text",
		"UUID", "DataSet", "Bytes", "File", "Template", "PropertySet", "PropertySetList", "Int8Array", "Int16Array", "Int32Array", "Int64Array", "UInt8Array",
		"UInt16Array", "UInt32Array", "UInt64Array", "FloatArray", "DoubleArray", "BooleanArray", "StringArray", "DateTimeArray"}
	if int(t) < len(names) {
		return names[t]
	}
	return strconv.FormatUint(uint64(t), 10)
}
