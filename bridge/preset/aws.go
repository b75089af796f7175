package preset

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"sluice/bridge/mqtt"
)

// AWS is the recipe for AWS IoT Core, which knows its things by their certificates.
type AWS struct {
	Address  string `yaml:"address" required:"true" doc:"the account's device data endpoint, as XXXX-ats.iot.eu-central-1.amazonaws.com; behind it :8883, the default, or :443"`
	ClientID string `yaml:"client_id" doc:"the name of the thing, which its policy lets connect; default: the gateway's name"`
	Line     `yaml:",inline"`
}

// AWSIoT makes uplinks to AWS IoT Core.
func AWSIoT(log *slog.Logger) Kind {
	return Kind{func() recipe { return &AWS{Line: defaultLine()} }, log}
}

// awsALPN is how port 443 tells MQTT with a client certificate from everything else there:
// https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html
const awsALPN = "x-amzn-mqtt-ca"

// Validate implements recipe.
func (o *AWS) Validate(report func(path, problem string)) {
	check(o, report)
	onlySecure(o.Address, report)
	if strings.HasPrefix(o.Address, "wss://") {
		report("address", "is a WebSocket, which AWS IoT opens for signed requests alone: write the host name, with :443 behind it if other ports are closed")
	}
	if o.TLS.Cert == "" && o.TLS.Key == "" {
		report("tls", "needs cert and key: AWS IoT knows a thing by its certificate")
	}
	if len(o.ClientID) > 128 || strings.HasPrefix(o.ClientID, "$") { // MQTT limits of AWS IoT Core
		report("client_id", fmt.Sprintf("%q cannot be: AWS IoT takes up to 128 bytes that do not begin with $", o.ClientID))
	}
	checkKeepAlive(o.KeepAlive, report)
}

// Endpoint implements recipe.
func (o *AWS) Endpoint() string { return secureFirst(o.Address, "8883") }

// Route implements recipe.
func (o *AWS) Route() (to, format string) { return "{topic}", "stored" }

func (o *AWS) expand(gateway string) plan {
	if o.ClientID != "" {
		gateway = o.ClientID
	}
	options := o.mqtt(o.Endpoint(), gateway, "")
	if _, port := hostPort(options.Address); port == "443" && len(options.TLS.ALPN) == 0 {
		options.TLS.ALPN = []string{awsALPN}
	}
	// A test has to use the same client id: the policy lets no other in.
	return plan{options: options, session: func(time.Time) (mqtt.Session, error) {
		return mqtt.Session{Login: &mqtt.Login{ClientID: gateway}}, nil
	}}
}
