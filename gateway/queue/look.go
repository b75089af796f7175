package queue

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"sluice/gateway/message"
)

// Reach gives the first and the last position of the log.
func (q *Queues) Reach() (first, last message.Position) {
	last, _ = q.log.Tail()
	return q.log.Head(), last
}

// Find gives the last messages of a topic, up to most and the oldest first, that have a key among their KEYS or as
// their unique key, readings their device, and were stored at a time. The unique key of a message that came without one tells
// where it lies.
func (q *Queues) Find(ctx context.Context, topic, key string, from, to time.Time, most int) (list []*Message, err error) {
	// The same key may be that of other topics' messages: it is asked for more than is wanted.
	found, err := q.log.FindByKey(ctx, key, from, to, most*4)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if m := FromRecord(&found[i]); m.Topic == topic && len(list) < most {
			list = append(list, m)
		}
	}
	if topic == ReadingsTopic && len(list) < most {
		readings, err := q.Readings(ctx, key, from, to, most-len(list))
		if err != nil {
			return nil, err
		}
		for i := range readings {
			list = append(list, FromRecord(&readings[i]))
		}
	}
	if at, ok := positionInKey(key); ok && len(list) == 0 {
		if m, err := q.At(at); err == nil && m.Topic == topic && m.Property(UniqueKey) == key {
			list = append(list, m)
		}
	}
	slices.SortStableFunc(list, func(a, b *Message) int { return cmp.Compare(a.Position, b.Position) })
	return list, nil
}

// positionInKey reads the position out of what uniqueKeyAt wrote.
func positionInKey(key string) (message.Position, bool) {
	if len(key) != 32 || key[:8] != "00000000" {
		return 0, false
	}
	high, err := strconv.ParseUint(key[8:20], 16, 48)
	if err != nil {
		return 0, false
	}
	low, err := strconv.ParseUint(key[28:], 16, 16)
	return message.Position(high<<16 | low), err == nil
}

// Room gives how many bytes the log takes up, and how many it may; 0 when that is not known.
func (q *Queues) Room() (used, limit int64) {
	if sized, ok := q.log.(limitedLog); ok {
		return sized.Room()
	}
	return 0, 0
}
