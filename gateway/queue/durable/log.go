// Package durable lets the store be the log of gateway/queue: they may not know each other's types.
package durable

import (
	"context"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/store"
)

// Log is the store as the engine of queues sees it.
type Log struct {
	*store.Store
	// Idle is how long the offsets of a group are kept that nobody uses; 0 is for ever.
	Idle time.Duration
}

// Publish implements queue.Log.
func (l Log) Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) (uint64, error) {
	if err := message.CheckTopic(m.Topic); err != nil {
		return 0, err
	}
	return l.AppendQueue(ctx, m, ack, token)
}

// PublishUpkeep implements queue.Log.
func (l Log) PublishUpkeep(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) (uint64, error) {
	if err := message.CheckTopic(m.Topic); err != nil {
		return 0, err
	}
	return l.AppendUpkeep(ctx, m, ack, token)
}

// Size gives the bytes of the messages on disk, and how many these are.
func (l Log) Size() (bytes int64, messages uint64) {
	stats := l.Stats()
	return stats.BlockBytes, stats.Messages
}

// EachTopic implements queue.Log.
func (l Log) EachTopic(visit func(topic string)) {
	for _, t := range l.QueueTopics() {
		visit(t.Topic)
	}
}

// TopicSettings implements queue.Log.
func (l Log) TopicSettings(name string) (queue.TopicSettings, bool) {
	status, known := l.Topic(name)
	return queue.TopicSettings(status.Settings), known
}

// EachTopicSettings implements queue.Log.
func (l Log) EachTopicSettings(visit func(name string, settings queue.TopicSettings)) {
	for _, t := range l.Topics() {
		visit(t.Name, queue.TopicSettings(t.Settings))
	}
}

// PutTopic implements queue.Log.
func (l Log) PutTopic(ctx context.Context, name string, settings queue.TopicSettings) error {
	_, err := l.Store.PutTopic(ctx, name, store.TopicSettings(settings), 0)
	return err
}

// GroupSettings implements queue.Log.
func (l Log) GroupSettings(name string) (queue.GroupSettings, bool) {
	status, known := l.Group(name)
	return queue.GroupSettings(status.Settings), known
}

// EachGroup implements queue.Log.
func (l Log) EachGroup(visit func(name string, settings queue.GroupSettings)) {
	for _, g := range l.Groups() {
		visit(g.Name, queue.GroupSettings(g.Settings))
	}
}

// PutGroup implements queue.Log.
func (l Log) PutGroup(ctx context.Context, name string, settings queue.GroupSettings) error {
	_, err := l.Store.PutGroup(ctx, name, store.GroupSettings(settings), 0)
	return err
}

// OpenGroup implements queue.Log.
func (l Log) OpenGroup(name string) error { return l.Store.OpenGroup(name, l.Idle) }

// EachOffset implements queue.Log.
func (l Log) EachOffset(group string, visit func(topic string, queue int, next int64)) {
	for _, o := range l.Offsets(group) {
		visit(o.Topic, o.Queue, o.Next)
	}
}

// Room gives how many bytes the log takes up, and how many it may; 0 is without limit.
func (l Log) Room() (used, limit int64) {
	stats := l.Stats()
	return stats.Bytes, stats.Limit
}
