package packet

// Auth is a step of an extended authentication, MQTT 5 only.
type Auth struct {
	Code       Reason
	Properties Properties
}

// Decode reads an AUTH.
func (a *Auth) Decode(f Frame, version byte) error {
	a.Code, a.Properties = Success, a.Properties[:0]
	if version < V5 {
		return malformed("3.1.1 2.2.1", "packet type 15 before MQTT 5")
	}
	if err := f.flags(0, "MQTT-3.15.1-1"); err != nil {
		return err
	}
	d := decoder{rest: f.Body}
	if len(d.rest) > 0 { // a length of 0 means success (3.15.2.1)
		a.Code = Reason(d.byte())
		a.Properties = d.properties(a.Properties, AUTH, version)
	}
	if err := d.end(); err != nil {
		return err
	}
	if err := a.Code.check(AUTH, "MQTT-3.15.2-1"); err != nil {
		return err
	}
	return checkAuthentication(a.Properties)
}

// Append appends the packet in its shortest form.
func (a *Auth) Append(b []byte, version byte) []byte {
	b, mark := begin(b, AUTH, 0)
	if a.Code != Success || len(a.Properties) > 0 {
		b = append(b, byte(a.Code))
		b = a.Properties.append(b, version)
	}
	return end(b, mark)
}
