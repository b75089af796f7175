package rocketmq

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/bridge"
	"sluice/gateway/message"
	"sluice/gateway/remoting"
)

// Names of properties. The first are RocketMQ's, the others those of the Apache RocketMQ MQTT project.
const (
	keysName     = "KEYS"
	tagsName     = "TAGS"
	uniqueName   = "UNIQ_KEY"
	originTopic  = "originMqttTopic"
	qosName      = "qosLevel"
	clientName   = "clientId"
	cleanName    = "cleanSessionFlag"
	extraName    = "extData"
	emptyName    = "IS_EMPTY_MSG"
	mqttTag      = "MQTT_COMMON"
	envelopeName = "\x00rocketmq" // what the gateway's RocketMQ listener keeps of a message beside its properties
)

// spent are properties that a broker acts upon, or writes itself: the gateway's has done so already, and
// a second delay or transaction would be wrong.
var spent = []string{
	"DELAY", "TIMER_DELAY_SEC", "TIMER_DELAY_MS", "TIMER_DELIVER_MS", "TIMER_OUT_MS", "TIMER_DEL_UNIQKEY", "TIMER_ROLL_TIMES",
	"TIMER_ENQUEUE_MS", "TIMER_DEQUEUE_MS", "TRAN_MSG", "PGROUP", "TRANSACTION_CHECK_TIMES", "CHECK_IMMUNITY_TIME_IN_SECONDS",
	"RETRY_TOPIC", "REAL_TOPIC", "REAL_QID", "MAX_RECONSUME_TIMES", "RECONSUME_TIME", "WAIT", "POP_CK", "INNER_NUM", "INNER_BASE",
	"INNER_MULTI_DISPATCH", "INNER_MULTI_QUEUE_OFFSET", "MSG_REGION", "TRACE_ON", "CLUSTER",
}

// largestBody is what a compressed body may grow to: brokers take no message of more.
const largestBody = 4 << 20

// part makes of a message what goes into a request. An error means that no broker would take it.
func part(o *bridge.Outgoing) (remoting.Part, error) {
	envelope, fromRocketMQ := o.Record.Property(envelopeName)
	p := remoting.Part{Body: o.Payload}
	var properties []remoting.Property
	if fromRocketMQ {
		var sysFlag int32
		p.Flag, sysFlag = flags(envelope)
		if sysFlag&remoting.SysCompressed != 0 && same(o.Payload, o.Record.Payload) {
			// One sysFlag counts for a whole batch, so the body goes as the producer had it.
			body, err := remoting.Inflate(o.Payload, sysFlag, largestBody)
			if err != nil {
				return p, err
			}
			p.Body = body
		}
		properties = ownProperties(o)
	} else {
		properties = mqttProperties(o)
	}
	for _, mark := range o.Marks {
		properties = append(properties, remoting.Property(mark))
	}
	if len(p.Body) == 0 { // which RocketMQ does not know
		p.Body = []byte(" ")
		properties = append(properties, remoting.Property{Name: emptyName, Value: "true"})
	}
	text, err := remoting.AppendProperties(nil, properties)
	p.Properties = string(text)
	return p, err
}

// flags are the user's and the system's, with which a message came over RocketMQ.
func flags(envelope string) (user, system int32) {
	first, rest, _ := strings.Cut(envelope, " ")
	second, _, _ := strings.Cut(rest, " ")
	a, _ := strconv.ParseInt(first, 10, 32)
	b, _ := strconv.ParseInt(second, 10, 32)
	return int32(a), int32(b)
}

func same(a, b []byte) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// ownProperties are those of a message that came over RocketMQ: they stay as its producer gave them.
func ownProperties(o *bridge.Outgoing) []remoting.Property {
	properties := make([]remoting.Property, 0, len(o.Properties)+len(o.Marks)+2)
	unique := false
	for _, p := range o.Properties {
		switch {
		case p.Name == "", p.Name[0] == 0, slices.Contains(spent, p.Name), p.Name == originTopic:
			continue
		case p.Name == uniqueName:
			if o.Part > 0 {
				continue // each part needs its own
			}
			unique = true
		}
		properties = append(properties, remoting.Property(p))
	}
	properties = append(properties, remoting.Property{Name: originTopic, Value: o.Topic})
	if !unique {
		properties = append(properties, remoting.Property{Name: uniqueName, Value: uniqueKey(o)})
	}
	return properties
}

// mqttProperties are those that the Apache RocketMQ MQTT project gives a message that came over MQTT, and
// that the gateway's RocketMQ listener gives it too; a reading has its device as key and tag.
func mqttProperties(o *bridge.Outgoing) []remoting.Property {
	properties := make([]remoting.Property, 0, 8+len(o.Marks))
	add := func(name, value string) { properties = append(properties, remoting.Property{Name: name, Value: value}) }
	add(originTopic, o.Topic)
	add(qosName, strconv.Itoa(int(o.QoS)))
	tag := mqttTag
	if o.Record.Device != "" {
		tag = cleanTag(o.Record.Device)
		add(keysName, tag)
	}
	add(tagsName, tag)
	if o.Record.Client != "" {
		_, persistent := o.Record.Property(message.Persistent)
		add(clientName, o.Record.Client)
		add(cleanName, strconv.FormatBool(!persistent))
	}
	if extra := extraData(o.Properties); extra != "" {
		add(extraName, extra)
	}
	add(uniqueName, uniqueKey(o))
	return properties
}

// extraData is a JSON object of the user's properties, "" when there are none; the last of a name counts.
func extraData(properties []message.Property) string {
	extra := make(map[string]string)
	for _, p := range properties {
		if p.Name != "" && p.Name[0] != 0 {
			extra[p.Name] = p.Value
		}
	}
	if len(extra) == 0 {
		return ""
	}
	text, err := json.Marshal(extra)
	if err != nil { // strings can always be written
		return ""
	}
	return string(text)
}

// cleanTag replaces what separates tags and keys.
func cleanTag(device string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '|' {
			return '_'
		}
		return r
	}, device)
}

// uniqueKey is the same at every repetition of a message, so that consumers drop what they have had. It
// has the layout of a Java client's, from which tools read when a message was born: address, process,
// loader, milliseconds since the month began, counter. Origin takes the place of the address.
func uniqueKey(o *bridge.Outgoing) string {
	origin := fnv.New32a()
	origin.Write([]byte(o.Origin))
	at := uint64(o.Record.Position)
	return fmt.Sprintf("%08X%04X%08X%08X%04X", origin.Sum32(), uint16(o.Part), uint32(at>>16), uint32(sinceMonth(o.Record.Time)), uint16(at))
}

func sinceMonth(unixMilli int64) int64 {
	t := time.UnixMilli(unixMilli).UTC()
	return unixMilli - time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}
