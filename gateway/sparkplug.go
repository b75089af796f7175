package gateway

import (
	"strconv"

	"sluice/bridge/payload"
	"sluice/web"
)

// sparkplugOf gives a Sparkplug B payload as the page shows it; nil if it is something else.
func sparkplugOf(topic string, body []byte) *web.Sparkplug {
	content, ok := payload.ReadSparkplug(topic, body)
	if !ok {
		return nil
	}
	shown := web.Sparkplug{
		Kind: content.Kind, Group: content.Group, Node: content.Node, Device: content.Device,
		Time: content.Time, Seq: content.Seq, Count: content.Count, Metrics: make([]web.SparkplugMetric, len(content.Metrics)),
	}
	for i := range content.Metrics {
		m := &content.Metrics[i]
		each := web.SparkplugMetric{Name: m.Name, Type: m.Type, Time: m.Time, Historical: m.Historical, Bytes: m.Bytes}
		if m.Alias != nil {
			each.Alias = strconv.FormatUint(*m.Alias, 10)
		}
		if !m.Null {
			each.Value = &m.Value
		}
		shown.Metrics[i] = each
	}
	return &shown
}
