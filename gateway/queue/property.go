package queue

import (
	"encoding/json"

	"sluice/gateway/message"
)

// PropertyOf gives a property of a record as a RocketMQ consumer sees it. What a filter may ask for
// besides: of a reading its device, and its values by the names of the points.
func PropertyOf(r *message.Record, name string) (value string, known bool) {
	if name == "" || name[0] == 0 {
		return "", false
	}
	if _, sealed := r.Property(envelope); sealed {
		return r.Property(name)
	}
	m := FromRecord(r)
	for _, p := range m.Properties {
		if p.Name == name {
			return p.Value, true
		}
	}
	if r.Device == "" {
		return "", false
	}
	if name == "device" {
		return r.Device, true
	}
	var reading struct {
		Values map[string]json.RawMessage `json:"values"`
	}
	if json.Unmarshal(r.Payload, &reading) != nil {
		return "", false
	}
	raw, known := reading.Values[name]
	if !known || string(raw) == "null" {
		return "", false
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	return string(raw), true
}
