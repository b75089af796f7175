package queue

import (
	"context"
	"fmt"
	"time"

	"sluice/gateway/message"
)

// DefaultRetries is how often a message is given to a group again before it is dead.
const DefaultRetries = 16

// maxGroupName is the longest name of a group: with its prefixes it must still be a topic.
const maxGroupName = 240

// GroupSettings is what was decided about a consumer group. Zero values are the ordinary ones.
type GroupSettings struct {
	ConsumeDisabled   bool
	BroadcastDisabled bool
	Ordered           bool
	RetryQueues       int
	MaxRetries        int
	ConsumeTimeout    time.Duration
	Attributes        map[string]string
}

// Group is a consumer group.
type Group struct {
	Name string
	GroupSettings
}

// Group finds a consumer group.
func (q *Queues) Group(name string) (Group, bool) {
	settings, known := q.log.GroupSettings(name)
	if name == lowGroup || settings.isDropped() {
		settings, known = GroupSettings{}, false
	}
	return Group{name, settings.filled()}, known
}

// filled gives the settings with the ordinary values in place.
func (s GroupSettings) filled() GroupSettings {
	if s.RetryQueues == 0 {
		s.RetryQueues = 1
	}
	if s.MaxRetries == 0 {
		s.MaxRetries = DefaultRetries
	}
	return s
}

// Groups lists the groups by name.
func (q *Queues) Groups() (list []Group) {
	q.log.EachGroup(func(name string, settings GroupSettings) {
		if name != lowGroup && !settings.isDropped() {
			list = append(list, Group{name, settings.filled()})
		}
	})
	return list
}

// UseGroup gives a group that somebody consumes with, which is made if it may be, with the topic of its
// retries.
func (q *Queues) UseGroup(ctx context.Context, name string) (Group, error) {
	if err := checkGroup(name); err != nil {
		return Group{}, err
	}
	group, known := q.Group(name)
	if !known && q.options.NoCreation {
		return Group{}, fmt.Errorf("%w: %s", ErrNoGroup, name)
	}
	if settings, _ := q.log.GroupSettings(name); settings.isDropped() {
		if err := q.log.PutGroup(ctx, name, GroupSettings{}); err != nil {
			return Group{}, err
		}
	}
	if err := q.log.OpenGroup(name); err != nil {
		return Group{}, err
	}
	group, _ = q.Group(name)
	_, err := q.ensureTopic(ctx, RetryTopic(name), group.RetryQueues)
	return group, err
}

// PutGroup makes a group or changes it, durably.
func (q *Queues) PutGroup(ctx context.Context, name string, settings GroupSettings) error {
	if err := checkGroup(name); err != nil {
		return err
	}
	return q.log.PutGroup(ctx, name, settings)
}

func checkGroup(name string) error {
	if name == "" || len(name) > maxGroupName {
		return fmt.Errorf("%w: a group's name has 1 to %d bytes, not %d", ErrName, maxGroupName, len(name))
	}
	return CheckTopic(RetryTopic(name))
}

// Offset gives where a group goes on in a queue.
func (q *Queues) Offset(group, topic string, queue int) (next int64, known bool) {
	return q.log.Offset(group, topic, queue)
}

// EachOffset visits all offsets of a group.
func (q *Queues) EachOffset(group string, visit func(topic string, queue int, next int64)) {
	q.log.EachOffset(group, visit)
}

// Commit records where a group goes on, which may be further back; a negative offset means nothing. It
// becomes durable within 200 ms.
func (q *Queues) Commit(group, topic string, queue int, next int64) error {
	if next < 0 || queue < 0 || queue >= message.MaxQueues {
		return nil
	}
	return q.log.CommitOffset(group, topic, queue, next)
}

// SyncGroup returns once what was committed for a group is durable.
func (q *Queues) SyncGroup(ctx context.Context, group string) error {
	return q.log.SyncGroup(ctx, group)
}

// pinEvery is how often it is found out what the groups still want.
const pinEvery = 5 * time.Second

// pin keeps Passed up to date.
func (q *Queues) pin(ctx context.Context) {
	tick := time.NewTicker(pinEvery)
	defer tick.Stop()
	for {
		q.pinned.Store(uint64(q.passed()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// passed looks where the slowest group stands, and what is kept for later. An offset at the end of its
// queue pins nothing.
func (q *Queues) passed() message.Position {
	passed, _ := q.log.Tail()
	passed = min(passed, q.timers.passed(), q.halves.passed())
	q.log.EachGroup(func(group string, _ GroupSettings) {
		if group == lowGroup {
			return // it says from where on to read, not what is wanted
		}
		q.log.EachOffset(group, func(topic string, queue int, next int64) {
			if at, wanted := q.positionOf(logTopic(topic), queue, uint64(max(next, 0))); wanted {
				passed = min(passed, at-1)
			}
		})
	})
	return passed
}

// positionOf gives the position of the first message of a queue from an offset on, if there is one.
func (q *Queues) positionOf(topic string, queue int, offset uint64) (message.Position, bool) {
	_, next, err := q.log.QueueRange(topic, queue)
	if err != nil || offset >= next {
		return 0, false
	}
	found, _, err := q.log.ReadQueue(nil, topic, queue, offset, 1)
	if err != nil || len(found) == 0 {
		return 0, false
	}
	return found[0].Position, true
}
