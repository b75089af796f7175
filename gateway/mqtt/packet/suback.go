package packet

import "fmt"

// Suback answers SUBSCRIBE with one code for each filter, in their order [MQTT-3.9.3-1].
type Suback struct {
	ID         uint16
	Properties Properties
	Codes      []Reason
}

// Decode reads a SUBACK.
func (s *Suback) Decode(f Frame, version byte) error {
	s.ID, s.Codes = 0, s.Codes[:0]
	if err := f.flags(0, "MQTT-2.1.3-1"); err != nil {
		return err
	}
	d := decoder{rest: f.Body}
	s.ID = d.id()
	s.Properties = d.properties(s.Properties, SUBACK, version)
	for len(d.rest) > 0 {
		code := Reason(d.byte())
		if version < V5 && code > 2 && code != ReturnSubscribeFailed {
			return malformed("3.1.1 MQTT-3.9.3-2", fmt.Sprintf("SUBACK with return code 0x%02x", byte(code)))
		}
		if version >= V5 {
			if err := code.check(SUBACK, "MQTT-3.9.3-2"); err != nil {
				return err
			}
		}
		s.Codes = append(s.Codes, code)
	}
	if d.err == nil && len(s.Codes) == 0 {
		return malformed("MQTT-3.9.3-1", "SUBACK without a code")
	}
	return d.err
}

// Append appends the packet.
func (s *Suback) Append(b []byte, version byte) []byte {
	b, mark := begin(b, SUBACK, 0)
	b = appendUint16(b, s.ID)
	b = s.Properties.append(b, version)
	for _, code := range s.Codes {
		b = append(b, byte(code))
	}
	return end(b, mark)
}
