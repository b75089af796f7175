package packet

// Connack answers CONNECT. Code is a reason code in MQTT 5, before it a return code.
type Connack struct {
	SessionPresent bool
	Code           Reason
	Properties     Properties
}

// Decode reads a CONNACK.
func (c *Connack) Decode(f Frame, version byte) error {
	*c = Connack{Properties: c.Properties[:0]}
	if err := f.flags(0, "MQTT-2.1.3-1"); err != nil {
		return err
	}
	d := decoder{rest: f.Body}
	flags := d.byte()
	c.SessionPresent = flags == 1
	c.Code = Reason(d.byte())
	c.Properties = d.properties(c.Properties, CONNACK, version)
	if err := d.end(); err != nil {
		return err
	}
	switch {
	case flags > 1:
		return malformed("MQTT-3.2.2-1", "CONNACK with reserved flags")
	case c.SessionPresent && c.Code != Success:
		return protocolError("MQTT-3.2.2-6", "a refusal with a session") // 3.1.1 [MQTT-3.2.2-4]
	case version < V5 && c.Code > lastReturn:
		return malformed("3.1.1 3.2.2.3", "a return code above 5")
	case version >= V5:
		return c.Code.check(CONNACK, "MQTT-3.2.2-8")
	}
	return nil
}

// Append appends the packet.
func (c *Connack) Append(b []byte, version byte) []byte {
	b, mark := begin(b, CONNACK, 0)
	var flags byte
	if c.SessionPresent {
		flags = 1
	}
	b = append(b, flags, byte(c.Code))
	b = c.Properties.append(b, version)
	return end(b, mark)
}
