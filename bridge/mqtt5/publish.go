package mqtt5

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eclipse/paho.golang/packets"

	"sluice/bridge"
	"sluice/gateway/message"
)

// pending is a message from its Send to its answer.
type pending struct {
	key        *key
	publish    packets.Publish
	properties packets.Properties
	size       int    // of the packet, with its whole topic
	alias      *alias // of its topic, once it was sent
	done       func(error)
}

func (p *pending) acknowledged() bool { return p.publish.QoS > 0 }

// compose makes the packet of a message, or says why no broker could be given it. Paho would cut what
// is too long and send what breaks the connection.
func (l *link) compose(o *bridge.Outgoing, done func(error)) (*pending, *bridge.RefusedError) {
	if err := message.CheckTopic(o.Topic); err != nil {
		return nil, &bridge.RefusedError{Reason: err.Error()}
	}
	if problem := unsendable(o.Topic); problem != "" {
		return nil, &bridge.RefusedError{Reason: "the topic " + problem}
	}
	p := &pending{done: done}
	p.publish = packets.Publish{Topic: o.Topic, Payload: o.Payload, QoS: min(o.QoS, 1),
		Retain: o.Retain && l.limits.retain, Properties: &p.properties}
	if problem := describe(&p.properties, o); problem != "" {
		return nil, &bridge.RefusedError{Reason: problem}
	}
	p.size = sizeOf(&p.publish)
	if p.size > l.limits.packet {
		return nil, &bridge.RefusedError{Reason: fmt.Sprintf("the message is a packet of %d bytes, and the cloud takes at most %d",
			p.size, l.limits.packet)}
	}
	return p, nil
}

// describe fills in what is said of a message beside its payload, or says what cannot be sent.
func describe(p *packets.Properties, o *bridge.Outgoing) (problem string) {
	for u := range o.UserProperties() {
		for _, text := range []string{u.Name, u.Value} {
			if problem := unsendable(text); problem != "" {
				return fmt.Sprintf("the property %.50q cannot be sent: it %s", u.Name, problem)
			}
		}
		p.User = append(p.User, packets.User{Key: u.Name, Value: u.Value})
	}
	for i := range o.Properties {
		value := o.Properties[i].Value
		switch o.Properties[i].Name {
		case message.ContentType:
			p.ContentType = value
			problem = unsendable(value)
		case message.ResponseTopic:
			p.ResponseTopic = value
			if problem = unsendable(value); problem == "" && message.CheckTopic(value) != nil {
				problem = "is no topic"
			}
		case message.CorrelationData:
			p.CorrelationData = []byte(value)
			if len(value) > longestField {
				problem = tooLong
			}
		case message.PayloadFormat:
			if value == "1" {
				p.PayloadFormat = new(byte)
				*p.PayloadFormat = 1
			}
		case message.Expiry:
			p.MessageExpiry = remaining(value, o.Record)
		}
		if problem != "" {
			return fmt.Sprintf("the property %.50q cannot be sent: it %s", strings.TrimPrefix(o.Properties[i].Name, "\x00"), problem)
		}
	}
	return ""
}

// remaining is what is left of the time in which a message is wanted, but at least a second: whether
// it is too late is decided where it arrives, whose clock need not have jumped.
func remaining(text string, r *message.Record) *uint32 {
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil || r == nil {
		return nil
	}
	age := max(0, time.Now().UnixMilli()-r.Time) / 1000
	left := uint32(max(1, int64(seconds)-age))
	return &left
}

const (
	longestField = 65535
	tooLong      = "is longer than 65535 bytes"
)

// unsendable says what keeps a text from being sent. Control characters and the like are allowed to
// us, but brokers are allowed to end the connection over them [MQTT-1.5.4-1], and mosquitto does: the
// message would come back with every new connection.
func unsendable(text string) (problem string) {
	if len(text) > longestField {
		return tooLong
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return "is not UTF-8"
			}
		}
		if r < 0x20 || r >= 0x7f && r <= 0x9f || r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe {
			return fmt.Sprintf("has the character %U, which not every broker takes", r)
		}
	}
	return ""
}

// sizeOf gives the length of the packet as it is sent.
func sizeOf(p *packets.Publish) int {
	properties := 0
	field := func(length int) {
		if length > 0 {
			properties += 3 + length // its kind and its length
		}
	}
	field(len(p.Properties.ContentType))
	field(len(p.Properties.ResponseTopic))
	field(len(p.Properties.CorrelationData))
	if p.Properties.PayloadFormat != nil {
		properties += 2
	}
	if p.Properties.MessageExpiry != nil {
		properties += 5
	}
	if p.Properties.TopicAlias != nil {
		properties += aliasSize
	}
	for i := range p.Properties.User {
		properties += 5 + len(p.Properties.User[i].Key) + len(p.Properties.User[i].Value)
	}
	body := 2 + len(p.Topic) + lengthSize(properties) + properties + len(p.Payload)
	if p.QoS > 0 {
		body += 2
	}
	return 1 + lengthSize(body) + body
}

func lengthSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

const (
	// aliasSize is what an alias costs in a packet.
	aliasSize = 3
	// maxAliases are used at most, whatever the broker allows: each keeps a topic in memory.
	maxAliases = 1000
)

// alias is a number that stands for a topic on this connection.
type alias struct {
	number uint16
	known  bool // the broker has acknowledged a message that bears it
}

// aliases are the topics that have one, the first that came. Whoever has thousands of topics gains
// little, but changing them would cost the whole topic each time.
type aliases struct {
	max    int
	topics map[string]*alias
}

// apply shortens a message whose topic the broker knows by its number, or tells it the number.
func (a *aliases) apply(p *pending, maxPacket int) {
	if a.max == 0 || len(p.publish.Topic) <= aliasSize {
		return
	}
	found := a.topics[p.publish.Topic]
	if found == nil {
		if len(a.topics) >= a.max || !p.acknowledged() {
			return
		}
		found = &alias{number: uint16(len(a.topics) + 1)}
		a.topics[p.publish.Topic] = found
	}
	if !found.known && (!p.acknowledged() || p.size+aliasSize+1 > maxPacket) {
		return // +1: the length before it may grow
	}
	p.alias = found
	p.properties.TopicAlias = &found.number
	if found.known {
		p.publish.Topic = ""
	}
}
