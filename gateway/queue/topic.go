package queue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice/gateway/message"
)

// What a topic's Permission is made of, as RocketMQ numbers them.
const (
	MayInherit = 1
	MayWrite   = 2
	MayRead    = 4
)

// DefaultTopic is the name under which clients ask for what a topic that is made for them will be like.
const DefaultTopic = "TBW102"

// maxTopicName is the longest name that a producer may choose; those of retries and dead letters are
// longer by their prefix.
const maxTopicName = 127

// MessageType is the attribute of a topic that says what kind of messages it is for.
const MessageType = "message.type"

// TopicSettings is what was decided about a topic. Zero values are the ordinary ones.
type TopicSettings struct {
	ReadQueues  int
	WriteQueues int
	Permission  int
	Ordered     bool
	Kind        string
	Attributes  map[string]string
}

// Topic is a RocketMQ topic. What MQTT clients or devices publish makes topics too.
type Topic struct {
	Name string
	TopicSettings
}

// Topic finds a topic: one that was set up, or has had messages. What it gives has queues and permission.
func (q *Queues) Topic(name string) (Topic, bool) {
	used := q.log.Queues(logTopic(name))
	settings, known := q.log.TopicSettings(name)
	if !known && used == 0 || known && q.isDropped(name, settings) {
		return Topic{}, false
	}
	if _, back := settings.Attributes[droppedMark]; back {
		settings, known = TopicSettings{}, false
	}
	if !known {
		settings.ReadQueues, settings.WriteQueues = int(q.most.Load()), int(q.most.Load())
		if isHidden(name) {
			settings.ReadQueues, settings.WriteQueues = 1, 1
		}
	}
	if settings.Permission == 0 {
		settings.Permission = MayRead | MayWrite
	}
	settings.WriteQueues = max(settings.WriteQueues, 1)
	settings.ReadQueues = max(settings.ReadQueues, used, 1) // what is there can be read
	return Topic{name, settings}, true
}

// Topics lists all topics by name.
func (q *Queues) Topics() []Topic {
	names := make(map[string]bool)
	q.log.EachTopic(func(topic string) { names[rocketTopic(topic)] = true })
	q.log.EachTopicSettings(func(name string, _ TopicSettings) {
		if !strings.HasPrefix(name, notePrefix) {
			names[name] = true
		}
	})
	list := make([]Topic, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if topic, ok := q.Topic(name); ok {
			list = append(list, topic)
		}
	}
	return list
}

// PutTopic makes a topic or changes it, durably.
func (q *Queues) PutTopic(ctx context.Context, name string, settings TopicSettings) error {
	if err := CheckTopic(name); err != nil {
		return err
	}
	if most := max(settings.ReadQueues, settings.WriteQueues); most > message.MaxQueues {
		return fmt.Errorf("%w: %d queues, a topic has at most %d", ErrName, most, message.MaxQueues)
	}
	return q.log.PutTopic(ctx, name, settings)
}

// UseTopic gives a topic that somebody consumes, which is made if it may be.
func (q *Queues) UseTopic(ctx context.Context, name string) (Topic, error) {
	return q.ensureTopic(ctx, name, 0)
}

// ensureTopic gives a topic, which is made with so many queues if it may be.
func (q *Queues) ensureTopic(ctx context.Context, name string, queues int) (Topic, error) {
	if topic, ok := q.Topic(name); ok {
		return topic, nil
	}
	internal := isHidden(name)
	if q.options.NoCreation && !internal {
		return Topic{}, fmt.Errorf("%w: %s", ErrNoTopic, name)
	}
	if err := CheckTopic(name); err != nil {
		return Topic{}, err
	}
	q.making.Lock()
	defer q.making.Unlock()
	if topic, ok := q.Topic(name); ok {
		return topic, nil
	}
	if internal {
		queues = max(queues, 1)
	} else if most := int(q.most.Load()); queues <= 0 || queues > most {
		queues = most
	}
	if err := q.log.PutTopic(ctx, name, TopicSettings{ReadQueues: queues, WriteQueues: queues}); err != nil {
		return Topic{}, err
	}
	topic, _ := q.Topic(name)
	return topic, nil
}

// CheckTopic tells why name cannot be a topic: empty, too long, or with other bytes than letters,
// digits, % | - and _.
func CheckTopic(name string) error {
	most := maxTopicName
	if strings.HasPrefix(name, RetryPrefix) || strings.HasPrefix(name, DeadPrefix) {
		most = message.MaxQueueTopicBytes - 1
	}
	if name == "" || len(name) > most {
		return fmt.Errorf("%w: a topic's name has 1 to %d bytes, not %d", ErrName, most, len(name))
	}
	for i := range len(name) {
		if !plain(name[i]) && name[i] != '%' {
			return fmt.Errorf("%w: the topic %q has other bytes than letters, digits, %%, |, - and _", ErrName, name)
		}
	}
	return nil
}

// MakesTopics says whether a topic is made because somebody uses it.
func (q *Queues) MakesTopics() bool { return !q.options.NoCreation }
