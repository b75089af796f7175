// Package all is the explicit list of uplinks: a new one is a folder and a line here.
package all

import (
	"log/slog"

	"sluice/bridge"
	"sluice/bridge/hj212"
	"sluice/bridge/http"
	"sluice/bridge/kafka"
	"sluice/bridge/mqtt"
	"sluice/bridge/mqtt5"
	"sluice/bridge/preset"
	"sluice/bridge/rocketmq"
)

// Kind makes uplinks of one kind. Options gives a fresh struct with defaults that the configuration
// is decoded into; Open takes it back and touches no network.
type Kind interface {
	Options() any
	Open(gateway string, options any) (bridge.Uplink, error)
}

// Uplinks are all kinds by the name that the configuration uses.
func Uplinks(log *slog.Logger) map[string]Kind {
	return map[string]Kind{
		"hj212":    hj212.Kind{Log: log},
		"http":     http.Kind{Log: log},
		"kafka":    kafka.Kind{Log: log},
		"mqtt":     mqtt.Kind{Log: log},
		"mqtt5":    mqtt5.Kind{Log: log},
		"rocketmq": rocketmq.Kind{Log: log},

		"aws-iot":       preset.AWSIoT(log),
		"azure-iot-hub": preset.AzureIoTHub(log),
		"alibaba-iot":   preset.AlibabaIoT(log),
		"huawei-iotda":  preset.HuaweiIoTDA(log),
		"thingsboard":   preset.ThingsBoardMQTT(log),
		"emqx":          preset.EMQXBroker(log),
		"sparkplug":     preset.SparkplugB(log),
	}
}
