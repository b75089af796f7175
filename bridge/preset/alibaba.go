package preset

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sluice/bridge/mqtt"
)

// Alibaba is the recipe for Alibaba Cloud IoT Platform, with one secret for each device:
// https://help.aliyun.com/document_detail/73742.html
type Alibaba struct {
	Address    string `yaml:"address" doc:"the instance's MQTT endpoint, as iot-XXXX.mqtt.iothub.aliyuncs.com; default: that of the public instance in region"`
	Region     string `yaml:"region" doc:"the region of the public instance, as cn-shanghai, in the place of address"`
	ProductKey string `yaml:"product_key" required:"true" doc:"the ProductKey of the product"`
	DeviceName string `yaml:"device_name" required:"true" doc:"the DeviceName of the device as which the gateway is registered"`
	SecretFile string `yaml:"secret_file" required:"true" path:"secret" doc:"file that holds the DeviceSecret; read at every connection"`
	Line       `yaml:",inline"`
}

// AlibabaIoT makes uplinks to Alibaba Cloud IoT Platform.
func AlibabaIoT(log *slog.Logger) Kind {
	return Kind{func() recipe { return &Alibaba{Line: defaultLine()} }, log}
}

var alibabaRegion = regexp.MustCompile(`^[a-z0-9-]+$`)

// Validate implements recipe.
func (o *Alibaba) Validate(report func(path, problem string)) {
	switch {
	case o.Address == "" && o.Region == "":
		report("address", "is missing: write the instance's MQTT endpoint, or the region of the public instance")
	case o.Address != "" && o.Region != "":
		report("region", "is of no use beside address")
	case o.Region != "" && !alibabaRegion.MatchString(o.Region):
		report("region", fmt.Sprintf("is %q; write for example cn-shanghai", o.Region))
	default:
		check(o, report)
	}
	checkLevel("product_key", o.ProductKey, 30, report)
	checkLevel("device_name", o.DeviceName, 32, report)
	checkKeepAlive(o.KeepAlive, report)
}

// Endpoint implements recipe.
func (o *Alibaba) Endpoint() string {
	if o.Address != "" {
		return secureFirst(o.Address, "1883") // one port for both, by what is spoken on it
	}
	return "ssl://" + o.ProductKey + ".iot-as-mqtt." + o.Region + ".aliyuncs.com:1883"
}

// Route implements recipe.
func (o *Alibaba) Route() (to, format string) {
	return "/sys/" + o.ProductKey + "/" + o.DeviceName + "/thing/event/property/post", "alink"
}

func (o *Alibaba) expand(string) plan {
	// Every product has that topic, for its own purposes.
	options := o.mqtt(o.Endpoint(), "", "/"+o.ProductKey+"/"+o.DeviceName+"/user/update")
	mode := 2
	if strings.HasPrefix(options.Address, "tcp:") || strings.HasPrefix(options.Address, "ws:") {
		mode = 3
	}
	return plan{options: options, session: func(now time.Time) (mqtt.Session, error) { return o.session(mode, now) }}
}

func (o *Alibaba) session(mode int, now time.Time) (mqtt.Session, error) {
	key, err := secret("secret_file", o.SecretFile)
	if err != nil {
		return mqtt.Session{}, err
	}
	client, stamp := o.ProductKey+"."+o.DeviceName, strconv.FormatInt(now.UnixMilli(), 10)
	return mqtt.Session{Login: &mqtt.Login{
		ClientID: fmt.Sprintf("%s|securemode=%d,signmethod=hmacsha256,timestamp=%s|", client, mode, stamp),
		Username: o.DeviceName + "&" + o.ProductKey,
		Password: hex.EncodeToString(sign(sha256.New, []byte(key), o.signed(client, stamp))),
	}}, nil
}

// signed is what the password proves: names and values, sorted by name.
func (o *Alibaba) signed(client, stamp string) string {
	return "clientId" + client + "deviceName" + o.DeviceName + "productKey" + o.ProductKey + "timestamp" + stamp
}
