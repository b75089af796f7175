package queue_test

import (
	"testing"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/sql92"
)

func TestFiltersSeeTheValuesOfReadings(t *testing.T) {
	reading := message.Record{Position: 7, Message: message.Message{
		Topic: "readings/line-3/press 1", Device: "press 1", QoS: 1,
		Payload: []byte(`{"gateway":"line-3","device":"press 1","values":{"temperature":21.5,"counter":7,"running":true,"label":"A-1","off":null}}`),
	}}
	for filter, want := range map[string]bool{
		"device = 'press 1' AND temperature > 21.0":  true,
		"temperature > 22.0":                         false,
		"counter BETWEEN 5 AND 9 AND running = TRUE": true,
		"label STARTSWITH 'A'":                       true,
		"off IS NULL AND none IS NULL":               true,
		"TAGS = 'press_1' AND KEYS = 'press_1'":      true,
		"originMqttTopic CONTAINS 'line-3'":          true,
	} {
		parsed, err := sql92.Parse(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := parsed.Match(func(name string) (string, bool) { return queue.PropertyOf(&reading, name) }); got != want {
			t.Errorf("%s gives %v", filter, got)
		}
	}
}
