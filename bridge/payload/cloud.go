package payload

import (
	"strconv"
	"time"
)

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

// appendAlink makes a report of properties for Alibaba Cloud IoT Platform, each with its time. Nobody
// would read the answer, so none is asked for: https://help.aliyun.com/document_detail/89301.html
func appendAlink(m *Maker, b []byte, in *reading) []byte {
	b = append(b, `{"id":"`...)
	b = strconv.AppendUint(b, uint64(whole(in.seq))&0xffffffff, 10) // the platform knows 32 bits
	b = append(b, `","version":"1.0","sys":{"ack":0},"params":{`...)
	b = appendMembers(b, in, goodPoint, func(b []byte, p *point) []byte {
		b = m.appendValue(append(b, `{"value":`...), p)
		return append(append(append(b, `,"time":`...), in.ts...), '}')
	})
	return append(b, `},"method":"thing.event.property.post"}`...)
}

// huaweiTime is the one of the two forms that keeps milliseconds:
// https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_3010.html
const huaweiTime = "2006-01-02T15:04:05.000Z"

// appendHuawei makes a report of properties for Huawei Cloud IoTDA; each device of ours is a service there.
func appendHuawei(m *Maker, b []byte, in *reading) []byte {
	b = append(append(b, `{"services":[{"service_id":`...), in.device...)
	b = append(b, `,"properties":{`...)
	b = appendMembers(b, in, goodPoint, m.appendValue)
	b = append(b, `},"event_time":"`...)
	b = time.UnixMilli(whole(in.ts)).UTC().AppendFormat(b, huaweiTime)
	return append(b, `"}]}`...)
}
