package preset

import (
	"fmt"
	"log/slog"
	"time"

	"sluice/bridge/mqtt"
)

// ThingsBoard is the recipe for ThingsBoard, as a gateway with many devices or as one device:
// https://thingsboard.io/docs/reference/gateway-mqtt-api/
type ThingsBoard struct {
	Address   string `yaml:"address" required:"true" doc:"where ThingsBoard listens for MQTT, as mqtt.thingsboard.cloud; tcp://HOST without TLS"`
	TokenFile string `yaml:"token_file" required:"true" path:"secret" doc:"file that holds the access token; read at every connection"`
	As        string `yaml:"as" default:"gateway" enum:"gateway,device" doc:"whether the token belongs to a gateway, whose devices ThingsBoard makes as they come, or to the one device that the routes take readings of"`
	Line      `yaml:",inline"`
}

// ThingsBoardMQTT makes uplinks to ThingsBoard.
func ThingsBoardMQTT(log *slog.Logger) Kind {
	return Kind{func() recipe { return &ThingsBoard{As: "gateway", Line: defaultLine()} }, log}
}

// Validate implements recipe.
func (o *ThingsBoard) Validate(report func(path, problem string)) {
	check(o, report)
	if o.As != "gateway" && o.As != "device" {
		report("as", fmt.Sprintf("is %q; write gateway or device", o.As))
	}
}

// Endpoint implements recipe.
func (o *ThingsBoard) Endpoint() string { return secureFirst(o.Address, "8883") }

// Route implements recipe.
func (o *ThingsBoard) Route() (to, format string) {
	if o.As == "device" {
		return "v1/devices/me/telemetry", "thingsboard-device"
	}
	return "v1/gateway/telemetry", "thingsboard"
}

func (o *ThingsBoard) expand(gateway string) plan {
	// Attributes have no history that a test could spoil.
	return plan{options: o.mqtt(o.Endpoint(), gateway, "v1/devices/me/attributes"), session: func(time.Time) (mqtt.Session, error) {
		token, err := secret("token_file", o.TokenFile)
		return mqtt.Session{Login: &mqtt.Login{ClientID: gateway, Username: token}}, err
	}}
}
