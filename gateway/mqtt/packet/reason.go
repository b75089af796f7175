package packet

import "fmt"

// Reason is an MQTT 5 reason code, or the return code of a 3.1.1 CONNACK or SUBACK.
type Reason byte

// The reason codes of MQTT 5 (section 2.4).
const (
	Success                     Reason = 0x00
	GrantedQoS1                 Reason = 0x01
	GrantedQoS2                 Reason = 0x02
	DisconnectWithWill          Reason = 0x04
	NoMatchingSubscribers       Reason = 0x10
	NoSubscriptionExisted       Reason = 0x11
	ContinueAuthentication      Reason = 0x18
	ReAuthenticate              Reason = 0x19
	UnspecifiedError            Reason = 0x80
	MalformedPacket             Reason = 0x81
	ProtocolError               Reason = 0x82
	ImplementationSpecificError Reason = 0x83
	UnsupportedProtocolVersion  Reason = 0x84
	ClientIdentifierNotValid    Reason = 0x85
	BadUserNameOrPassword       Reason = 0x86
	NotAuthorized               Reason = 0x87
	ServerUnavailable           Reason = 0x88
	ServerBusy                  Reason = 0x89
	Banned                      Reason = 0x8A
	ServerShuttingDown          Reason = 0x8B
	BadAuthenticationMethod     Reason = 0x8C
	KeepAliveTimeout            Reason = 0x8D
	SessionTakenOver            Reason = 0x8E
	TopicFilterInvalid          Reason = 0x8F
	TopicNameInvalid            Reason = 0x90
	PacketIdentifierInUse       Reason = 0x91
	PacketIdentifierNotFound    Reason = 0x92
	ReceiveMaximumExceeded      Reason = 0x93
	TopicAliasInvalid           Reason = 0x94
	PacketTooLarge              Reason = 0x95
	MessageRateTooHigh          Reason = 0x96
	QuotaExceeded               Reason = 0x97
	AdministrativeAction        Reason = 0x98
	PayloadFormatInvalid        Reason = 0x99
	RetainNotSupported          Reason = 0x9A
	QoSNotSupported             Reason = 0x9B
	UseAnotherServer            Reason = 0x9C
	ServerMoved                 Reason = 0x9D
	SharedNotSupported          Reason = 0x9E
	ConnectionRateExceeded      Reason = 0x9F
	MaximumConnectTime          Reason = 0xA0
	SubscriptionIDsNotSupported Reason = 0xA1
	WildcardNotSupported        Reason = 0xA2
)

// The return codes of a 3.1.1 CONNACK (3.1.1, section 3.2.2.3).
const (
	ReturnAccepted        Reason = 0
	ReturnVersion         Reason = 1 // unacceptable protocol level
	ReturnIdentifier      Reason = 2 // client identifier rejected
	ReturnUnavailable     Reason = 3
	ReturnBadCredentials  Reason = 4 // malformed user name or password
	ReturnNotAuthorized   Reason = 5
	lastReturn                   = ReturnNotAuthorized
	ReturnSubscribeFailed Reason = 0x80 // in a SUBACK
)

// packets is a set of packet types; the will properties of CONNECT stand under bit 0.
type packets uint32

func set(types ...Type) (s packets) {
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

func (s packets) has(t Type) bool { return s>>t&1 != 0 }

var (
	pubAnswers = set(PUBACK, PUBREC)
	answers    = pubAnswers | set(SUBACK, UNSUBACK)
	acks       = answers | set(PUBREL, PUBCOMP)
	endings    = set(CONNACK, DISCONNECT)
)

// reasons has for each code its name and the packets that may carry it (section 2.4, table 2-6).
var reasons = map[Reason]struct {
	name string
	in   packets
}{
	Success:                     {"success", acks | set(CONNACK, AUTH, DISCONNECT)},
	GrantedQoS1:                 {"granted QoS 1", set(SUBACK)},
	GrantedQoS2:                 {"granted QoS 2", set(SUBACK)},
	DisconnectWithWill:          {"disconnect with will message", set(DISCONNECT)},
	NoMatchingSubscribers:       {"no matching subscribers", pubAnswers},
	NoSubscriptionExisted:       {"no subscription existed", set(UNSUBACK)},
	ContinueAuthentication:      {"continue authentication", set(AUTH)},
	ReAuthenticate:              {"re-authenticate", set(AUTH)},
	UnspecifiedError:            {"unspecified error", answers | endings},
	MalformedPacket:             {"malformed packet", endings},
	ProtocolError:               {"protocol error", endings},
	ImplementationSpecificError: {"implementation specific error", answers | endings},
	UnsupportedProtocolVersion:  {"unsupported protocol version", set(CONNACK)},
	ClientIdentifierNotValid:    {"client identifier not valid", set(CONNACK)},
	BadUserNameOrPassword:       {"bad user name or password", set(CONNACK)},
	NotAuthorized:               {"not authorized", answers | endings},
	ServerUnavailable:           {"server unavailable", set(CONNACK)},
	ServerBusy:                  {"server busy", endings},
	Banned:                      {"banned", set(CONNACK)},
	ServerShuttingDown:          {"server shutting down", set(DISCONNECT)},
	BadAuthenticationMethod:     {"bad authentication method", endings},
	KeepAliveTimeout:            {"keep alive timeout", set(DISCONNECT)},
	SessionTakenOver:            {"session taken over", set(DISCONNECT)},
	TopicFilterInvalid:          {"topic filter invalid", set(SUBACK, UNSUBACK, DISCONNECT)},
	TopicNameInvalid:            {"topic name invalid", pubAnswers | endings},
	PacketIdentifierInUse:       {"packet identifier in use", answers},
	PacketIdentifierNotFound:    {"packet identifier not found", set(PUBREL, PUBCOMP)},
	ReceiveMaximumExceeded:      {"receive maximum exceeded", set(DISCONNECT)},
	TopicAliasInvalid:           {"topic alias invalid", set(DISCONNECT)},
	PacketTooLarge:              {"packet too large", endings},
	MessageRateTooHigh:          {"message rate too high", set(DISCONNECT)},
	QuotaExceeded:               {"quota exceeded", pubAnswers | endings | set(SUBACK)},
	AdministrativeAction:        {"administrative action", set(DISCONNECT)},
	PayloadFormatInvalid:        {"payload format invalid", pubAnswers | endings},
	RetainNotSupported:          {"retain not supported", endings},
	QoSNotSupported:             {"QoS not supported", endings},
	UseAnotherServer:            {"use another server", endings},
	ServerMoved:                 {"server moved", endings},
	SharedNotSupported:          {"shared subscriptions not supported", set(SUBACK, DISCONNECT)},
	ConnectionRateExceeded:      {"connection rate exceeded", endings},
	MaximumConnectTime:          {"maximum connect time", set(DISCONNECT)},
	SubscriptionIDsNotSupported: {"subscription identifiers not supported", set(SUBACK, DISCONNECT)},
	WildcardNotSupported:        {"wildcard subscriptions not supported", set(SUBACK, DISCONNECT)},
}

// String gives the name of an MQTT 5 reason code.
func (r Reason) String() string {
	if known, ok := reasons[r]; ok {
		return known.name
	}
	return fmt.Sprintf("reason 0x%02x", byte(r))
}

// check refuses a reason code that a packet of type t may not carry; clause says so for t.
func (r Reason) check(t Type, clause string) error {
	if reasons[r].in.has(t) {
		return nil
	}
	return protocolError(clause, fmt.Sprintf("%s with reason code 0x%02x", t, byte(r)))
}
