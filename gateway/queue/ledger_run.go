package queue

import (
	"context"
	"time"

	"sluice/gateway/message"
)

const (
	fireMost   = 256             // entries at once
	tendEvery  = 5 * time.Second // that it is looked how far back the oldest entry stands
	closeAfter = 2 * time.Second // that the last mark may take at the end
)

// run loads the ledger and works on it until ctx ends. fire deals with what is due, and says whether more
// may be.
func (l *ledger) run(ctx context.Context, fire func(context.Context) (more bool)) {
	if !l.load(ctx) {
		return
	}
	defer l.close(ctx)
	tended := time.Now()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for ctx.Err() == nil {
		more := fire(ctx)
		l.write(ctx)
		if now := time.Now(); now.Sub(tended) >= tendEvery {
			if more = l.roll(ctx) || more; !more {
				tended = now
			}
			l.settle()
		}
		if more {
			continue
		}
		alarm.Reset(l.wait())
		select {
		case <-l.wake:
		case <-alarm.C:
		case <-ctx.Done():
		}
	}
}

// wait is how long there is nothing to do.
func (l *ledger) wait() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := tendEvery
	if len(l.dues) > 0 {
		due := time.Duration(l.dues[0].due-l.clock.now()) * time.Millisecond
		wait = min(wait, max(due, time.Until(l.held)))
	}
	if len(l.finished)+len(l.checked) > 0 && !l.marking {
		wait = min(wait, retryAfter) // the log did not take the mark
	}
	return max(wait, time.Millisecond)
}

// hold lets nothing be due for a while: the log took nothing.
func (l *ledger) hold() {
	l.mu.Lock()
	l.held = time.Now().Add(retryAfter)
	l.mu.Unlock()
}

// close writes what is finished, so that an orderly end repeats nothing.
func (l *ledger) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeAfter)
	defer cancel()
	l.mu.Lock()
	l.noted = -noteEvery.Milliseconds() // the clock is due as well
	l.mu.Unlock()
	for ctx.Err() == nil {
		l.write(ctx)
		l.mu.Lock()
		marking, left := l.marking, len(l.finished)+len(l.checked)
		l.mu.Unlock()
		if !marking && left == 0 {
			l.settle()
		}
		if !marking {
			break // or the log took nothing
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	l.closed = true
	late := l.finished
	l.finished = nil
	l.mu.Unlock()
	l.refused(late, nil, message.ErrClosed)
}

// reader reads entries one after the other, those that lie next to each other at once.
type reader struct {
	ledger *ledger
	ahead  []message.Record
}

// read gives the record of the first of some entries.
func (r *reader) read(entries []*entry) (*message.Record, error) {
	first := entries[0]
	if len(r.ahead) > 0 && r.ahead[0].QueueOffset == first.offset {
		found := &r.ahead[0]
		r.ahead = r.ahead[1:]
		return found, nil
	}
	n := 1
	for n < len(entries) && entries[n].offset == first.offset+uint64(n) {
		n++
	}
	if n == 1 {
		return r.ledger.read(first)
	}
	var err error
	r.ahead, _, err = r.ledger.log.ReadQueue(nil, r.ledger.topic, 0, first.offset, n)
	if err != nil {
		return nil, err
	}
	if len(r.ahead) == 0 || r.ahead[0].QueueOffset != first.offset {
		r.ahead = nil
		return nil, ErrNoMessage
	}
	return r.read(entries)
}
