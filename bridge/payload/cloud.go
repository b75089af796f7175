package payload

// neuronReadFailure is the code for a point without a value: EMQX Neuron knows numbers only, and this
// one means that a plugin could not read. The reason in words stays in the log.
const neuronReadFailure = "3000"

// appendNeuron makes what EMQX Neuron calls the values format.
func appendNeuron(m *Maker, b []byte, in *reading) []byte {
	b = m.appendNeuronSource(b, in)
	b = append(b, `,"values":{`...)
	b = appendMembers(b, in, goodPoint, m.appendValue)
	b = append(b, `},"errors":{`...)
	b = appendMembers(b, in, failedPoint, func(b []byte, _ *point) []byte { return append(b, neuronReadFailure...) })
	return append(b, "}}"...)
}

// appendNeuronTags makes what EMQX Neuron calls the tags format.
func appendNeuronTags(m *Maker, b []byte, in *reading) []byte {
	b = m.appendNeuronSource(b, in)
	b = append(b, `,"tags":[`...)
	for i := range in.points {
		p := &in.points[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `{"name":`...), p.name...)
		if p.value != nil {
			b = m.appendValue(append(b, `,"value":`...), p)
		} else {
			b = append(b, `,"error":`+neuronReadFailure...)
		}
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

func (m *Maker) appendNeuronSource(b []byte, in *reading) []byte {
	b = append(append(b, `{"timestamp":`...), in.ts...)
	b = append(append(b, `,"node":`...), in.device...)
	return appendQuoted(append(b, `,"group":`...), m.options.Group)
}

// appendThingsBoard makes telemetry for ThingsBoard's gateway API, topic v1/gateway/telemetry.
func appendThingsBoard(m *Maker, b []byte, in *reading) []byte {
	b = append(append(b, '{'), in.device...)
	b = append(b, ":["...)
	b = appendThingsBoardDevice(m, b, in)
	return append(b, "]}"...)
}

// appendThingsBoardDevice makes telemetry for ThingsBoard's device API, topic v1/devices/me/telemetry.
// It has no place for errors: a point without a value is left out, as null would be refused.
func appendThingsBoardDevice(m *Maker, b []byte, in *reading) []byte {
	b = append(append(b, `{"ts":`...), in.ts...)
	b = append(b, `,"values":{`...)
	b = appendMembers(b, in, goodPoint, m.appendValue)
	return append(b, "}}"...)
}
