package payload_test

import (
	"testing"

	"sluice/bridge"
	"sluice/bridge/payload"
	"sluice/gateway/message"
)

func TestDeviceIsTheOneOfTopicTemplates(t *testing.T) {
	for _, topic := range []string{"readings/line-3/press", "status/line-3/press/more", "alarms/line-3", "commands//", "a/b/c", "single", "/", ""} {
		r := message.Record{Message: message.Message{Topic: topic}}
		if got, want := payload.DeviceOf(&r), bridge.DeviceOf(topic); got != want {
			t.Errorf("%q speaks of %q here and of %q in topic templates", topic, got, want)
		}
	}
}
