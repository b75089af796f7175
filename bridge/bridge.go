// Package bridge moves records from the log to a cloud: a Forwarder reads a Source, keeps a window
// of messages in flight on an Uplink's Link, and acknowledges to the Source only what the cloud has
// acknowledged without a hole. It hides batching, retry, back-off and the state that the page shows.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sluice/gateway/message"
)

// Source is a durable cursor over the log with a filter; *broker.Consumer is the one that the
// gateway uses. One goroutine at a time calls Next and Rewind; Ack may come from another.
type Source interface {
	// Next waits for at least one matching record behind those already returned and appends up to
	// max of them to dst. It holds the caller back while too many acknowledgements are not durable
	// yet, so that a crash repeats no more than the delivery contract says.
	Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error)
	// Ack says that everything up to and including upTo is safe with the receiver.
	Ack(upTo message.Position)
	// Rewind makes Next start again behind the last acknowledged record.
	Rewind()
	// SetAside publishes m in place of the record at at, the first that is not acknowledged, and
	// acknowledges that one, both or neither whatever happens meanwhile. It returns when both are durable.
	SetAside(ctx context.Context, at message.Position, m *message.Message) error
}

// Uplink is one configured way to a cloud. It keeps no connection by itself.
type Uplink interface {
	// Connect opens one connection and logs in, or says in plain words why it could not.
	Connect(ctx context.Context) (Link, error)
}

// Link is one living connection. When it is lost it is never repaired: the Forwarder opens another.
// Its methods may be called from any goroutine; the messages of one goroutine keep their order.
type Link interface {
	// Send puts one message on its way and returns without waiting for the answer, but may wait
	// for room on the line. An error means that the message was not taken and done will not be
	// called; a *RefusedError says that this message is at fault and not the link. Otherwise done
	// is called exactly once, also when the link is lost, and before Close returns: nil means that
	// the receiver has taken responsibility, a *RefusedError that it does not want this message,
	// ErrHeld that it was not asked because it had refused an earlier one, anything else that the
	// link is broken. o may be reused once Send has returned; what it points to is not.
	//
	// A Link to a receiver that can refuse keeps a message back while an earlier one of the same
	// Key may still be refused. done of a refusal ends ctx of the messages behind it before it
	// returns, and Send takes none whose ctx has ended: so nothing overtakes what is tried again.
	Send(ctx context.Context, o *Outgoing, done func(error)) error
	// Lost is closed when the connection is gone; Err says why then.
	Lost() <-chan struct{}
	Err() error
	// Close ends the connection and waits for whatever the link started.
	Close() error
}

// Mover is a Link that can tell a slow line from a dead one.
type Mover interface {
	// Moved is how many bytes were written on the open connections, and how many of them the other end has.
	Moved() (written, reached int64)
}

// Receiver is a Link that can also bring messages down from the cloud.
type Receiver interface {
	// Receive asks for messages under filter and returns once the cloud has agreed; each is handed
	// to deliver, and acknowledged to the cloud only after deliver has returned nil.
	Receive(ctx context.Context, filter string, deliver func(ctx context.Context, m *Incoming) error) error
}

// Incoming is one message on its way down.
type Incoming struct {
	Topic      string // as the cloud calls it
	Payload    []byte
	Retained   bool // the cloud had it before we asked
	Repeated   bool // the cloud may have sent it before
	Properties []message.Property
}

// passed says whether the message has been in that gateway before.
func (m *Incoming) passed(gateway string) bool {
	return slices.Contains(m.Properties, message.Property{Name: OriginMark, Value: gateway})
}

// RefusedError is the answer of a cloud that is there but does not want this one message.
type RefusedError struct {
	Reason string // plain words
	Retry  bool   // asking again later may help
}

// ErrHeld is the answer to a message that was kept back because one before it was refused.
var ErrHeld = errors.New("an earlier message was refused")

// Error gives the reason.
func (e *RefusedError) Error() string { return fmt.Sprintf("the message was refused: %s", e.Reason) }
