package packet

import "fmt"

// Connect is the first packet from a client.
type Connect struct {
	Version     byte
	CleanStart  bool // "clean session" before MQTT 5
	KeepAlive   uint16
	ClientID    []byte
	HasWill     bool
	Will        Will
	HasUser     bool
	User        []byte
	HasPassword bool
	Password    []byte
	Properties  Properties
}

// Will is the message that the server publishes should the client vanish.
type Will struct {
	QoS        byte
	Retain     bool
	Topic      []byte
	Payload    []byte
	Properties Properties
}

const (
	connectReserved = 1 << 0
	connectClean    = 1 << 1
	connectWill     = 1 << 2
	connectRetain   = 1 << 5
	connectPassword = 1 << 6
	connectUser     = 1 << 7
)

// Decode reads a CONNECT; unlike other packets it says itself which version it speaks. When the
// error's Code is UnsupportedProtocolVersion, Version is what the client asked for, 0 if what it
// speaks is not MQTT at all.
func (c *Connect) Decode(f Frame) error {
	*c = Connect{Properties: c.Properties[:0], Will: Will{Properties: c.Will.Properties[:0]}}
	if err := f.flags(0, "MQTT-2.1.3-1"); err != nil {
		return err
	}
	d := decoder{rest: f.Body}
	name := d.binary()
	c.Version = d.byte()
	if d.err != nil {
		return d.err
	}
	if string(name) != "MQTT" && string(name) != "MQIsdp" {
		c.Version = 0
		return &Error{Code: UnsupportedProtocolVersion, Clause: "MQTT-3.1.2-1", Text: "the protocol is not MQTT"}
	}
	if (string(name) == "MQIsdp") != (c.Version == V31) || c.Version < V31 || c.Version > V5 {
		return &Error{Code: UnsupportedProtocolVersion, Clause: "MQTT-3.1.2-2", Text: fmt.Sprintf("%s level %d", name, c.Version)}
	}
	flags := d.byte()
	c.KeepAlive = d.uint16()
	if err := c.decodeFlags(flags); err != nil && d.err == nil {
		return err
	}
	c.Properties = d.properties(c.Properties, CONNECT, c.Version)
	c.ClientID = d.text() // [MQTT-3.1.3-3, MQTT-3.1.3-4]
	if c.HasWill {
		c.Will.Properties = d.properties(c.Will.Properties, inWill, c.Version)
		c.Will.Topic = d.text() // [MQTT-3.1.3-11]
		c.Will.Payload = d.binary()
		if d.err == nil && (len(c.Will.Topic) == 0 || hasWildcard(c.Will.Topic)) {
			d.fail(&Error{Code: TopicNameInvalid, Clause: "MQTT-3.3.2-2", Text: "the will topic is empty or has a wildcard"})
		}
	}
	if c.HasUser {
		c.User = d.text() // [MQTT-3.1.3-12]
	}
	if c.HasPassword {
		c.Password = d.binary()
	}
	if err := d.end(); err != nil {
		return err
	}
	return checkAuthentication(c.Properties)
}

func (c *Connect) decodeFlags(flags byte) error {
	if flags&connectReserved != 0 {
		return malformed("MQTT-3.1.2-3", "CONNECT with its reserved flag set")
	}
	c.CleanStart = flags&connectClean != 0
	c.HasWill = flags&connectWill != 0
	c.Will.QoS = flags >> 3 & 3
	c.Will.Retain = flags&connectRetain != 0
	c.HasUser = flags&connectUser != 0
	c.HasPassword = flags&connectPassword != 0
	switch {
	case !c.HasWill && c.Will.QoS != 0:
		return malformed("MQTT-3.1.2-11", "a will QoS without a will") // 3.1.1 [MQTT-3.1.2-13]
	case !c.HasWill && c.Will.Retain:
		return malformed("MQTT-3.1.2-13", "will retain without a will") // 3.1.1 [MQTT-3.1.2-15]
	case c.Will.QoS == 3:
		return malformed("MQTT-3.1.2-12", "will QoS 3") // 3.1.1 [MQTT-3.1.2-14]
	case c.Version < V5 && c.HasPassword && !c.HasUser:
		return malformed("3.1.1 MQTT-3.1.2-22", "a password without a user name") // MQTT 5 allows it
	}
	return nil
}

// checkAuthentication refuses data for a method that is not named (3.1.2.11.10).
func checkAuthentication(p Properties) error {
	_, method := p.Bytes(AuthenticationMethod)
	_, data := p.Bytes(AuthenticationData)
	if data && !method {
		return protocolError("3.1.2.11.10", "authentication data without a method")
	}
	return nil
}

// Append appends the packet in the form of c.Version.
func (c *Connect) Append(b []byte) []byte {
	b, mark := begin(b, CONNECT, 0)
	name := "MQTT"
	if c.Version == V31 {
		name = "MQIsdp"
	}
	b = appendUint16(b, uint16(len(name)))
	b = append(b, name...)
	b = append(b, c.Version, c.flags())
	b = appendUint16(b, c.KeepAlive)
	b = c.Properties.append(b, c.Version)
	b = appendBinary(b, c.ClientID)
	if c.HasWill {
		b = c.Will.Properties.append(b, c.Version)
		b = appendBinary(b, c.Will.Topic)
		b = appendBinary(b, c.Will.Payload)
	}
	if c.HasUser {
		b = appendBinary(b, c.User)
	}
	if c.HasPassword {
		b = appendBinary(b, c.Password)
	}
	return end(b, mark)
}

func (c *Connect) flags() (flags byte) {
	if c.CleanStart {
		flags |= connectClean
	}
	if c.HasWill {
		flags |= connectWill | c.Will.QoS<<3
		if c.Will.Retain {
			flags |= connectRetain
		}
	}
	if c.HasPassword {
		flags |= connectPassword
	}
	if c.HasUser {
		flags |= connectUser
	}
	return flags
}
