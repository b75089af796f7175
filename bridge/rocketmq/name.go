package rocketmq

import (
	"strings"

	"sluice/gateway/message"
)

const hexDigits = "0123456789ABCDEF"

// topicName gives the RocketMQ topic of the first level of an MQTT topic, as the gateway's own RocketMQ
// listener calls it: bytes that RocketMQ does not allow become %XX, and what would be a topic of
// RocketMQ's machinery is escaped as well.
func topicName(level string) string {
	machinery := isMachinery(level)
	plain := !machinery
	for i := range len(level) {
		plain = plain && isPlain(level[i])
	}
	if plain {
		return level
	}
	var b strings.Builder
	for i := range len(level) {
		c := level[i]
		switch {
		case isPlain(c) && !(i == 0 && machinery), c == '%' && !machinery && !isEscape(level[i:]):
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// topicOf is the RocketMQ topic of a whole MQTT topic.
func topicOf(topic string) string { return topicName(message.QueueTopic(topic)) }

// isMachinery says of a name that brokers keep it for themselves.
func isMachinery(name string) bool {
	for _, prefix := range []string{"%RETRY%", "%DLQ%", "RMQ_SYS_", "rmq_sys_", "SCHEDULE_TOPIC_", "TRANS_CHECK_MAX_TIME_TOPIC", templateTopic} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '|'
}

// isEscape says of a percent sign that two digits make it look like an escape of ours.
func isEscape(s string) bool {
	return len(s) >= 3 && strings.IndexByte(hexDigits, s[1]) >= 0 && strings.IndexByte(hexDigits, s[2]) >= 0
}
