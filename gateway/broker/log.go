// Package broker is the embedded broker: it publishes messages into the durable log and hands them to
// consumers, each a cursor with a filter. It hides filtering, wake-up, back-pressure and the
// counting of backlogs; what is spoken on a socket is the business of the faces around it.
package broker

import (
	"context"

	"sluice/gateway/message"
)

// Log is the durable sequence under the broker; *store.Store is the one that the gateway runs on.
// All methods may be called from any goroutine.
type Log interface {
	// Append takes a copy of m and returns once m has its place in the sequence; ack hears later
	// whether it became durable. It blocks while too much waits for the disk. An error means that
	// m was not taken and ack will not be called: message.ErrFull, ErrTooLarge, ErrClosed,
	// ErrFailed, or ctx's.
	Append(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error

	// Read appends to dst up to max durable records in order, beginning with the first at or
	// behind from, and returns none when there is none yet. What was trimmed is skipped.
	Read(dst []message.Record, from message.Position, max int) ([]message.Record, error)

	// Tail gives the last durable position and a channel that is closed when it has grown.
	Tail() (message.Position, <-chan struct{})

	// Head gives the first position that has not been trimmed.
	Head() message.Position

	// OpenCursor finds the named cursor where it was, or makes it with everything up to done
	// already done with.
	OpenCursor(name string, done message.Position) (Cursor, error)

	// Sequence gives the epoch of this log and the last durable sequence number of a device, 0 for
	// a device that was never seen.
	Sequence(device string) (epoch, last uint64, err error)
}

// matchingLog is a Log that can pass over what no filter matches without reading all of it.
type matchingLog interface {
	// ReadMatching appends to dst up to max durable records, in order, at or behind from whose
	// topic matches one of the filters. next is where to go on: no record between from and next
	// matches but those returned. It may return none although next has moved; it has not moved when
	// from is behind the tail.
	ReadMatching(dst []message.Record, from message.Position, max int, filters []string) (records []message.Record, next message.Position, err error)
}

// LazyLog is a Log that can let appends wait for company when nobody waits for them: readings.
type LazyLog interface {
	// AppendLazy is Append, but the sync may come a moment later.
	AppendLazy(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error
}

// forgetfulLog is a Log whose cursors can be taken back.
type forgetfulLog interface {
	// DropCursor forgets the cursor of that name; what only it pinned may be trimmed.
	DropCursor(name string) error
}

// Cursor is a durable position: everything up to it is done with and no longer pins the log.
type Cursor interface {
	// Position is the position last moved to, durable or not.
	Position() message.Position
	// Durable is the position that would be found after a power cut.
	Durable() message.Position
	// Move records progress; it becomes durable within 200 ms, or at once when wanted by Sync.
	// Moving backwards does nothing.
	Move(to message.Position)
	// Flush asks for the position to become durable soon, without waiting.
	Flush()
	// Sync waits until the position is durable.
	Sync(ctx context.Context) error
	// Close tells that the holder uses the cursor no longer: it may be dropped, or expire.
	Close()
}

// laneCursor is a Cursor that also knows what is done beyond its position, in a few ranges, so that two
// readers can share it.
type laneCursor interface {
	Cursor
	// MarkDone records that everything from first to last is done, like Move. When that touches the
	// position, the position moves over it. An error says that there are too many ranges.
	MarkDone(first, last message.Position) error
	// NextDone gives the first span of what is done that ends at or behind from: a range, or what the
	// position has passed.
	NextDone(from message.Position) (first, last message.Position, found bool)
	// Ranges is how many ranges there are, and how many there may be.
	Ranges() (n, most int)
	// DurableFrom gives the end of what a power cut would leave done from first on, first-1 for nothing.
	DurableFrom(first message.Position) message.Position
}

// movingCursor is a Cursor that can move in the transaction of a message.
type movingCursor interface {
	// AppendDone is Log.Append that marks everything from first to last as done in the same
	// transaction; with a first of 0 the position moves to last.
	AppendDone(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64, first, last message.Position) error
}

// stepCursor is a Cursor that can wait for a part of what it was moved by.
type stepCursor interface {
	// SyncTo waits until the position that would be found after a power cut is at or beyond upTo.
	SyncTo(ctx context.Context, upTo message.Position) error
}
