package queue

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/gateway/message"
)

// Message is a message as RocketMQ sees it.
type Message struct {
	Topic      string
	Queue      int // -1 when it is sent: any
	Flag       int32
	SysFlag    int32
	BornTime   int64 // Unix milliseconds
	BornHost   netip.AddrPort
	Reconsumed int32 // how often it was given back
	Prepared   message.Position
	Dead       bool   // sent to a group's retries it is a dead letter, however often it was given back
	Body       []byte // as it came, compressed if SysFlag says so
	Properties []message.Property

	// Where it is, once it is in the log.
	Position  message.Position
	Offset    uint64
	StoreTime int64 // Unix milliseconds
}

// Names of properties that RocketMQ gives a meaning. Those of the Apache RocketMQ MQTT project stand below.
const (
	Keys             = "KEYS"
	Tags             = "TAGS"
	UniqueKey        = "UNIQ_KEY"
	Delay            = "DELAY"
	RetryTopicName   = "RETRY_TOPIC"
	RealTopic        = "REAL_TOPIC"
	RealQueue        = "REAL_QID"
	Transaction      = "TRAN_MSG"
	ProducerGroup    = "PGROUP"
	OriginID         = "ORIGIN_MESSAGE_ID"
	DeadOriginTopic  = "DLQ_ORIGIN_TOPIC" // newer brokers name both, ours and 5.5 do not
	DeadOriginID     = "DLQ_ORIGIN_MESSAGE_ID"
	TimerDelaySec    = "TIMER_DELAY_SEC"
	TimerDelayMs     = "TIMER_DELAY_MS"
	TimerDeliverMs   = "TIMER_DELIVER_MS"
	MaxRetriesName   = "MAX_RECONSUME_TIMES"
	ShardingKey      = "__SHARDINGKEY" // messages with the same one keep their order
	timerOut         = "TIMER_OUT_MS"
	timerCancel      = "TIMER_DEL_UNIQKEY"
	CheckTimes       = "TRANSACTION_CHECK_TIMES"
	CheckImmunity    = "CHECK_IMMUNITY_TIME_IN_SECONDS"
	originMQTTTopic  = "originMqttTopic"
	qosLevel         = "qosLevel"
	mqttClient       = "clientId"
	cleanSession     = "cleanSessionFlag"
	mqttExtra        = "extData"
	mqttTag          = "MQTT_COMMON"
	waitName         = "WAIT"
	transactionID    = "__transactionId__"
	popCheckpoint    = "POP_CK"
	envelope         = "\x00rocketmq" // what of a RocketMQ message has no place in a message.Message
	maxPropertyBytes = 32767
)

// Property gives the value of a property, "" when there is none.
func (m *Message) Property(name string) string {
	for i := range m.Properties {
		if m.Properties[i].Name == name {
			return m.Properties[i].Value
		}
	}
	return ""
}

// Set gives a property a value.
func (m *Message) Set(name, value string) {
	for i := range m.Properties {
		if m.Properties[i].Name == name {
			m.Properties[i].Value = value
			return
		}
	}
	m.Properties = append(m.Properties, message.Property{Name: name, Value: value})
}

// Unset removes properties.
func (m *Message) Unset(names ...string) {
	kept := m.Properties[:0]
	for _, p := range m.Properties {
		keep := true
		for _, name := range names {
			keep = keep && p.Name != name
		}
		if keep {
			kept = append(kept, p)
		}
	}
	m.Properties = kept
}

// logged gives what the log keeps of m.
func (m *Message) logged() *message.Message {
	topic := logTopic(m.Topic)
	if origin := m.Property(originMQTTTopic); message.QueueTopic(origin) == topic && message.CheckTopic(origin) == nil {
		topic = origin // the message came from MQTT, or wants to be seen there as if
	}
	host := ""
	if m.BornHost.IsValid() {
		host = m.BornHost.String()
	}
	into := &message.Message{
		Topic: topic, Payload: m.Body, Queue: byte(m.Queue), QoS: 1, Client: "",
		Properties: make([]message.Property, 0, len(m.Properties)+1),
	}
	into.Properties = append(into.Properties, m.Properties...)
	into.Properties = append(into.Properties, message.Property{Name: envelope, Value: fmt.Sprintf("%d %d %d %d %d %s",
		m.Flag, m.SysFlag, m.BornTime, m.Reconsumed, m.Prepared, host)})
	return into
}

// FromRecord gives a record of the log as a RocketMQ message. It shares memory with the record.
func FromRecord(r *message.Record) *Message {
	m := new(Message)
	m.Load(r)
	return m
}

// Load makes m what FromRecord gives. Whoever reads many records loads them into one message: it keeps the
// room for the properties.
func (m *Message) Load(r *message.Record) {
	room := m.Properties[:0]
	if cap(room) < len(r.Properties) {
		room = make([]message.Property, 0, len(r.Properties)+6)
	}
	*m = Message{
		Topic: rocketTopic(message.QueueTopic(r.Topic)), Queue: int(r.Queue), Body: r.Payload,
		Position: r.Position, Offset: r.QueueOffset, StoreTime: r.Time, BornTime: r.Time,
		Properties: room,
	}
	sealed := false
	for i := range r.Properties {
		switch p := &r.Properties[i]; {
		case p.Name == envelope:
			sealed = true
			m.unseal(p.Value)
		case p.Name != "" && p.Name[0] != 0:
			m.Properties = append(m.Properties, *p)
		}
	}
	if !sealed {
		m.fromMQTT(r)
	}
}

// SysFlagOf is the sysFlag that a record was sent with, 0 if that was not over RocketMQ.
func SysFlagOf(r *message.Record) int32 {
	value, _ := r.Property(envelope)
	_, value, _ = strings.Cut(value, " ")
	value, _, _ = strings.Cut(value, " ")
	flag, _ := strconv.ParseInt(value, 10, 64)
	return int32(flag)
}

// unseal reads what logged wrote.
func (m *Message) unseal(value string) {
	var fields [5]int64
	for i := range fields {
		field, rest, _ := strings.Cut(value, " ")
		fields[i], _ = strconv.ParseInt(field, 10, 64)
		value = rest
	}
	m.Flag, m.SysFlag, m.BornTime, m.Reconsumed = int32(fields[0]), int32(fields[1]), fields[2], int32(fields[3])
	m.Prepared = message.Position(fields[4])
	m.BornHost, _ = netip.ParseAddrPort(value)
}

// fromMQTT gives a message of an MQTT client or a device the properties that the Apache RocketMQ MQTT
// project gives them, so that its consumers read ours unchanged. MQTT 5 user properties travel in extData.
func (m *Message) fromMQTT(r *message.Record) {
	user := m.Properties
	m.Properties = append(make([]message.Property, 0, 9), message.Property{Name: originMQTTTopic, Value: r.Topic},
		message.Property{Name: qosLevel, Value: string('0' + r.QoS)})
	tag := mqttTag
	if r.Device != "" {
		tag = cleanTag(r.Device)
		m.Properties = append(m.Properties, message.Property{Name: Keys, Value: tag})
	}
	m.Properties = append(m.Properties, message.Property{Name: Tags, Value: tag})
	if r.Client != "" {
		_, persistent := r.Property(message.Persistent)
		m.Properties = append(m.Properties, message.Property{Name: mqttClient, Value: r.Client},
			message.Property{Name: cleanSession, Value: strconv.FormatBool(!persistent)})
	}
	if len(user) > 0 {
		m.Properties = append(m.Properties, message.Property{Name: mqttExtra, Value: extData(user)})
	}
	m.Properties = append(m.Properties, message.Property{Name: UniqueKey, Value: uniqueKeyAt(r.Time, r.Position)})
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

// extData writes user properties as a JSON object of strings; of names that repeat the last one counts.
func extData(user []message.Property) string {
	b := []byte{'{'}
	for i := range user {
		repeats := false
		for j := i + 1; j < len(user); j++ {
			repeats = repeats || user[j].Name == user[i].Name
		}
		if repeats {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendJSON(b, user[i].Name)
		b = append(b, ':')
		b = appendJSON(b, user[i].Value)
	}
	return string(append(b, '}'))
}

// appendJSON writes a JSON string without the characters that separate RocketMQ's properties.
func appendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = fmt.Appendf(b, "\\u%04x", r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// uniqueKeyAt makes the unique key of a message that came without one. It follows from its place, so it is
// the same whenever it is asked for, in the form of a Java client's: address, process, loader, the
// milliseconds since the month began, counter.
func uniqueKeyAt(stored int64, at message.Position) string {
	return fmt.Sprintf("00000000%012X%08X%04X", uint64(at)>>16&0xffffffffffff, uint32(sinceMonth(stored)), uint16(at))
}

// sinceMonth is how many milliseconds of its month a time is in, as a Java client counts them.
func sinceMonth(unixMillis int64) int64 {
	t := time.UnixMilli(unixMillis)
	return unixMillis - time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, t.Location()).UnixMilli()
}
