package queue

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"sluice/gateway/message"
)

const (
	// DefaultRollBytes is how much of the log an entry may hold on to before it is written again.
	DefaultRollBytes = 64 << 20

	rollMarks = 8192 // marks behind the oldest entry: they are all read when the ledger is loaded
	rollShare = 4    // the log behind the oldest entry is at least so many times as large as all entries: what rolling writes stays a small part
	rollRoom  = 4    // an entry holds on to that part of the log's limit: a full log could not be freed
	rollMost  = 256  // at once
	rollSize  = 1 << 20
)

// sizedLog is a Log that knows how large it is.
type sizedLog interface {
	// Size gives the bytes on disk of the messages that it has, and how many these are.
	Size() (bytes int64, messages uint64)
}

// limitedLog is a Log that may take up so much room; 0 is without limit.
type limitedLog interface {
	Room() (used, limit int64)
}

// roll writes the oldest entries again if they stand too far back, and says whether it did.
func (l *ledger) roll(ctx context.Context) bool {
	var rolled sync.WaitGroup
	any := false
	for _, e := range l.farBack() {
		r, err := l.read(e)
		if err != nil {
			if errors.Is(err, ErrNoMessage) {
				l.lose(e, err)
			}
			continue
		}
		rolled.Add(1)
		if err := l.rollOne(ctx, e, r, rolled.Done); err != nil {
			rolled.Done()
			break // the log is full, or ends
		}
		any = true
	}
	rolled.Wait() // the log answers everybody, also when it fails or closes
	return any
}

// farBack lists the entries to roll.
func (l *ledger) farBack() (list []*entry) {
	tail, _ := l.log.Tail()
	average := int64(1 << 10)
	if sized, can := l.log.(sizedLog); can {
		if bytes, messages := sized.Size(); messages > 0 {
			average = max(bytes/int64(messages), 1)
		}
	}
	most := l.rollBytes
	if limited, can := l.log.(limitedLog); can {
		if _, limit := limited.Room(); limit > 0 {
			most = min(most, limit/rollRoom)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.oldest == nil {
		return nil
	}
	may := max(most, rollShare*l.bytes)/average + rollShare*int64(len(l.entries))
	if int64(tail-min(l.oldest.at, tail)) <= may && len(l.written) <= rollMarks {
		return nil
	}
	size := 0
	for e := l.oldest; e != nil && len(list) < rollMost && size < rollSize && !e.done; e = e.newer {
		list = append(list, e)
		size += e.size
	}
	return list
}

// rollOne appends an entry again. done is called when the copy counts, unless it gives an error.
func (l *ledger) rollOne(ctx context.Context, e *entry, r *message.Record, done func()) error {
	now := time.Now()
	tail, _ := l.log.Tail()
	a := &addition{floor: tail}
	l.mu.Lock()
	n := e.note
	n.clock = l.clock.at(now)
	l.adding[a] = struct{}{}
	l.mu.Unlock()
	into := r.Message
	into.Time = now.UnixMilli()
	into.Properties = slices.DeleteFunc(slices.Clone(r.Properties), func(p message.Property) bool { return p.Name == ledgerNote })
	into.Properties = append(into.Properties, message.Property{Name: ledgerNote, Value: n.String()})
	err := publish(ctx, l.log.PublishUpkeep, &into, func(sent Sent, err error) {
		l.mu.Lock()
		delete(l.adding, a)
		switch {
		case err != nil:
		case e.done: // meanwhile: the copy is done with as well
			l.finished = append(l.finished, finish{offset: sent.Offset})
		default:
			l.moveLocked(e, sent.Offset, sent.Position)
		}
		l.mu.Unlock()
		done()
	})
	if err != nil {
		l.mu.Lock()
		delete(l.adding, a)
		l.mu.Unlock()
	}
	return err
}

// moveLocked gives an entry the place of its copy; the old place will be marked.
func (l *ledger) moveLocked(e *entry, offset uint64, at message.Position) {
	l.finished = append(l.finished, finish{offset: e.offset})
	l.unlinkLocked(e)
	e.offset, e.at = offset, at
	l.linkLocked(e)
}

// lose gives an entry up that is nobody's at the moment.
func (l *ledger) lose(e *entry, cause error) {
	if _, err := l.take(e.order, e.origin); err == nil {
		l.forgo(e, cause)
	}
}
