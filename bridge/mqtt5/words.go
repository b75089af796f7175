package mqtt5

import (
	"fmt"

	"sluice/bridge"
)

// reasons are the codes by which a broker says no, in plain words that go on from "the cloud …".
var reasons = map[byte]struct {
	text  string
	retry bool // as the answer to a message: asking again later may help
}{
	0x80: {"gives no reason", true},
	0x81: {"cannot read what it was sent", false},
	0x82: {"says that we break the protocol", false},
	0x83: {"has a reason of its own", true},
	0x84: {"does not speak MQTT 5: use the driver mqtt", false},
	0x85: {"does not accept the client id", false},
	0x86: {"does not accept the user name or password", false},
	0x87: {"does not allow it (not authorised)", true},
	0x88: {"is there, but not ready", true},
	0x89: {"is busy", true},
	0x8a: {"has banned this client", false},
	0x8b: {"is shutting down", true},
	0x8c: {"does not accept the way of authentication", false},
	0x8d: {"has heard nothing for longer than the keep-alive", true},
	0x8e: {"has let in another client with the same client id", true},
	0x8f: {"does not accept the filter", false},
	0x90: {"does not accept the topic", false},
	0x93: {"has more messages to answer than it allows", true},
	0x94: {"does not know the topic alias", true},
	0x95: {"does not take a packet of this size", false},
	0x96: {"gets messages faster than it allows", true},
	0x97: {"has reached a limit (quota exceeded)", true},
	0x98: {"was told by an administrator to end it", true},
	0x99: {"says that the payload is not what its format promises", false},
	0x9a: {"does not keep retained messages", false},
	0x9b: {"does not take this QoS", false},
	0x9c: {"wants us to use another server for now", true},
	0x9d: {"has moved to another server", true},
	0x9e: {"has no shared subscriptions", false},
	0x9f: {"gets connections faster than it allows", true},
	0xa0: {"ends connections after some time", true},
	0xa1: {"has no subscription identifiers", false},
	0xa2: {"has no subscriptions with wildcards", false},
}

// because says what a broker means by a code, with what it says itself.
func because(code byte, said string) string {
	text := fmt.Sprintf("the cloud says no with code 0x%02x", code)
	if reason, known := reasons[code]; known {
		text = fmt.Sprintf("the cloud %s (0x%02x)", reason.text, code)
	}
	if said != "" {
		text += fmt.Sprintf(": %.200q", said) // foreign words stay recognisable and short
	}
	return text
}

// refused is the answer to a message that was acknowledged with such a code.
func refused(code byte, said string) *bridge.RefusedError {
	reason, known := reasons[code]
	return &bridge.RefusedError{Reason: because(code, said), Retry: reason.retry || !known}
}

// loginError is a CONNACK that says no.
type loginError struct{ text string }

func (e *loginError) Error() string { return "the login is refused: " + e.text }

// disconnected is a connection that the cloud has ended with a reason.
func disconnected(code byte, said, elsewhere string) error {
	text := "the cloud has ended the connection"
	if code != 0 || said != "" {
		text += ": " + because(code, said)
	}
	if elsewhere != "" {
		text += fmt.Sprintf("; it names %.200q instead", elsewhere)
	}
	return &endError{text}
}

// endError is words that need no more explanation.
type endError struct{ text string }

func (e *endError) Error() string { return e.text }
