package rocketmq

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"sluice/bridge"
	"sluice/gateway/message"
	engine "sluice/gateway/queue"
	"sluice/gateway/remoting"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func properties(t *testing.T, o *bridge.Outgoing) (remoting.Part, map[string]string) {
	t.Helper()
	p, err := part(o)
	if err != nil {
		t.Fatal(err)
	}
	list, err := remoting.ParseProperties(p.Properties)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, one := range list {
		all[one.Name] = one.Value
	}
	return p, all
}

// The gateway's own RocketMQ listener shows a record under some name with some properties; consumers in
// the cloud see the same, but for who it is.
func TestTheCloudSeesWhatTheGatewayShows(t *testing.T) {
	for _, r := range []message.Record{
		{Position: 7, Message: message.Message{Topic: "readings/line-3/press 1", Payload: []byte("{}"), Device: "press 1", Seq: 3, Time: 1795345665221}},
		{Position: 8, Message: message.Message{Topic: "a/b", Payload: []byte("x"), Client: "c1", QoS: 1, Time: 1795345665221,
			Properties: []message.Property{{Name: "unit", Value: "\"°C\x02"}, {Name: "\x00expiry", Value: "3"}}}},
	} {
		o := &bridge.Outgoing{Topic: r.Topic, Key: r.Topic, Payload: r.Payload, QoS: r.QoS, Properties: r.Properties, Origin: "line-3-1", Record: &r}
		_, got := properties(t, o)
		want := engine.FromRecord(&r)
		if name := topicOf(o.Topic); name != want.Topic {
			t.Errorf("topic %s, want %s", name, want.Topic)
		}
		for _, p := range want.Properties {
			if p.Name != engine.UniqueKey && got[p.Name] != p.Value {
				t.Errorf("%s: %s is %q, want %q", r.Topic, p.Name, got[p.Name], p.Value)
			}
		}
		if len(got) != len(want.Properties) {
			t.Errorf("%s: %v, want %v", r.Topic, got, want.Properties)
		}
	}
}

func TestTopicNamesAreThoseOfTheListener(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "Z", "9", "_", "-", "|", "%", "%4", "%41", "%4a", "ü", " ", ".", "RMQ_SYS_", "%RETRY%", "TBW102"}
	for range 5000 {
		level := ""
		for range 1 + random.IntN(4) {
			level += letters[random.IntN(len(letters))]
		}
		r := message.Record{Message: message.Message{Topic: level + "/x"}}
		if got, want := topicName(level), engine.FromRecord(&r).Topic; got != want {
			t.Fatalf("%q: got %s, want %s", level, got, want)
		}
	}
}

func TestAMessageOfAProducerStaysAsItWas(t *testing.T) {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	w.Write([]byte("a long text"))
	w.Close()
	r := message.Record{Position: 9, Message: message.Message{Topic: "orders", Payload: packed.Bytes(), Properties: []message.Property{
		{Name: "KEYS", Value: "k1 k2"}, {Name: "TAGS", Value: "paid"}, {Name: "UNIQ_KEY", Value: "0A0000010000000000000000"}, {Name: "DELAY", Value: "3"},
		{Name: "colour", Value: "red"}, {Name: envelopeName, Value: fmt.Sprintf("5 %d 1795345665221 0 0 ", remoting.SysCompressed)}}}}
	o := &bridge.Outgoing{Topic: "cloud-orders", Key: "orders", Payload: r.Payload, Properties: r.Properties, Origin: "line-3-1", Record: &r,
		Marks: []message.Property{{Name: bridge.OriginMark, Value: "line-3"}}}
	p, got := properties(t, o)
	if string(p.Body) != "a long text" || p.Flag != 5 {
		t.Errorf("body %q, flag %d", p.Body, p.Flag)
	}
	want := map[string]string{"KEYS": "k1 k2", "TAGS": "paid", "UNIQ_KEY": "0A0000010000000000000000", "colour": "red",
		"originMqttTopic": "cloud-orders", "sluice-origin": "line-3"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	o.Part = 1
	if _, second := properties(t, o); second["UNIQ_KEY"] == want["UNIQ_KEY"] || len(second["UNIQ_KEY"]) != 32 {
		t.Errorf("the second part of a message has the key %s", second["UNIQ_KEY"])
	}
}

func TestUniqueKeysAreTheSameAtARepetitionAndDifferOtherwise(t *testing.T) {
	seen := map[string]string{}
	for _, origin := range []string{"line-3-1", "line-3-2", "line-4-1"} {
		for _, at := range []message.Position{1, 2, 1 << 16, 1<<16 + 1, 1 << 40} {
			for part := range 3 {
				r := &message.Record{Position: at, Message: message.Message{Time: 1795345665221}}
				o := &bridge.Outgoing{Origin: origin, Part: part, Record: r}
				key := uniqueKey(o)
				if other, taken := seen[key]; taken || len(key) != 32 || key != uniqueKey(o) {
					t.Errorf("%s: %s has the key of %s", key, o.ID(), other)
				}
				seen[key] = o.ID()
			}
		}
	}
}

func TestAnEmptyPayloadIsMarked(t *testing.T) {
	o := outgoing("a", "", 1)
	if p, got := properties(t, o); string(p.Body) != " " || got[emptyName] != "true" {
		t.Errorf("body %q, %v", p.Body, got)
	}
}

func TestWhatCannotBeSentIsAnError(t *testing.T) {
	o := outgoing("a", "x", 1)
	o.Record.Client = "c\x02"
	if p, err := part(o); err == nil {
		t.Errorf("made %q", p.Properties)
	}
}
