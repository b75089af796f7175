package packet

// Disconnect is the last packet of a connection. Before MQTT 5 only a client sends it, and it has
// neither Code nor Properties.
type Disconnect struct {
	Code       Reason
	Properties Properties
}

// Decode reads a DISCONNECT.
func (c *Disconnect) Decode(f Frame, version byte) error {
	c.Code, c.Properties = Success, c.Properties[:0]
	if err := f.flags(0, "MQTT-3.14.1-1"); err != nil {
		return err
	}
	d := decoder{rest: f.Body}
	if version >= V5 && len(d.rest) > 0 { // a length of 0 means normal (3.14.2.1)
		c.Code = Reason(d.byte())
		if len(d.rest) > 0 { // a length of 1 means no properties (3.14.2.2.1)
			c.Properties = d.properties(c.Properties, DISCONNECT, version)
		}
	}
	if err := d.end(); err != nil {
		return err
	}
	if version >= V5 {
		return c.Code.check(DISCONNECT, "MQTT-3.14.2-1")
	}
	return nil
}

// Append appends the packet in its shortest form.
func (c *Disconnect) Append(b []byte, version byte) []byte {
	b, mark := begin(b, DISCONNECT, 0)
	if version >= V5 && (c.Code != Success || len(c.Properties) > 0) {
		b = append(b, byte(c.Code))
		if len(c.Properties) > 0 {
			b = c.Properties.append(b, version)
		}
	}
	return end(b, mark)
}
