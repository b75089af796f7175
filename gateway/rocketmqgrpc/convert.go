package rocketmqgrpc

import (
	"crypto/md5"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// Bounds of a message's properties, as the stock proxy has them.
const (
	maxProperties    = 128
	maxPropertyBytes = 16 << 10 // names and values of one message together
	maxGroupBytes    = 64       // of a message group
)

// The properties that travel as fields of their own, beside those that gateway/queue names.
const (
	bornHostName     = "__BORNHOST"
	traceContextName = "TRACE_CONTEXT"
)

// systemNames are the properties that RocketMQ gives a meaning: producers cannot choose them here, and consumers
// are not shown them among their own.
var systemNames = func() map[string]bool {
	names := make(map[string]bool)
	for _, name := range strings.Fields(`KEYS TAGS WAIT DELAY RETRY_TOPIC REAL_TOPIC REAL_QID TRAN_MSG PGROUP MIN_OFFSET MAX_OFFSET
		BUYER_ID ORIGIN_MESSAGE_ID TRANSFER_FLAG CORRECTION_FLAG MQ2_FLAG RECONSUME_TIME MSG_REGION TRACE_ON UNIQ_KEY EXTEND_UNIQ_INFO
		MAX_RECONSUME_TIMES CONSUME_START_TIME INNER_NUM INNER_BASE DUP_INFO CHECK_IMMUNITY_TIME_IN_SECONDS TRAN_PREPARED_QUEUE_OFFSET
		__transactionId__ TRANSACTION_CHECK_TIMES INSTANCE_ID CORRELATION_ID REPLY_TO_CLIENT TTL ARRIVE_TIME PUSH_REPLY_TIME CLUSTER
		MSG_TYPE POP_CK POP_CK_OFFSET 1ST_POP_TIME ORIGIN_GROUP __SHARDINGKEY INNER_MULTI_DISPATCH INNER_MULTI_QUEUE_OFFSET TRACE_CONTEXT
		TIMER_DELAY_SEC TIMER_DELAY_MS TIMER_DELIVER_MS TIMER_OUT_MS TIMER_ENQUEUE_MS TIMER_DEQUEUE_MS TIMER_ROLL_TIMES
		TIMER_DEL_UNIQKEY __BORNHOST BORN_TIMESTAMP __CRC32# DLQ_ORIGIN_TOPIC DLQ_ORIGIN_MESSAGE_ID`) {
		names[name] = true
	}
	return names
}()

// sent reads what a producer sends.
func (s *Server) sent(who caller, r *v2.Message, topic string, now time.Time) (*queue.Message, error) {
	system := r.GetSystemProperties()
	m := &queue.Message{Topic: topic, Queue: -1, Body: r.GetBody(), BornTime: now.UnixMilli(), BornHost: who.remote}
	if at := system.GetBornTimestamp(); at.IsValid() && at.AsTime().UnixMilli() > 0 {
		m.BornTime = at.AsTime().UnixMilli()
	}
	switch {
	case len(m.Body) == 0:
		return nil, refuse(messageBodyEmpty, "the message body is empty")
	case len(m.Body) > maxBody:
		return nil, refuse(v2.Code_MESSAGE_BODY_TOO_LARGE, "the message body has %d bytes, at most %d are taken", len(m.Body), maxBody)
	}
	if err := userProperties(m, r.GetUserProperties()); err != nil {
		return nil, err
	}
	if err := systemProperties(m, system, now); err != nil {
		return nil, err
	}
	if system.GetBodyEncoding() == v2.Encoding_GZIP {
		body, err := zlibOf(m.Body)
		if err != nil {
			return nil, refusal{v2.Code_MESSAGE_CORRUPTED, err.Error()}
		}
		m.Body, m.SysFlag = body, remoting.SysCompressed
	}
	return m, nil
}

func userProperties(m *queue.Message, properties map[string]string) error {
	if len(properties) > maxProperties {
		return refuse(v2.Code_MESSAGE_PROPERTIES_TOO_LARGE, "a message has at most %d properties, not %d", maxProperties, len(properties))
	}
	size := 0
	m.Properties = make([]message.Property, 0, len(properties)+8)
	for name, value := range properties {
		switch {
		case name == "":
			return refuse(v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "a property has no name")
		case systemNames[name]:
			return refuse(v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "the property %s is the system's", name)
		case hasControl(name) || hasControl(value):
			return refuse(v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "the property %.80q has control characters in its name or its value", name)
		}
		size += len(name) + len(value)
		m.Properties = append(m.Properties, message.Property{Name: name, Value: value})
	}
	if size > maxPropertyBytes {
		return refuse(v2.Code_MESSAGE_PROPERTIES_TOO_LARGE, "a message's properties have at most %d bytes together, not %d", maxPropertyBytes, size)
	}
	return nil
}

func systemProperties(m *queue.Message, system *v2.SystemProperties, now time.Time) error {
	if tag := system.GetTag(); tag != "" {
		if strings.TrimSpace(tag) == "" || strings.Contains(tag, "|") || hasControl(tag) {
			return refuse(v2.Code_ILLEGAL_MESSAGE_TAG, "%.80q is no tag", tag)
		}
		m.Set(queue.Tags, tag)
	}
	for _, key := range system.GetKeys() {
		if strings.TrimSpace(key) == "" || hasControl(key) {
			return refuse(v2.Code_ILLEGAL_MESSAGE_KEY, "%.80q is no key", key)
		}
	}
	if keys := system.GetKeys(); len(keys) > 0 {
		m.Set(queue.Keys, strings.Join(keys, " "))
	}
	id := system.GetMessageId()
	if strings.TrimSpace(id) == "" || hasControl(id) || len(id) > 256 {
		return refuse(v2.Code_ILLEGAL_MESSAGE_ID, "%.80q is no message id", id)
	}
	m.Set(queue.UniqueKey, id)
	if group := system.GetMessageGroup(); group != "" {
		if strings.TrimSpace(group) == "" || hasControl(group) || len(group) > maxGroupBytes {
			return refuse(v2.Code_ILLEGAL_MESSAGE_GROUP, "%.80q is no message group: it has 1 to %d bytes", group, maxGroupBytes)
		}
		m.Set(queue.ShardingKey, group)
	}
	if at := system.GetDeliveryTimestamp(); at != nil {
		due := at.AsTime()
		if !at.IsValid() || due.After(now.Add(queue.MaxDelay)) {
			return refuse(v2.Code_ILLEGAL_DELIVERY_TIME, "a message is delivered at most %v from now", queue.MaxDelay)
		}
		m.Set(queue.TimerDeliverMs, strconv.FormatInt(due.UnixMilli(), 10))
	}
	if trace := system.GetTraceContext(); trace != "" {
		if hasControl(trace) || len(trace) > maxPropertyBytes {
			return refuse(v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "the trace context has control characters or is too long")
		}
		m.Set(traceContextName, trace)
	}
	if host := system.GetBornHost(); host != "" && !hasControl(host) && len(host) <= 255 {
		m.Set(bornHostName, host)
	}
	if system.GetMessageType() == v2.MessageType_TRANSACTION {
		m.Set(queue.Transaction, "true")
		m.Set(queue.ProducerGroup, m.Topic) // this protocol has no producer groups: whoever sends there may be asked
		if wait := system.GetOrphanedTransactionRecoveryDuration(); wait.IsValid() && wait.AsDuration() > 0 {
			seconds := int64((wait.AsDuration() + time.Second - 1) / time.Second)
			m.Set(queue.CheckImmunity, strconv.FormatInt(seconds, 10))
		}
	}
	return nil
}

// kindOf says what kind of message it is to a topic that takes only some.
func kindOf(m *queue.Message) v2.MessageType {
	switch {
	case m.Property(queue.Transaction) == "true":
		return v2.MessageType_TRANSACTION
	case m.Property(queue.TimerDeliverMs) != "" || m.Property(queue.TimerDelaySec) != "" || m.Property(queue.TimerDelayMs) != "" || m.Property(queue.Delay) != "":
		return v2.MessageType_DELAY
	case m.Property(queue.ShardingKey) != "":
		return v2.MessageType_FIFO
	}
	return v2.MessageType_NORMAL
}

// shown gives a message as these clients read it, under the name that they asked for. Texts of other clients may be any
// bytes, of these only UTF-8: what is not becomes a question mark.
func (s *Server) shown(m *queue.Message, topic *v2.Resource) *v2.Message {
	body, encoding := bodyFor(m.Body, m.SysFlag)
	system := &v2.SystemProperties{
		MessageId:    valid(m.Property(queue.UniqueKey)),
		BodyDigest:   &v2.Digest{Type: v2.DigestType_MD5, Checksum: fmt.Sprintf("%X", md5.Sum(body))}, // all clients agree on it alone
		BodyEncoding: encoding, MessageType: kindOf(m),
		BornTimestamp: timestamp(m.BornTime), BornHost: bornHost(m), StoreTimestamp: timestamp(m.StoreTime), StoreHost: s.options.Name,
		QueueId: int32(m.Queue), QueueOffset: new(int64(m.Offset)), DeliveryAttempt: new(m.Reconsumed + 1),
	}
	shown := &v2.Message{Topic: topic, SystemProperties: system, Body: body}
	for i := range m.Properties {
		switch p := &m.Properties[i]; p.Name {
		case queue.Tags:
			system.Tag = new(valid(p.Value))
		case queue.Keys:
			system.Keys = strings.Fields(valid(p.Value))
		case queue.ShardingKey:
			system.MessageGroup = new(valid(p.Value))
		case traceContextName:
			system.TraceContext = new(valid(p.Value))
		case queue.TimerDeliverMs:
			if at, err := strconv.ParseInt(p.Value, 10, 64); err == nil {
				system.DeliveryTimestamp = timestamp(at)
			}
		default:
			if !systemNames[p.Name] {
				if shown.UserProperties == nil {
					shown.UserProperties = make(map[string]string, len(m.Properties)-i)
				}
				shown.UserProperties[valid(p.Name)] = valid(p.Value)
			}
		}
	}
	return shown
}

func valid(text string) string { return strings.ToValidUTF8(text, "?") }

func bornHost(m *queue.Message) string {
	if name := m.Property(bornHostName); name != "" {
		return valid(name)
	}
	if m.BornHost.IsValid() {
		return m.BornHost.String()
	}
	return netip.IPv4Unspecified().String()
}

func timestamp(unixMillis int64) *timestamppb.Timestamp {
	return timestamppb.New(time.UnixMilli(unixMillis))
}

// duration reads one that a client may have left out or written wrongly.
func duration(d *durationpb.Duration) (time.Duration, bool) {
	if d == nil || !d.IsValid() {
		return 0, false
	}
	return d.AsDuration(), true
}

func hasControl(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }
