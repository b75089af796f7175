package packet

// Unsuback answers UNSUBSCRIBE. Codes, one for each filter in their order, are MQTT 5 only
// [MQTT-3.11.3-1].
type Unsuback struct {
	ID         uint16
	Properties Properties
	Codes      []Reason
}

// Decode reads an UNSUBACK.
func (u *Unsuback) Decode(f Frame, version byte) error {
	u.ID, u.Codes = 0, u.Codes[:0]
	if err := f.flags(0, "MQTT-2.1.3-1"); err != nil {
		return err
	}
	d := decoder{rest: f.Body}
	u.ID = d.id()
	u.Properties = d.properties(u.Properties, UNSUBACK, version)
	if version < V5 {
		return d.end()
	}
	for len(d.rest) > 0 {
		code := Reason(d.byte())
		if err := code.check(UNSUBACK, "MQTT-3.11.3-2"); err != nil {
			return err
		}
		u.Codes = append(u.Codes, code)
	}
	if d.err == nil && len(u.Codes) == 0 {
		return malformed("MQTT-3.11.3-1", "UNSUBACK without a code")
	}
	return d.err
}

// Append appends the packet.
func (u *Unsuback) Append(b []byte, version byte) []byte {
	b, mark := begin(b, UNSUBACK, 0)
	b = appendUint16(b, u.ID)
	if version >= V5 {
		b = u.Properties.append(b, version)
		for _, code := range u.Codes {
			b = append(b, byte(code))
		}
	}
	return end(b, mark)
}
