package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"sluice/gateway/message"
)

// FirstRetryLevel is the delay of the first retry; each further one is a level longer.
const FirstRetryLevel = 3

// SendBack gives a message to a group again that it could not deal with: the one at a position, by way of
// the topic of its retries, after a delay of a level, 0 for the one that is its turn; or as a dead letter
// when level is negative or it was given back most times, nil for what the group's settings say. id names
// the message in what the group gets. done is called exactly once, unless SendBack returns an error, when that is durable.
func (q *Queues) SendBack(ctx context.Context, group string, at message.Position, id string, level int, most *int, done func(Sent, error)) error {
	settings, err := q.UseGroup(ctx, group)
	if err != nil {
		return err
	}
	m, err := q.At(at)
	if err != nil {
		return err
	}
	if isReserved(m.Topic) {
		return fmt.Errorf("%w: at %d", ErrNoMessage, at) // what is kept for later was given to nobody
	}
	if most == nil {
		most = &settings.MaxRetries
	}
	m.again(id)
	if level < 0 || int(m.Reconsumed) >= *most {
		return q.bury(ctx, group, m, done)
	}
	if level == 0 {
		level = FirstRetryLevel + int(m.Reconsumed)
	}
	m.Set(Delay, strconv.Itoa(level))
	m.Topic, m.Queue = RetryTopic(group), rand.IntN(settings.RetryQueues)
	m.Reconsumed++
	return q.putOrDelay(ctx, m, done)
}

// again prepares a message that was delivered to be sent once more: under another topic, with where it came
// from the first time.
func (m *Message) again(id string) {
	if m.Property(RetryTopicName) == "" {
		m.Set(RetryTopicName, m.Topic)
	}
	if m.Property(OriginID) == "" {
		m.Set(OriginID, id)
	}
	m.Prepared = 0
	m.Set(waitName, "false") // nobody waits for it, as the stock broker writes down
	m.Unset(Delay)
}

// bury makes m a dead letter of a group.
func (q *Queues) bury(ctx context.Context, group string, m *Message, done func(Sent, error)) error {
	topic := DeadTopic(group)
	if _, err := q.ensureTopic(ctx, topic, 1); err != nil {
		return err
	}
	m.Set(Delay, "0")
	m.Unset(TimerDelaySec, TimerDelayMs, TimerDeliverMs)
	m.Topic, m.Queue = topic, 0
	m.Reconsumed++
	return q.put(ctx, m, done)
}

// buryIfSpent makes a dead letter of what a consumer sends to the topic of its retries itself, because it
// could not give it back, once that has been often enough.
func (q *Queues) buryIfSpent(ctx context.Context, m *Message) error {
	group, ok := strings.CutPrefix(m.Topic, RetryPrefix)
	if !ok {
		return nil
	}
	settings, err := q.UseGroup(ctx, group)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoGroup, err)
	}
	most := settings.MaxRetries
	if asked, err := strconv.Atoi(m.Property(MaxRetriesName)); err == nil {
		most = asked
	}
	if int(m.Reconsumed) <= most && !m.Dead {
		return nil
	}
	if _, err := q.ensureTopic(ctx, DeadTopic(group), 1); err != nil {
		return err
	}
	m.Topic, m.Queue = DeadTopic(group), 0
	if level, _ := strconv.Atoi(m.Property(Delay)); level > 0 {
		m.Set(Delay, "-1") // as the stock broker leaves it
	}
	m.Unset(TimerDelaySec, TimerDelayMs, TimerDeliverMs)
	return nil
}
