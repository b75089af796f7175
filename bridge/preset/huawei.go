package preset

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"sluice/bridge/mqtt"
)

// Huawei is the recipe for Huawei Cloud IoTDA, with a device's secret:
// https://support.huaweicloud.com/intl/en-us/devg-iothub/iot_02_0203.html
type Huawei struct {
	Address    string `yaml:"address" required:"true" doc:"the instance's access address for devices over MQTTS, as XXXX.iotda-device.cn-north-4.myhuaweicloud.com"`
	DeviceID   string `yaml:"device_id" required:"true" doc:"the device id (not the node id) of the device as which the gateway is registered"`
	SecretFile string `yaml:"secret_file" required:"true" path:"secret" doc:"file that holds the device's secret; read at every connection"`
	Line       `yaml:",inline"`
}

// HuaweiIoTDA makes uplinks to Huawei Cloud IoTDA.
func HuaweiIoTDA(log *slog.Logger) Kind {
	return Kind{func() recipe { return &Huawei{Line: defaultLine()} }, log}
}

// Validate implements recipe.
func (o *Huawei) Validate(report func(path, problem string)) {
	check(o, report)
	checkLevel("device_id", o.DeviceID, 128, report)
	checkKeepAlive(o.KeepAlive, report)
}

// Endpoint implements recipe.
func (o *Huawei) Endpoint() string { return secureFirst(o.Address, "8883") }

// Route implements recipe.
func (o *Huawei) Route() (to, format string) {
	return "$oc/devices/" + o.DeviceID + "/sys/properties/report", "huawei"
}

func (o *Huawei) expand(string) plan {
	// Messages of a device, unlike its properties, may be anything.
	return plan{options: o.mqtt(o.Endpoint(), "", "$oc/devices/"+o.DeviceID+"/sys/messages/up"), session: o.session}
}

// session logs in by device id (the first 0) with an hour that is not held against the clock (the
// second), since a gateway's may be wrong before it has a connection.
func (o *Huawei) session(now time.Time) (mqtt.Session, error) {
	key, err := secret("secret_file", o.SecretFile)
	if err != nil {
		return mqtt.Session{}, err
	}
	hour := now.UTC().Format("2006010215")
	return mqtt.Session{Login: &mqtt.Login{
		ClientID: o.DeviceID + "_0_0_" + hour,
		Username: o.DeviceID,
		Password: hex.EncodeToString(sign(sha256.New, []byte(hour), key)), // the hour is the key, the secret the content
	}}, nil
}
