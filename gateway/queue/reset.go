package queue

import "context"

// Place is where a group goes on in a queue.
type Place struct {
	Topic string
	Queue int
	Next  int64
}

// Mover is told that a group goes on elsewhere, whoever decided that: the face towards its consumers lets
// them know, and sees to it that they do not undo it. It must not wait for them.
type Mover func(group string, places []Place)

// SetMover says who tells consumers; before that nobody does.
func (q *Queues) SetMover(tell Mover) { q.mover.Store(&tell) }

// Reset lets a group go on at other places, and returns once that is durable.
func (q *Queues) Reset(ctx context.Context, group string, places []Place) error {
	for _, p := range places {
		if err := q.Commit(group, p.Topic, p.Queue, p.Next); err != nil {
			return err
		}
	}
	if tell := q.mover.Load(); tell != nil {
		(*tell)(group, places)
	}
	return q.SyncGroup(ctx, group)
}
