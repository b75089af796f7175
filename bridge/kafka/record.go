package kafka

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/bridge"
	"sluice/gateway/message"
)

// Headers beside the message's own properties.
const (
	idHeader    = "sluice-id"    // the same at every repetition
	topicHeader = "sluice-topic" // the topic in the gateway, where the key does not say it
)

// longestTopic is Kafka's limit.
const longestTopic = 249

// topicName makes a Kafka topic of an MQTT one: a level ends with a dot instead of a slash, and what
// Kafka does not allow in a name becomes an underscore.
func topicName(topic string) (string, error) {
	if err := message.CheckTopic(topic); err != nil {
		return "", err
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case r == '/':
			return '.'
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, topic)
	if name == "." || name == ".." {
		return "", fmt.Errorf("%q cannot be the name of a Kafka topic", topic)
	}
	if len(name) > longestTopic {
		return "", fmt.Errorf("the topic %q is too long for Kafka, which allows %d bytes", topic, longestTopic)
	}
	return name, nil
}

// order names what keeps its order: one topic and one key are in one partition.
type order struct{ topic, key string }

// record makes what franz-go is given. Its time is that of sending: a clock that was wrong when a
// reading was taken must not let a broker's retention delete it at once.
func (o *Options) record(out *bridge.Outgoing) (*kgo.Record, order, error) {
	topic, err := topicName(out.Topic)
	if err != nil {
		return nil, order{}, &bridge.RefusedError{Reason: err.Error()}
	}
	at := order{topic, out.Key}
	headers := []kgo.RecordHeader{{Key: idHeader, Value: []byte(out.ID())}}
	if o.Key == keyDevice && out.Record.Device != "" {
		at.key = out.Record.Device
		headers = append(headers, kgo.RecordHeader{Key: topicHeader, Value: []byte(out.Record.Topic)})
	}
	for p := range out.UserProperties() {
		headers = append(headers, kgo.RecordHeader{Key: p.Name, Value: []byte(p.Value)})
	}
	r := &kgo.Record{Topic: topic, Key: []byte(at.key), Value: out.Payload, Headers: headers}
	if n := recordSize(r); n > o.room() {
		return nil, order{}, &bridge.RefusedError{
			Reason: fmt.Sprintf("the message takes %d bytes in a batch, and max_batch is %d", n+batchOverhead, o.MaxBatch)}
	}
	return r, at, nil
}

const (
	// batchOverhead is more than what is in a batch beside its records, as franz-go counts it.
	batchOverhead = 1 << 10
	// recordOverhead is more than the lengths, the times and the offset of a record take.
	recordOverhead = 48
	headerOverhead = 10
)

// room is for records in a batch of the largest size.
func (o *Options) room() int { return int(o.MaxBatch) - batchOverhead }

// recordSize is at least what a record takes in a batch that is not compressed.
func recordSize(r *kgo.Record) int {
	n := recordOverhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += headerOverhead + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}
