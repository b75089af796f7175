// Package batch gathers what a link is sent and posts it in batches. It hides when a batch goes,
// which messages may share one, how the one message is found for which a receiver refuses them all,
// and the order of the answers: the rules of bridge.Link about refusals are kept here.
package batch

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"sluice/bridge"
)

var errClosed = errors.New("the link was closed")

// Options say when a batch goes and what is in it.
type Options struct {
	Count  int           // messages of a batch at most; 0: 1
	Bytes  int           // of a batch at most, a larger message goes alone; 0: any number
	Linger time.Duration // how long the oldest message of an unfinished batch waits for company
	Shards int           // batches in flight at most; 0: 1
	// Behind is how many batches' worth may wait in a shard behind the one in flight, before Send
	// makes its caller wait; 0: 1. More is of use only with Group.
	Behind int
	// Group names what shares a batch, the address that it goes to for example; nil: everything.
	Group func(o *bridge.Outgoing) string
}

// Item is one message of a batch.
type Item struct {
	bridge.Outgoing
	Group string // what Options.Group gave

	size int
	came time.Time
	done func(error)
}

// Post hands a batch to the receiver and returns its answer: nil when it has taken responsibility
// for all of it, a *bridge.RefusedError when it is there but wants none of it, a *PartialError when
// it has taken only the first ones; anything else means that the link is broken. A batch that is
// refused is posted again in halves, until the message at fault is alone.
//
// There is one Post at a time for each shard, numbered from 0. It does not keep items.
type Post func(ctx context.Context, shard int, items []Item) error

// PartialError says that a receiver has taken the first messages of a batch and then answered Err.
type PartialError struct {
	Taken int
	Err   error // as Post returns it: a *bridge.RefusedError is for the first that was not taken
}

// Error is the text of the answer.
func (e *PartialError) Error() string { return e.Err.Error() }

// Unwrap gives the answer.
func (e *PartialError) Unwrap() error { return e.Err }

// Batcher is what a Link needs to gather: Send, Lost and Err are the Link's own.
//
// The messages of one Key share a shard, and a shard has one batch in flight: so none is sent while
// an earlier one of its key may still be refused. When one is, everything behind it in its shard is
// answered with bridge.ErrHeld.
type Batcher struct {
	options Options
	post    Post
	shards  []*shard

	once sync.Once
	err  error // set before lost is closed
	lost chan struct{}
}

// New makes a Batcher. Nothing is posted before Run.
func New(o Options, post Post) *Batcher {
	o.Count, o.Shards, o.Behind = max(o.Count, 1), max(o.Shards, 1), max(o.Behind, 1)
	b := &Batcher{options: o, post: post, lost: make(chan struct{})}
	for range o.Shards {
		b.shards = append(b.shards, &shard{options: &b.options, wake: make(chan struct{}, 1)})
	}
	return b
}

// Run posts until ctx ends or the link breaks. When it returns every message that was taken has
// its answer; the error is why the link broke.
func (b *Batcher) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { b.Fail(errClosed) })
	defer stop()
	var shards sync.WaitGroup
	for i, s := range b.shards {
		shards.Go(func() { b.work(ctx, i, s) })
	}
	shards.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return b.err
}

// Fail ends the Batcher for the reason err; the first one counts. Batches that are in flight still
// get the answer of their Post.
func (b *Batcher) Fail(err error) {
	b.once.Do(func() {
		b.err = err
		close(b.lost)
	})
}

// Lost is closed when nothing will be posted any more.
func (b *Batcher) Lost() <-chan struct{} { return b.lost }

// Err says why nothing will be posted any more.
func (b *Batcher) Err() error {
	select {
	case <-b.lost:
		return b.err
	default:
		return nil
	}
}

// Send takes a message as bridge.Link describes. It waits while its shard is full.
func (b *Batcher) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	s := b.shards[shardOf(o.Key, len(b.shards))]
	item := Item{Outgoing: *o, size: size(o), done: done}
	if b.options.Group != nil {
		item.Group = b.options.Group(o)
	}
	for {
		room, err := b.offer(ctx, s, &item)
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		case <-b.lost:
			return b.err
		}
	}
}

// offer adds item to its shard, or gives what to wait for.
func (b *Batcher) offer(ctx context.Context, s *shard, item *Item) (room <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Both are looked at under the lock that orders the shard: a message that comes while the link
	// ends is answered by it or not taken, and none slips in behind one that was refused.
	if err := cmp.Or(b.Err(), ctx.Err()); err != nil {
		return nil, err
	}
	if room := s.roomLocked(item.size); room != nil {
		return room, nil
	}
	s.addLocked(item)
	return nil, nil
}

// shardOf spreads keys evenly and always the same way (FNV-1a).
func shardOf(key string, shards int) int {
	hash := uint32(2166136261)
	for i := range len(key) {
		hash = (hash ^ uint32(key[i])) * 16777619
	}
	return int(hash % uint32(shards))
}

// size is about what a message takes on the line.
func size(o *bridge.Outgoing) int {
	n := len(o.Topic) + len(o.Payload)
	for p := range o.UserProperties() {
		n += len(p.Name) + len(p.Value)
	}
	return n
}
