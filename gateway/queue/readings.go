package queue

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"sluice/gateway/message"
)

// ReadingsTopic is the topic whose messages have a key that the index of the log does not know: that of a
// reading is its device, which would be one more entry for each.
const ReadingsTopic = "readings"

const (
	readingsBehind = 16 << 10 // of each queue are looked at
	readingsAtOnce = 256
)

// Readings gives the last readings, up to most and the oldest first, whose key is the name of a device and that were
// stored at a time. It looks among the last of that time, some ten thousand of a queue, so those of
// a device that has long been silent may not be found.
func (q *Queues) Readings(ctx context.Context, key string, from, to time.Time, most int) (found []message.Record, err error) {
	if key == "" || most <= 0 {
		return nil, nil
	}
	for number := range q.log.Queues(ReadingsTopic) {
		some, err := q.readingsIn(ctx, number, key, from, to, most)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	slices.SortFunc(found, func(a, b message.Record) int { return cmp.Compare(a.Position, b.Position) })
	return found[max(0, len(found)-most):], nil
}

// readingsIn goes back through a queue.
func (q *Queues) readingsIn(ctx context.Context, number int, key string, from, to time.Time, most int) (found []message.Record, err error) {
	first, end, err := q.log.QueueRange(ReadingsTopic, number)
	if err != nil {
		return nil, err
	}
	if !to.IsZero() && to.UnixMilli() < math.MaxInt64 {
		behind, err := q.log.QueueOffsetAt(ReadingsTopic, number, to.UnixMilli()+1)
		if err != nil {
			return nil, err
		}
		end = min(end, behind)
	}
	if end-min(end, first) > readingsBehind {
		first = end - readingsBehind
	}
	var read []message.Record
	for end > first && len(found) < most && ctx.Err() == nil {
		begin := end - min(end-first, readingsAtOnce)
		read = read[:0]
		for at := begin; at < end; {
			before := len(read)
			var next uint64
			if read, next, err = q.log.ReadQueue(read, ReadingsTopic, number, at, int(end-at)); err != nil {
				return nil, err
			}
			if len(read) > before {
				next = max(next, read[len(read)-1].QueueOffset+1)
			}
			if next <= at {
				break
			}
			at = next
		}
		for _, r := range slices.Backward(read) {
			if !from.IsZero() && r.Time < from.UnixMilli() {
				return found, ctx.Err()
			}
			if r.QueueOffset < end && r.Device != "" && cleanTag(r.Device) == key && len(found) < most {
				found = append(found, r)
			}
		}
		end = begin
	}
	return found, ctx.Err()
}
