package packet

// Ping is PINGREQ or PINGRESP: nothing but a type.
type Ping struct{ Type Type }

// Decode reads a packet of one of the two types.
func (p *Ping) Decode(f Frame, _ byte) error {
	p.Type = f.Type
	if err := f.flags(0, "MQTT-2.1.3-1"); err != nil {
		return err
	}
	d := decoder{rest: f.Body}
	return d.end()
}

// Append appends the packet.
func (p *Ping) Append(b []byte, _ byte) []byte { return append(b, byte(p.Type)<<4, 0) }
