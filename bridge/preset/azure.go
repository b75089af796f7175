package preset

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"sluice/bridge/mqtt"
)

// Azure is the recipe for Azure IoT Hub, with a device's key or with its certificate:
// https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub
type Azure struct {
	Address   string        `yaml:"address" required:"true" doc:"the hub's host name, as NAME.azure-devices.net; wss://NAME.azure-devices.net/$iothub/websocket goes through port 443"`
	DeviceID  string        `yaml:"device_id" required:"true" doc:"the device as which the gateway is registered"`
	KeyFile   string        `yaml:"key_file" path:"secret" doc:"file that holds the device's primary or secondary key; read at every connection. Not needed with tls.cert and tls.key"`
	TokenLife time.Duration `yaml:"token_life" doc:"how long a login is good; the next connection has a new one"`
	Line      `yaml:",inline"`
}

// AzureIoTHub makes uplinks to Azure IoT Hub.
func AzureIoTHub(log *slog.Logger) Kind {
	return Kind{func() recipe { return &Azure{TokenLife: time.Hour, Line: defaultLine()} }, log}
}

const azureVersion = "2021-04-12"

// Validate implements recipe.
func (o *Azure) Validate(report func(path, problem string)) {
	check(o, report)
	onlySecure(o.Address, report)
	checkLevel("device_id", o.DeviceID, 128, report)
	switch {
	case o.KeyFile == "" && o.TLS.Cert == "":
		report("key_file", "is missing: write the file with the device's key, or tls.cert and tls.key for a device with a certificate")
	case o.KeyFile != "" && o.TLS.Cert != "":
		report("key_file", "is one login too many: the device has a key or a certificate (tls.cert)")
	}
	if o.TokenLife < 5*time.Minute || o.TokenLife > 365*24*time.Hour {
		report("token_life", fmt.Sprintf("is %s; from 5m to 8760h is possible", o.TokenLife))
	}
	if o.KeepAlive > 1177*time.Second { // the hub's time-out of 29.45 minutes is 1.5 times that
		report("keep_alive", fmt.Sprintf("is %s; Azure IoT Hub takes up to 1177s", o.KeepAlive))
	}
}

// Endpoint implements recipe.
func (o *Azure) Endpoint() string { return secureFirst(o.Address, "8883") }

// azureContent says what the payload is, so that the hub can route by what is in it: message
// properties travel at the end of the topic there.
const azureContent = "$.ct=application%2Fjson&$.ce=utf-8"

// Route implements recipe.
func (o *Azure) Route() (to, format string) {
	return o.events() + "device={device}&" + azureContent, "stored"
}

func (o *Azure) events() string { return "devices/" + o.DeviceID + "/messages/events/" }

func (o *Azure) expand(string) plan {
	p := plan{options: o.mqtt(o.Endpoint(), o.DeviceID, o.events()+"test=true&"+azureContent)}
	host, _ := hostPort(p.options.Address)
	p.options.Username = host + "/" + o.DeviceID + "/?api-version=" + azureVersion
	p.session = func(now time.Time) (mqtt.Session, error) { return o.session(host, p.options.Username, now) }
	return p
}

// session has a token that is given up a tenth of its life before it ends: the hub would cut the
// connection then, and its clock may be ahead of ours.
func (o *Azure) session(host, username string, now time.Time) (mqtt.Session, error) {
	if o.KeyFile == "" { // its certificate says it all
		return mqtt.Session{Login: &mqtt.Login{ClientID: o.DeviceID, Username: username}}, nil
	}
	key, err := secret("key_file", o.KeyFile)
	if err != nil {
		return mqtt.Session{}, err
	}
	expires := now.Add(o.TokenLife)
	token, err := azureToken(host+"/devices/"+o.DeviceID, key, expires)
	if err != nil {
		return mqtt.Session{}, err
	}
	return mqtt.Session{
		Login: &mqtt.Login{ClientID: o.DeviceID, Username: username, Password: token},
		Until: expires.Add(-o.TokenLife / 10),
	}, nil
}

// azureToken signs for one device:
// https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas#sas-token-structure
func azureToken(resource, key string, expires time.Time) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		// The error would quote a part of the key.
		return "", errors.New("key_file does not hold a device's key: that is Base64, without SharedAccessKey= in front of it")
	}
	sr, se := url.QueryEscape(resource), strconv.FormatInt(expires.Unix(), 10)
	signature := base64.StdEncoding.EncodeToString(sign(sha256.New, raw, sr+"\n"+se))
	return "SharedAccessSignature sr=" + sr + "&sig=" + url.QueryEscape(signature) + "&se=" + se, nil
}
