package store

import (
	"context"
	"slices"
	"sync"
	"time"
)

// keeper brings small values from memory to the database: whatever changed waits for company, at most
// saveDelay, and rides in the next transaction. Cursors, sessions, groups, topics and retained messages
// share it, so that one commit carries all of them.
type keeper struct {
	wake func() // tells the committer

	mu       sync.Mutex // guards what follows and all small values
	dirty    []soiled   // the longest waiting first; may name what is clean again
	urgent   []*tracked // somebody waits for these, so they come before the others; likewise
	waiting  map[*tracked][]durableWaiter
	squeezed bool  // the last transaction had no room for the first in line
	final    error // why nothing will become durable any more
}

// saveDelay is the longest that a change waits for its transaction: the contract's bound for what
// is repeated after a kill.
const saveDelay = 200 * time.Millisecond

// tracked is in everything that the keeper writes: it says how far the database is behind.
type tracked struct {
	item    item
	with    *tracked // goes into the same transaction when it has changed too
	version uint64   // counts the changes
	durable uint64   // the version that would be found after a power cut
	dirty   bool
}

// together gives what goes into one transaction with t, itself included; it may lead in a circle.
func (t *tracked) together() (list []*tracked) {
	for p := t; p != nil && !slices.Contains(list, p); p = p.with {
		list = append(list, p)
	}
	return list
}

// item is a small value as memory has it.
type item interface {
	// entriesLocked gives what must be written now, and what is to be done once it is durable, which
	// may be nil. Both run under the keeper's mutex.
	entriesLocked() (entries []entry, saved func())
}

type soiled struct {
	value *tracked
	since time.Time
}

type durableWaiter struct {
	version uint64
	all     *countdown
}

// countdown calls done once everything that it waits for is durable, or the log has failed.
type countdown struct {
	left int
	done func(error)
}

// soilLocked notes a change.
func (k *keeper) soilLocked(t *tracked) {
	t.version++
	if t.dirty {
		return
	}
	t.dirty = true
	k.dirty = append(k.dirty, soiled{t, time.Now()})
	if len(k.dirty) == 1 {
		k.wake() // for its clock
	}
}

// soilNowLocked notes a change that must not wait.
func (k *keeper) soilNowLocked(t *tracked) {
	k.soilLocked(t)
	k.hurryLocked(t)
}

// hurryLocked takes what is dirty before the others.
func (k *keeper) hurryLocked(t *tracked) {
	if t.dirty {
		k.urgent = append(k.urgent, t)
		k.wake()
	}
}

// afterwards calls done when what the values say now would survive a power cut; an error means that
// it never will. It may be called at once, or by the goroutine that commits: it must not block.
func (k *keeper) afterwards(done func(error), values ...*tracked) {
	k.mu.Lock()
	all := &countdown{done: done}
	final := k.final
	for _, t := range values {
		if t.durable >= t.version {
			continue
		}
		all.left++
		if final == nil {
			k.waitLocked(t, t.version, all)
		}
	}
	now := all.left == 0 || final != nil
	if all.left == 0 {
		final = nil
	}
	k.mu.Unlock()
	if now {
		done(final)
	}
}

// sync waits until the values are durable.
func (k *keeper) sync(ctx context.Context, values ...*tracked) error {
	durable := make(chan error, 1)
	k.afterwards(func(err error) { durable <- err }, values...)
	select {
	case err := <-durable:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// syncNext waits until some change of t has become durable, be it the last or one before.
func (k *keeper) syncNext(ctx context.Context, t *tracked) error {
	durable := make(chan error, 1)
	all := &countdown{left: 1, done: func(err error) { durable <- err }}
	k.mu.Lock()
	final := k.final
	if t.durable < t.version && final == nil {
		k.waitLocked(t, t.durable+1, all)
	} else {
		durable <- final
	}
	k.mu.Unlock()
	select {
	case err := <-durable:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitLocked has all hear when a version is durable, which must be soon.
func (k *keeper) waitLocked(t *tracked, version uint64, all *countdown) {
	if k.waiting == nil {
		k.waiting = make(map[*tracked][]durableWaiter)
	}
	k.waiting[t] = append(k.waiting[t], durableWaiter{version, all})
	k.hurryLocked(t)
}

// due says how long the dirty values may still wait for company; ok is false when there is none.
func (k *keeper) due() (wait time.Duration, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cleanLocked()
	switch {
	case len(k.urgent) > 0:
		return 0, true
	case len(k.dirty) > 0:
		return max(0, saveDelay-time.Since(k.dirty[0].since)), true
	}
	return 0, false
}

// cleanLocked takes what was written out of turn from the front of the queues.
func (k *keeper) cleanLocked() {
	for len(k.urgent) > 0 && !k.urgent[0].dirty {
		k.urgent = k.urgent[1:]
	}
	for len(k.dirty) > 0 && !k.dirty[0].value.dirty {
		k.dirty = k.dirty[1:]
	}
	if len(k.urgent) == 0 {
		k.urgent = nil
	}
	if len(k.dirty) == 0 {
		k.dirty = nil
	}
}

// crowded says that blocks have left no room for what is first in line: it needs a transaction of
// its own.
func (k *keeper) crowded() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.squeezed
}

// saving is what one transaction says about a small value.
type saving struct {
	value   *tracked
	version uint64
	then    func()
}

// save puts as many dirty values into the transaction as it has room for, those that somebody waits
// for first. They are clean from now on; saved or end must follow.
func (k *keeper) save(b *batch) (list []saving) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fits := true
	put := func(t *tracked) {
		var entries []entry
		var parts []saving
		for _, p := range t.together() {
			if p.dirty {
				more, then := p.item.entriesLocked()
				entries = append(entries, more...)
				parts = append(parts, saving{p, p.version, then})
			}
		}
		if fits = b.setAll(entries); fits {
			for _, s := range parts {
				s.value.dirty = false
			}
			list = append(list, parts...)
		}
	}
	for k.cleanLocked(); fits && len(k.urgent) > 0; k.cleanLocked() {
		put(k.urgent[0])
	}
	for ; fits && len(k.dirty) > 0; k.cleanLocked() {
		put(k.dirty[0].value)
	}
	k.squeezed = len(list) == 0 && !fits
	return list
}

// saved tells that the transaction is durable.
func (k *keeper) saved(list []saving) {
	k.mu.Lock()
	var calls []func(error)
	for _, s := range list {
		t := s.value
		t.durable = max(t.durable, s.version)
		if s.then != nil {
			s.then()
		}
		calls = k.releaseLocked(t, calls)
	}
	k.mu.Unlock()
	for _, done := range calls {
		done(nil)
	}
}

func (k *keeper) releaseLocked(t *tracked, calls []func(error)) []func(error) {
	waiters, some := k.waiting[t]
	if !some {
		return calls
	}
	left := waiters[:0]
	for _, w := range waiters {
		if t.durable < w.version {
			left = append(left, w)
			continue
		}
		if w.all.left--; w.all.left == 0 {
			calls = append(calls, w.all.done)
		}
	}
	if len(left) == 0 {
		delete(k.waiting, t)
	} else {
		k.waiting[t] = left
	}
	return calls
}

// end tells everybody that nothing becomes durable any more.
func (k *keeper) end(why error) {
	k.mu.Lock()
	if k.final == nil {
		k.final = why
	}
	why = k.final
	told := make(map[*countdown]bool)
	for _, waiters := range k.waiting {
		for _, w := range waiters {
			told[w.all] = true
		}
	}
	k.waiting = nil
	k.mu.Unlock()
	for all := range told {
		all.done(why)
	}
}
