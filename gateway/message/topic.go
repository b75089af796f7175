package message

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxTopicBytes is the longest topic or filter: MQTT carries it behind a two-byte length.
const MaxTopicBytes = 65535

// CheckTopic tells why topic cannot name a message: empty, too long, not UTF-8, with U+0000 or
// with a wildcard [MQTT-3.3.2-2].
func CheckTopic(topic string) error {
	if err := checkName(topic); err != nil {
		return err
	}
	if strings.ContainsAny(topic, "+#") {
		return fmt.Errorf("%w: %q has a wildcard", ErrTopic, topic)
	}
	return nil
}

// CheckFilter tells why filter cannot be subscribed to: '#' stands alone and last, '+' fills a
// whole level [MQTT-4.7.1-1, MQTT-4.7.1-2].
func CheckFilter(filter string) error {
	if err := checkName(filter); err != nil {
		return err
	}
	rest := filter
	for {
		level, after, more := strings.Cut(rest, "/")
		if level != "#" && level != "+" && strings.ContainsAny(level, "+#") {
			return fmt.Errorf("%w: a wildcard fills a whole level, in %q", ErrTopic, filter)
		}
		if level == "#" && more {
			return fmt.Errorf("%w: '#' must come last, in %q", ErrTopic, filter)
		}
		if !more {
			return nil
		}
		rest = after
	}
}

func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrTopic)
	case len(name) > MaxTopicBytes:
		return fmt.Errorf("%w: it has %d bytes, at most %d fit", ErrTopic, len(name), MaxTopicBytes)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: it is not UTF-8", ErrTopic)
	case strings.IndexByte(name, 0) >= 0:
		return fmt.Errorf("%w: it has a U+0000", ErrTopic)
	}
	return nil
}

// Match says whether a valid topic falls under a valid filter. A filter that starts with a wildcard
// does not match topics that start with '$' [MQTT-4.7.2-1]. It allocates nothing.
func Match(filter, topic string) bool {
	if topic != "" && topic[0] == '$' && filter != "" && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		if filter == "#" {
			return true
		}
		filterLevel, filterRest, filterMore := strings.Cut(filter, "/")
		topicLevel, topicRest, topicMore := strings.Cut(topic, "/")
		if filterLevel != "+" && filterLevel != topicLevel {
			return false
		}
		if !filterMore || !topicMore {
			// "a/#" also matches its parent "a" [MQTT-4.7.1-2].
			return filterMore == topicMore || filterRest == "#" && !topicMore
		}
		filter, topic = filterRest, topicRest
	}
}
