package mqtt

import (
	"strconv"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// outgoing makes PUBLISH packets for a client. Everything in it is used again for the next message.
type outgoing struct {
	packet   packet.Publish
	aliases  outgoingAliases
	readable func(*message.Record) (payload []byte, encoding string)
}

// encodingName is the user property that says how a payload is compressed.
const encodingName = "content-encoding"

// make turns a message into a packet, whose QoS and identifier are left to the caller.
func (o *outgoing) make(m *message.Record, match match, version byte) *packet.Publish {
	p := &o.packet
	p.Topic = append(p.Topic[:0], m.Topic...)
	encoding := ""
	if p.Payload = m.Payload; o.readable != nil {
		p.Payload, encoding = o.readable(m)
	}
	p.Retain = match.asPublished && m.Retain // [MQTT-3.3.1-12, MQTT-3.3.1-13]
	p.Properties = p.Properties[:0]
	if version < packet.V5 {
		return p
	}
	for i := range m.Properties {
		if one, ok := propertyOf(&m.Properties[i], m.Time); ok {
			p.Properties = append(p.Properties, one)
		}
	}
	if encoding != "" {
		p.Properties = append(p.Properties, packet.Property{ID: packet.UserProperty, Name: []byte(encodingName), Data: []byte(encoding)})
	}
	for _, id := range match.identifiers {
		p.Properties = append(p.Properties, packet.Property{ID: packet.SubscriptionIdentifier, Number: id})
	}
	o.aliases.shorten(p, m.Topic)
	return p
}

// sent is told whether the packet of make has gone out.
func (o *outgoing) sent(out bool) {
	if !out {
		o.aliases.forget()
	}
}

// propertyOf turns a message's property into that of a packet; those of the log's own do not go out.
func propertyOf(p *message.Property, taken int64) (packet.Property, bool) {
	switch p.Name {
	case message.Expiry: // what is left of it [MQTT-3.3.2-6]
		seconds, err := strconv.ParseUint(p.Value, 10, 32)
		if err != nil {
			return packet.Property{}, false
		}
		return packet.Property{ID: packet.MessageExpiry, Number: uint32(max(0, int64(seconds)-age(taken, time.Now())))}, true
	case message.PayloadFormat: // [MQTT-3.3.2-4]
		return packet.Property{ID: packet.PayloadFormat, Number: 1}, true
	case message.ContentType: // [MQTT-3.3.2-20]
		return packet.Property{ID: packet.ContentType, Data: []byte(p.Value)}, true
	case message.ResponseTopic: // [MQTT-3.3.2-15]
		return packet.Property{ID: packet.ResponseTopic, Data: []byte(p.Value)}, true
	case message.CorrelationData: // [MQTT-3.3.2-16]
		return packet.Property{ID: packet.CorrelationData, Data: []byte(p.Value)}, true
	}
	if p.Name != "" && p.Name[0] == 0 {
		return packet.Property{}, false
	}
	return packet.Property{ID: packet.UserProperty, Name: []byte(p.Name), Data: []byte(p.Value)}, true // in their order [MQTT-3.3.2-17, MQTT-3.3.2-18]
}

// age is for how many whole seconds a message has been here. A clock that was set back makes it 0.
func age(taken int64, now time.Time) int64 { return max(0, (now.UnixMilli()-taken)/1000) }

// expired says whether nobody wants a message any more [MQTT-3.3.2-5].
func expired(m *message.Record) bool {
	if len(m.Properties) == 0 {
		return false
	}
	value, ok := m.Property(message.Expiry)
	if !ok {
		return false
	}
	seconds, err := strconv.ParseUint(value, 10, 32)
	return err == nil && age(m.Time, time.Now()) >= int64(seconds)
}

// outgoingAliases are the topic aliases towards a client: the first topics that it is sent get one each,
// as many as it takes [MQTT-3.1.2-26, MQTT-3.1.2-27].
type outgoingAliases struct {
	most  int
	known map[string]uint16
	fresh string // the topic that the last packet gave an alias
}

const maxAliases = 64 // that we hand out or take; each costs a topic

// shorten replaces the topic of a packet by its alias, or gives it one.
func (a *outgoingAliases) shorten(p *packet.Publish, topic string) {
	a.fresh = ""
	if a.most == 0 {
		return
	}
	alias, known := a.known[topic]
	switch {
	case known:
		p.Topic = p.Topic[:0]
	case len(a.known) < a.most:
		if a.known == nil {
			a.known = make(map[string]uint16)
		}
		a.fresh = string(p.Topic) // the record's own string would keep its whole block in memory
		alias = uint16(len(a.known) + 1)
		a.known[a.fresh] = alias
	default:
		return
	}
	p.Properties = append(p.Properties, packet.Property{ID: packet.TopicAlias, Number: uint32(alias)})
}

// forget takes back the alias of a packet that did not go out: the client has not learnt it.
func (a *outgoingAliases) forget() {
	if a.fresh != "" {
		delete(a.known, a.fresh)
	}
}
