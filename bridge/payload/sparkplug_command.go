package payload

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"sluice/gateway/message"
)

const rebirthMetric = "Node Control/Rebirth"

// SparkplugCommand is what a host asks for.
type SparkplugCommand struct {
	Rebirth bool // publish Births again
	Device  string
	Writes  []SparkplugWrite // to Device, or to the node itself when that is empty
}

// SparkplugWrite is one value that shall be written.
type SparkplugWrite struct {
	Name  string
	Value message.Value
}

// Command reads a message that came under one of Subscriptions.
func (s *Session) Command(topic string, payload []byte) (SparkplugCommand, error) {
	var c SparkplugCommand
	n := s.node
	prefix := n.topic("DCMD", "") + "/"
	switch {
	case topic == n.topic("NCMD", ""):
	case strings.HasPrefix(topic, prefix):
		c.Device = topic[len(prefix):]
	default:
		return c, fmt.Errorf("%q is no topic for commands to this edge node", topic)
	}
	metrics, err := decodeMetrics(payload)
	if err != nil {
		return SparkplugCommand{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range metrics {
		m := &metrics[i]
		if err := n.nameLocked(m, c.Device); err != nil {
			return SparkplugCommand{}, err
		}
		value, err := m.commanded()
		if err != nil {
			return SparkplugCommand{}, err
		}
		if c.Device == "" && m.name == rebirthMetric {
			c.Rebirth = c.Rebirth || value == message.Bool(true)
			continue
		}
		c.Writes = append(c.Writes, SparkplugWrite{Name: m.name, Value: value})
	}
	return c, nil
}

// nameLocked finds the name and the type of a metric that has an alias alone.
func (n *EdgeNode) nameLocked(m *wireMetric, device string) error {
	if m.name == "" {
		known := n.aliases[m.alias]
		if known == nil || known.device.name != device {
			return fmt.Errorf("the command names the alias %d, which no metric here has", m.alias)
		}
		m.name = known.name
	}
	if !utf8.ValidString(m.name) {
		return errors.New("the command has a name that is not UTF-8")
	}
	if m.kind != typeUnknown {
		return nil
	}
	if d := n.devices[device]; d != nil && d.metrics[m.name] != nil {
		m.kind = d.metrics[m.name].kind
	}
	return nil
}

// commanded gives the value of a decoded metric.
func (m *wireMetric) commanded() (message.Value, error) {
	if m.null || m.field == 0 || m.field >= metricBytes { // bytes and the like are no value of a point
		return message.Value{}, fmt.Errorf("the command gives no value for %q", m.name)
	}
	bits := m.value.bits
	switch m.field {
	case metricBoolean:
		return message.Bool(bits != 0), nil
	case metricString:
		return message.Text(strings.ToValidUTF8(m.value.text, "\ufffd")), nil
	case metricFloat:
		return message.Float32(math.Float32frombits(uint32(bits))), nil
	case metricDouble:
		return message.Float64(math.Float64frombits(bits)), nil
	}
	switch m.kind { // signed numbers travel as the unsigned ones of the same bits
	case typeInt8:
		return message.Int(int64(int8(bits))), nil
	case typeInt16:
		return message.Int(int64(int16(bits))), nil
	case typeInt32:
		return message.Int(int64(int32(bits))), nil
	case typeInt64:
		if m.field == metricInt {
			return message.Int(int64(int32(bits))), nil
		}
		return message.Int(int64(bits)), nil
	case typeBoolean:
		return message.Bool(bits != 0), nil
	}
	return message.Uint(bits), nil
}
