package packet

// Subscribe asks for the messages under some filters.
type Subscribe struct {
	ID         uint16
	Properties Properties
	Filters    []Filter
}

// Filter is one topic filter with what is asked for it. All but QoS are MQTT 5 only.
type Filter struct {
	Filter            []byte
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte
}

const (
	filterNoLocal  = 1 << 2
	filterRetain   = 1 << 3
	filterReserved = 0xC0
)

// Decode reads a SUBSCRIBE. Whether the filters are well-formed is left to the one who knows topics;
// that they are strings with at least one character is checked here.
func (s *Subscribe) Decode(f Frame, version byte) error {
	s.ID, s.Filters = 0, s.Filters[:0]
	if err := f.flags(2, "MQTT-3.8.1-1"); err != nil {
		return err
	}
	d := decoder{rest: f.Body}
	s.ID = d.id()
	s.Properties = d.properties(s.Properties, SUBSCRIBE, version)
	for len(d.rest) > 0 {
		filter := Filter{Filter: d.filter()}
		options := d.byte()
		if d.err != nil {
			break
		}
		if err := filter.decodeOptions(options, version); err != nil {
			return err
		}
		s.Filters = append(s.Filters, filter)
	}
	if d.err == nil && len(s.Filters) == 0 {
		return protocolError("MQTT-3.8.3-2", "SUBSCRIBE without a filter") // 3.1.1 [MQTT-3.8.3-3]
	}
	return d.err
}

// filter reads a topic filter [MQTT-3.8.3-1, MQTT-3.10.3-1].
func (d *decoder) filter() []byte {
	filter := d.text()
	if len(filter) == 0 && d.err == nil {
		d.fail(&Error{Code: TopicFilterInvalid, Clause: "MQTT-4.7.3-1", Text: "a filter without a character"})
	}
	return filter
}

func (f *Filter) decodeOptions(options, version byte) error {
	f.QoS = options & 3
	if f.QoS == 3 {
		return malformed("3.1.1 MQTT-3-8.3-4", "a subscription with QoS 3") // MQTT 5: section 3.8.3.1
	}
	if version < V5 {
		if options > 2 {
			return malformed("3.1.1 MQTT-3-8.3-4", "a requested QoS with reserved bits")
		}
		return nil
	}
	f.NoLocal = options&filterNoLocal != 0
	f.RetainAsPublished = options&filterRetain != 0
	f.RetainHandling = options >> 4 & 3
	switch {
	case options&filterReserved != 0:
		return malformed("MQTT-3.8.3-5", "subscription options with reserved bits")
	case f.RetainHandling == 3:
		return protocolError("3.8.3.1", "retain handling 3")
	case f.NoLocal && len(f.Filter) >= 7 && string(f.Filter[:7]) == "$share/":
		return protocolError("MQTT-3.8.3-4", "no local on a shared subscription")
	}
	return nil
}

// Append appends the packet.
func (s *Subscribe) Append(b []byte, version byte) []byte {
	b, mark := begin(b, SUBSCRIBE, 2)
	b = appendUint16(b, s.ID)
	b = s.Properties.append(b, version)
	for i := range s.Filters {
		filter := &s.Filters[i]
		b = appendBinary(b, filter.Filter)
		options := filter.QoS
		if version >= V5 {
			options |= filter.RetainHandling << 4
			if filter.NoLocal {
				options |= filterNoLocal
			}
			if filter.RetainAsPublished {
				options |= filterRetain
			}
		}
		b = append(b, options)
	}
	return end(b, mark)
}
