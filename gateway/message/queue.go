package message

import "strings"

// A message belongs to one queue, as RocketMQ has them: one of a few numbered ones of its RocketMQ
// topic, which is the first level of its topic. Within a queue messages are counted from 0.
const (
	MaxQueues     = 16  // of one topic
	DefaultQueues = 4   // of a topic that nobody configured
	NoQueue       = 255 // the number of the queue of what belongs to none

	// MaxQueueTopicBytes is the longest first level that has queues: RocketMQ's own names, with the
	// prefixes of retries, stay within it.
	MaxQueueTopicBytes = 255
)

// QueueTopic gives the RocketMQ topic that a message under a valid topic belongs to: the first level
// as it is, without RocketMQ's escapes. It is empty when there is none: the first level is empty or
// too long.
func QueueTopic(topic string) string {
	first, _, _ := strings.Cut(topic, "/")
	if len(first) > MaxQueueTopicBytes {
		return ""
	}
	return first
}

// QueueOf gives the queue, out of so many, of messages under a full topic. It is part of the contract
// with those who read queues: the same topic always has the same queue, so it keeps its order there.
// The hash is FNV-1a (64 bits), mixed as MurmurHash3 does it at its end.
func QueueOf(topic string, queues int) byte {
	h := uint64(14695981039346656037)
	for i := 0; i < len(topic); i++ {
		h = (h ^ uint64(topic[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return byte((h ^ h>>33) % uint64(min(max(queues, 1), MaxQueues)))
}
