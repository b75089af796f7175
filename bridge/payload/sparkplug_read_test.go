package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const pressTopic = "spBv1.0/plant 1/DDATA/line-3/press"

// inWords writes what was read, a metric a line.
func inWords(c SparkplugContent) string {
	var b strings.Builder
	number := func(n *uint64) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	}
	fmt.Fprintf(&b, "%s %s/%s/%s seq %s, %d metrics, at %s\n", c.Kind, c.Group, c.Node, c.Device, number(c.Seq), c.Count, c.Time.Format(time.RFC3339))
	for _, m := range c.Metrics {
		fmt.Fprintf(&b, "%s|%s|%s|%s|%d", m.Name, number(m.Alias), m.Type, m.Value, m.Bytes)
		if m.Null {
			b.WriteString("|null")
		}
		if m.Historical {
			b.WriteString("|historical")
		}
		if m.Time.IsZero() {
			b.WriteString("|no time")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestAnybodysSparkplugIsRead(t *testing.T) {
	for name, c := range map[string]struct{ topic, want string }{
		"birth": {"spBv1.0/plant 1/NBIRTH/line-3", `NBIRTH plant 1/line-3/ seq 0, 17 metrics, at 2026-11-22T11:07:50Z
int8|0|Int8|-8|0
int16|1|Int16|-16|0
int32|2|Int32|-32|0
int64|3|Int64|-64|0
uint8|4|UInt8|200|0
uint32|5|UInt32|4000000000|0
uint64|6|UInt64|18446744073709551615|0
float|7|Float|21.3|0
double|8|Double|-0.5|0
boolean|9|Boolean|true|0
温度|10|String|hoch|0
since|-|DateTime|2026-11-22T11:07:50.000Z|0
raw|18446744073709551615|Bytes|00ff41|3
unknown|-|Double||0|null
table|-|DataSet|0801120161180322040a020807|13
nan|-|Double|NaN|0
unit|-|Double|1.5|0
`},
		"data": {pressTopic, `DDATA plant 1/line-3/press seq 255, 2 metrics, at 2026-11-22T11:07:50Z
|0|Int8|-9|0
|9|Boolean|false|0|historical|no time
`},
		"death": {"spBv1.0/plant 1/NDEATH/line-3", `NDEATH plant 1/line-3/ seq -, 1 metrics, at 2026-11-22T11:07:50Z
bdSeq|-|UInt64|7|0
`},
	} {
		payload := recorded(t, "messages", name)
		content, ok := ReadSparkplug(c.topic, payload)
		if got := inWords(content); !ok || got != c.want {
			t.Errorf("%s: %v\n%swant\n%s", name, ok, got, c.want)
		}
		_, metrics, _ := strings.Cut(c.want, "\n")
		for cut := range len(payload) { // which may leave whole fields, and never half ones
			short, ok := ReadSparkplug(c.topic, payload[:cut])
			if _, fewer, _ := strings.Cut(inWords(short), "\n"); ok && !strings.HasPrefix(metrics, fewer) {
				t.Errorf("%d bytes of %s are read as\n%s", cut, name, fewer)
			}
		}
	}
}

func TestWhatWeTellIsReadAsWell(t *testing.T) {
	for _, m := range spoken(t) {
		if content, ok := ReadSparkplug(m.Topic, m.Payload); !ok || content.Count == 0 && content.Kind != "DDEATH" || content.Count != len(content.Metrics) {
			t.Errorf("%s is read as %v\n%s", m.Topic, ok, inWords(content))
		}
	}
}

func TestOnlySparkplugIsReadAsSparkplug(t *testing.T) {
	data := recorded(t, "messages", "data")
	for _, c := range []struct {
		topic   string
		payload []byte
	}{
		{"plant 1/DDATA/line-3/press", data},
		{"spBv2.0/plant 1/DDATA/line-3/press", data},
		{"spBv1.0/plant 1/DDATA/line-3", data},
		{"spBv1.0/plant 1/DDATA/line-3/press/more", data},
		{"spBv1.0/plant 1/NDATA/line-3/press", data},
		{"spBv1.0/plant 1/WHAT/line-3", data},
		{"spBv1.0/STATE/scada", []byte(`{"online":true,"timestamp":1795345670000}`)},
		{pressTopic, nil},
		{pressTopic, []byte(`{"value":7}`)},
		{pressTopic, []byte("21.5")},
		{pressTopic, data[:len(data)-1]},
		{pressTopic, append(bytes.Clone(data), 0x30, 1)}, // a field that Sparkplug has not
		{pressTopic, recorded(t, "messages", "compressed")},
	} {
		if content, ok := ReadSparkplug(c.topic, c.payload); ok {
			t.Errorf("%q on %s is read as\n%s", c.payload, c.topic, inWords(content))
		}
	}
}

func TestWhatIsReadOfSparkplugIsBounded(t *testing.T) {
	var p payloadWriter
	p.metric(&wireMetric{name: strings.Repeat("名", 1000), kind: typeString, value: metricValue{text: strings.Repeat("值", 1000)}})
	p.metric(&wireMetric{name: "\xff", kind: 99, time: math.MaxInt64, value: metricValue{text: "a\xffb"}})
	for range maxReadMetrics {
		p.metric(&wireMetric{alias: 7, kind: typeInt64})
	}
	content, ok := ReadSparkplug(pressTopic, p.bytes)
	if !ok || len(content.Metrics) != maxReadMetrics || content.Count != maxReadMetrics+2 {
		t.Fatalf("%v: %d of %d metrics", ok, len(content.Metrics), content.Count)
	}
	if m := content.Metrics[0]; m.Name != strings.Repeat("名", 341) || m.Value != strings.Repeat("值", 341) || m.Bytes != 3000 {
		t.Errorf("of 1000 characters it keeps %d in the name, %d in the value, of %d bytes", utf8.RuneCountInString(m.Name), utf8.RuneCountInString(m.Value), m.Bytes)
	}
	if m := content.Metrics[1]; m.Name != "\ufffd" || m.Value != "a\ufffdb" || m.Type != "99" || !m.Time.IsZero() {
		t.Errorf("what is no text, no type and no time is read as %+v", m)
	}
}

func TestRecordedMessagesAreThePeers(t *testing.T) {
	golden(t, "testdata/sparkplug/messages.json", peer(t, "", "messages"))
}

func FuzzReadSparkplug(f *testing.F) {
	for _, name := range []string{"birth", "data", "death", "compressed"} {
		f.Add(recorded(f, "messages", name))
	}
	for _, name := range []string{"types", "broken"} {
		f.Add(recorded(f, "commands", name))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		content, ok := ReadSparkplug(pressTopic, payload)
		if !ok {
			return // it is shown as bytes
		}
		if len(content.Metrics) != min(content.Count, maxReadMetrics) {
			t.Errorf("%x: %d of %d metrics", payload, len(content.Metrics), content.Count)
		}
		for _, m := range content.Metrics {
			// A byte that is no text becomes one of three.
			if len(m.Name) > 3*maxReadText || len(m.Value) > 3*maxReadText || !utf8.ValidString(m.Name) || !utf8.ValidString(m.Value) || m.Null && m.Value != "" {
				t.Errorf("%x: %+v", payload, m)
			}
		}
		if _, err := json.Marshal(content); err != nil {
			t.Errorf("%x: %v", payload, err)
		}
	})
}
