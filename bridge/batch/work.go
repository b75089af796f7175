package batch

import (
	"context"
	"errors"
	"time"

	"sluice/bridge"
)

// work posts what a shard gathers, one batch after the other, until the link is lost.
func (b *Batcher) work(ctx context.Context, i int, s *shard) {
	for b.await(s) {
		left, err := b.deliver(ctx, i, s.cut())
		if refused, ok := errors.AsType[*bridge.RefusedError](err); ok {
			s.refused(left, refused)
		} else if err != nil {
			b.Fail(err)
			answer(left, b.err)
		}
		clear(s.flying)
	}
	answer(s.empty(), b.err)
}

// await waits until a batch is due, and says no when the link is lost first.
func (b *Batcher) await(s *shard) bool {
	for {
		if b.Err() != nil {
			return false
		}
		now, in := s.due()
		if now {
			return true
		}
		var linger <-chan time.Time
		if in > 0 {
			linger = time.After(in)
		}
		select {
		case <-s.wake:
		case <-linger:
		case <-b.lost:
		}
	}
}

// deliver posts items, in halves if they are refused together, and answers those that are taken. It
// gives back what is left when it fails; then err is the answer to the first of them.
func (b *Batcher) deliver(ctx context.Context, shard int, items []Item) (left []Item, err error) {
	if err := b.Err(); err != nil {
		return items, err // lost between two halves
	}
	err = b.post(ctx, shard, items)
	if partial, ok := errors.AsType[*PartialError](err); ok {
		if partial.Err == nil || partial.Taken >= len(items) {
			panic("bug: a partial answer that leaves nothing, or without a reason")
		}
		answer(items[:partial.Taken], nil)
		return items[partial.Taken:], partial.Err
	}
	_, refused := errors.AsType[*bridge.RefusedError](err)
	switch {
	case err == nil:
		answer(items, nil)
		return nil, nil
	case !refused || len(items) == 1:
		return items, err
	}
	half := len(items) / 2
	if left, err := b.deliver(ctx, shard, items[:half]); err != nil {
		return items[half-len(left):], err
	}
	return b.deliver(ctx, shard, items[half:])
}

// refused answers a refusal of the first of left, which holds back all that is behind it.
func (s *shard) refused(left []Item, why *bridge.RefusedError) {
	behind := s.refuse()
	left[0].done(why)
	answer(left[1:], bridge.ErrHeld)
	answer(behind, bridge.ErrHeld)
	s.admit()
}

func answer(items []Item, err error) {
	for i := range items {
		items[i].done(err)
	}
}
