package queue

import (
	"context"
	"strconv"
)

// droppedMark is an attribute of settings: the topic or group was deleted while the log still had
// something of it. Its value says how far the topic's queues reached together; it exists again once they
// reach further, since whoever publishes over MQTT does not ask whether a topic is there.
const droppedMark = "\x00dropped"

// DropTopic makes a topic unknown, durably. Its messages stay until they are trimmed, and are seen again
// when somebody makes the topic anew.
func (q *Queues) DropTopic(ctx context.Context, name string) error {
	if q.log.Queues(logTopic(name)) == 0 {
		return q.log.DropTopic(ctx, name)
	}
	reached := strconv.FormatUint(q.reached(name), 10)
	return q.log.PutTopic(ctx, name, TopicSettings{Attributes: map[string]string{droppedMark: reached}})
}

// isDropped says that a topic was deleted and has had no message since.
func (q *Queues) isDropped(name string, settings TopicSettings) bool {
	mark, dropped := settings.Attributes[droppedMark]
	return dropped && mark == strconv.FormatUint(q.reached(name), 10)
}

// reached is how many messages ever were in the queues of a topic.
func (q *Queues) reached(name string) (messages uint64) {
	topic := logTopic(name)
	for i := range q.log.Queues(topic) {
		if _, next, err := q.log.QueueRange(topic, i); err == nil {
			messages += next
		}
	}
	return messages
}

// DropGroup makes a group unknown, durably, and forgets its offsets unless they are kept: then it goes on
// there if somebody makes it anew.
func (q *Queues) DropGroup(ctx context.Context, name string, keepOffsets bool) error {
	_, known := q.log.GroupSettings(name)
	if !keepOffsets || !known {
		return q.log.DropGroup(ctx, name)
	}
	return q.log.PutGroup(ctx, name, GroupSettings{Attributes: map[string]string{droppedMark: "1"}})
}

func (s GroupSettings) isDropped() bool { return s.Attributes[droppedMark] != "" }
