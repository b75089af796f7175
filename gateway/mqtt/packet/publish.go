package packet

// Publish carries a message, in either direction.
type Publish struct {
	Dup        bool
	QoS        byte
	Retain     bool
	ID         uint16 // 0 with QoS 0
	Topic      []byte // empty only in MQTT 5, with a topic alias
	Properties Properties
	Payload    []byte
}

const (
	publishRetain = 1 << 0
	publishDup    = 1 << 3
)

// Decode reads a PUBLISH.
func (p *Publish) Decode(f Frame, version byte) error {
	p.Dup = f.Flags&publishDup != 0
	p.QoS = f.Flags >> 1 & 3
	p.Retain = f.Flags&publishRetain != 0
	p.ID = 0
	if p.QoS == 3 {
		return malformed("MQTT-3.3.1-4", "PUBLISH with QoS 3")
	}
	if p.Dup && p.QoS == 0 {
		return malformed("MQTT-3.3.1-2", "PUBLISH with QoS 0 and DUP")
	}
	d := decoder{rest: f.Body}
	p.Topic = d.text() // [MQTT-3.3.2-1]
	if p.QoS > 0 {
		p.ID = d.id() // never with QoS 0 [MQTT-2.2.1-2]; 3.1.1 [MQTT-2.3.1-5]
	}
	p.Properties = d.properties(p.Properties, PUBLISH, version)
	if d.err != nil {
		return d.err
	}
	if hasWildcard(p.Topic) {
		return &Error{Code: TopicNameInvalid, Clause: "MQTT-3.3.2-2", Text: "a topic with a wildcard"}
	}
	if len(p.Topic) == 0 {
		if _, aliased := p.Properties.Number(TopicAlias); !aliased {
			return protocolError("MQTT-4.7.3-1", "a topic without a character")
		}
	}
	p.Payload = d.rest
	return nil
}

// Append appends the packet.
func (p *Publish) Append(b []byte, version byte) []byte {
	first := byte(PUBLISH)<<4 | p.QoS<<1
	if p.Dup {
		first |= publishDup
	}
	if p.Retain {
		first |= publishRetain
	}
	topic := p.Topic[:min(len(p.Topic), 65535)]
	n := 2 + len(topic) + p.Properties.size(version) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	b = append(b, first)
	b = appendVarint(b, uint32(n))
	b = appendBinary(b, topic)
	if p.QoS > 0 {
		b = appendUint16(b, p.ID)
	}
	b = p.Properties.append(b, version)
	return append(b, p.Payload...)
}
