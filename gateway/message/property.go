package message

// What MQTT 5 says of a message beside its user properties travels in Properties too, under names that
// begin with U+0000: no user property can have such a name [MQTT-1.5.4-2].
const (
	Expiry          = "\x00expiry"           // seconds from Time on after which nobody wants it, in decimal
	PayloadFormat   = "\x00payload-format"   // "1": the payload is UTF-8
	ContentType     = "\x00content-type"     // of the payload
	ResponseTopic   = "\x00response-topic"   // where an answer is expected
	CorrelationData = "\x00correlation-data" // bytes that the answer carries
	Persistent      = "\x00persistent"       // "1": the session of the MQTT client that published it outlives connections
	FromUplink      = "\x00uplink"           // the uplink that brought the message down
	OnlyUplink      = "\x00only-uplink"      // the one uplink that forwards the message: it was set aside there, and sent again
	WasRetained     = "\x00retained"         // "true": the cloud that it came from had kept it
	PacketID        = "\x00packet-id"        // of a message with QoS 2, in decimal: with Client it says which one it is
)

// Property gives the value of the first property of that name.
func (m *Message) Property(name string) (value string, known bool) {
	for i := range m.Properties {
		if m.Properties[i].Name == name {
			return m.Properties[i].Value, true
		}
	}
	return "", false
}
