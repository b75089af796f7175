package mqtt

import (
	"fmt"

	"github.com/eclipse/paho.mqtt.golang/packets"
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
