package broker

import (
	"context"
	"fmt"

	"sluice/gateway/message"
)

// Reader is a named durable cursor for those who keep their place themselves, beside what they have made of
// the log: nothing of what Next returns is remembered here. One goroutine at a time uses it.
type Reader struct {
	name    string
	log     Log
	cursor  Cursor
	durable *durable
	filters filters
}

// Reader opens the reader of that name; a new one begins with what comes next. While one is open nobody
// else may open it.
func (b *Broker) Reader(name string, filter []string) (*Reader, error) {
	for _, f := range filter {
		if err := message.CheckFilter(f); err != nil {
			return nil, fmt.Errorf("reader %s: %w", name, err)
		}
	}
	end, _ := b.log.Tail()
	cursor, err := b.log.OpenCursor(name, end)
	if err != nil {
		return nil, fmt.Errorf("open the cursor of reader %s: %w", name, err)
	}
	for _, f := range filter {
		b.durable.add(f)
	}
	return &Reader{name: name, log: b.log, cursor: cursor, durable: &b.durable, filters: filter}, nil
}

// Next waits for something at or behind from and appends up to max of it to dst. It may append nothing
// although next, where the following call goes on, has moved: what lay between does not match. When ctx ends
// nothing is lost: from stands.
func (r *Reader) Next(ctx context.Context, from message.Position, dst []message.Record, max int) (records []message.Record, next message.Position, err error) {
	return readNext(ctx, r.log, from, dst, max, r.filters)
}

// Matching appends to dst up to max durable records at or behind from under a filter of its own, and gives
// where to go on. It does not wait.
func (r *Reader) Matching(from message.Position, dst []message.Record, max int, filter string) (records []message.Record, next message.Position, err error) {
	return scan(r.log, dst, from, max, filters{filter})
}

// Tail is the last durable position of the log.
func (r *Reader) Tail() message.Position {
	tail, _ := r.log.Tail()
	return tail
}

// Head is the first position that has not been trimmed.
func (r *Reader) Head() message.Position { return r.log.Head() }

// Epoch tells this log from another one in which the same positions mean something else.
func (r *Reader) Epoch() (uint64, error) {
	epoch, _, err := r.log.Sequence("")
	return epoch, err
}

// Done lets the log trim everything up to a position. It becomes durable within 200 ms.
func (r *Reader) Done(upTo message.Position) { r.cursor.Move(upTo) }

// Close tells the log that nobody uses the reader's cursor any more. It keeps its place.
func (r *Reader) Close() {
	for _, f := range r.filters {
		r.durable.remove(f)
	}
	r.cursor.Close()
}

// Forget gives the reader's place up for good, instead of Close.
func (r *Reader) Forget() error {
	r.Close()
	if log, can := r.log.(forgetfulLog); can {
		return log.DropCursor(r.name)
	}
	return nil
}
