package mqtt

import (
	"errors"
	"fmt"
	"os"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"sluice/bridge/dial"
)

// loginError is a CONNACK that says no.
type loginError struct{ code byte }

func (e *loginError) Error() string {
	switch e.code {
	case packets.ErrRefusedBadProtocolVersion:
		return "the cloud does not speak MQTT 3.1.1"
	case packets.ErrRefusedIDRejected:
		return "the cloud does not accept the client id"
	case packets.ErrRefusedServerUnavailable:
		return "the cloud is there, but not ready"
	case packets.ErrRefusedBadUsernameOrPassword:
		return "the cloud does not accept the user name or password"
	case packets.ErrRefusedNotAuthorised:
		return "the cloud does not let this gateway in (not authorised)"
	}
	return fmt.Sprintf("the cloud refuses the login with code %d", e.code)
}

// plainWords puts what somebody at the gateway's page can act on in front of an error, once.
func plainWords(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) { // reading has no deadline
		if _, done := errors.AsType[*dial.Error](err); !done {
			return &dial.Error{Text: "the line takes no more bytes", Cause: err}
		}
	}
	return dial.Explain(err)
}
