package queue

import (
	"fmt"
	"strings"
)

// What the names of the topics begin with that every consumer group has: one for what it wants again
// later, one for what it gave up.
const (
	RetryPrefix = "%RETRY%"
	DeadPrefix  = "%DLQ%"
)

// RetryTopic is where a group's messages wait that it wants again.
func RetryTopic(group string) string { return RetryPrefix + group }

// DeadTopic is where a group's messages end that it gave up.
func DeadTopic(group string) string { return DeadPrefix + group }

// isHidden says of a RocketMQ topic that it is machinery: MQTT wildcards and uplinks do not see it.
func isHidden(name string) bool {
	for _, prefix := range []string{RetryPrefix, DeadPrefix, "RMQ_SYS_", "rmq_sys_", "SCHEDULE_TOPIC_", "TRANS_CHECK_MAX_TIME_TOPIC", DefaultTopic} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// logTopic gives the first level of the log's topics that a RocketMQ topic stands for. Hidden topics lie
// behind a "$": a filter that begins with a wildcard does not match them [MQTT-4.7.2-1].
func logTopic(name string) string {
	if isHidden(name) {
		return "$" + name
	}
	if strings.IndexByte(name, '%') < 0 {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if c, ok := escaped(name[i:]); ok {
			b.WriteByte(c)
			i += 2
		} else {
			b.WriteByte(name[i])
		}
	}
	return b.String()
}

// rocketTopic is the reverse of logTopic: bytes that RocketMQ does not allow become %XX.
func rocketTopic(level string) string {
	if hidden, ok := strings.CutPrefix(level, "$"); ok && isHidden(hidden) {
		return hidden
	}
	clean := true
	for i := range len(level) {
		clean = clean && plain(level[i])
	}
	if clean && !isHidden(level) {
		return level
	}
	var b strings.Builder
	for i := range len(level) {
		c := level[i]
		_, ambiguous := escaped(level[i:])
		if plain(c) && !(i == 0 && isHidden(level)) || c == '%' && !ambiguous && !isHidden(level) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// plain says that RocketMQ allows a byte in names.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '|'
}

// escaped reads an escape that rocketTopic would write.
func escaped(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	high, low := hex(s[1]), hex(s[2])
	return high<<4 | low, high < 16 && low < 16
}

func hex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
