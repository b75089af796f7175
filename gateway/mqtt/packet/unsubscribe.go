package packet

// Unsubscribe takes filters back.
type Unsubscribe struct {
	ID         uint16
	Properties Properties
	Filters    [][]byte
}

// Decode reads an UNSUBSCRIBE.
func (u *Unsubscribe) Decode(f Frame, version byte) error {
	u.ID, u.Filters = 0, u.Filters[:0]
	if err := f.flags(2, "MQTT-3.10.1-1"); err != nil {
		return err
	}
	d := decoder{rest: f.Body}
	u.ID = d.id()
	u.Properties = d.properties(u.Properties, UNSUBSCRIBE, version)
	for len(d.rest) > 0 {
		filter := d.filter()
		if d.err != nil {
			break
		}
		u.Filters = append(u.Filters, filter)
	}
	if d.err == nil && len(u.Filters) == 0 {
		return protocolError("MQTT-3.10.3-2", "UNSUBSCRIBE without a filter")
	}
	return d.err
}

// Append appends the packet.
func (u *Unsubscribe) Append(b []byte, version byte) []byte {
	b, mark := begin(b, UNSUBSCRIBE, 2)
	b = appendUint16(b, u.ID)
	b = u.Properties.append(b, version)
	for _, filter := range u.Filters {
		b = appendBinary(b, filter)
	}
	return end(b, mark)
}
