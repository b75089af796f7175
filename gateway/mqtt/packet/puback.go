package packet

// Ack is PUBACK, PUBREC, PUBREL or PUBCOMP, which differ in their type alone. Code and Properties
// are MQTT 5 only.
type Ack struct {
	Type       Type
	ID         uint16
	Code       Reason
	Properties Properties
}

// Decode reads a packet of one of the four types.
func (a *Ack) Decode(f Frame, version byte) error {
	a.Type, a.ID, a.Code, a.Properties = f.Type, 0, Success, a.Properties[:0]
	clause, flags := "", byte(0)
	switch f.Type {
	case PUBACK:
		clause = "MQTT-3.4.2-1"
	case PUBREC:
		clause = "MQTT-3.5.2-1"
	case PUBREL:
		clause, flags = "MQTT-3.6.2-1", 2
	case PUBCOMP:
		clause = "MQTT-3.7.2-1"
	default:
		panic("bug: " + f.Type.String() + " is not an acknowledgement")
	}
	if err := f.flags(flags, "MQTT-2.1.3-1"); err != nil { // PUBREL: [MQTT-3.6.1-1]
		return err
	}
	d := decoder{rest: f.Body}
	a.ID = d.id()
	if version >= V5 && len(d.rest) > 0 { // a length of 2 means success (3.4.2.1)
		a.Code = Reason(d.byte())
		if len(d.rest) > 0 { // a length of 3 means no properties (3.4.2.2.1)
			a.Properties = d.properties(a.Properties, f.Type, version)
		}
	}
	if err := d.end(); err != nil {
		return err
	}
	if version >= V5 {
		return a.Code.check(f.Type, clause)
	}
	return nil
}

// Append appends the packet in its shortest form.
func (a *Ack) Append(b []byte, version byte) []byte {
	var flags byte
	if a.Type == PUBREL {
		flags = 2 // [MQTT-3.6.1-1]
	}
	b, mark := begin(b, a.Type, flags)
	b = appendUint16(b, a.ID)
	if version >= V5 && (a.Code != Success || len(a.Properties) > 0) {
		b = append(b, byte(a.Code))
		if len(a.Properties) > 0 {
			b = a.Properties.append(b, version)
		}
	}
	return end(b, mark)
}
