// Package mqtt is the MQTT listener: it speaks MQTT 3.1, 3.1.1 and 5 with clients and hides connections,
// packet ids, QoS and limits from the broker behind its Backend. What a session must not forget lies in
// the log: subscriptions, a cursor, and what is under way.
package mqtt

import (
	"context"
	"math"
	"time"

	"sluice/gateway/message"
)

// Now begins a subscription behind everything that is in the log.
const Now message.Position = math.MaxUint64

// NeverExpires is the expiry of a session that waits for its client for ever.
const NeverExpires time.Duration = -1

// Backend is the broker as the listener sees it. Its methods may be called from any goroutine.
type Backend interface {
	// Publish takes a copy of m and returns once m has its place in the log; ack hears later, in
	// order, whether it is durable. ack may be nil (QoS 0). It blocks while the log is busy. The
	// errors are those of gateway/message (ErrFull, ErrTooLarge, ErrTopic, ErrClosed, ErrFailed).
	Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error

	// Hand gives a message that the log shall not hold to those who are subscribed to it at this
	// moment and keep up.
	Hand(m *message.Message)

	// Subscribe opens a subscription that sees what comes behind after, and that nothing survives.
	Subscribe(after message.Position) Subscription

	// OpenSession finds a client's session, which is then present, or makes one; with fresh it makes
	// one in any case, and what was there ends.
	OpenSession(id string, expiry time.Duration, fresh bool) (session Session, present bool, err error)

	// DropSession ends a client's session, if there is one, durably.
	DropSession(id string) error

	// Message gives the message at a position; known is false when the log no longer has it.
	Message(at message.Position) (record message.Record, known bool, err error)

	// Last is the last position that a reader may have been given.
	Last() message.Position

	// Stored is what the log says of itself and of sessions without a connection.
	Stored() Stored

	// EachRetained visits the retained messages under a filter in the order of the log; an error of
	// visit ends it. visit may take its time.
	EachRetained(filter string, visit func(*message.Record) error) error
}

// Stored are counts of what the log holds.
type Stored struct {
	Messages uint64
	Bytes    int64 // on disk
	Retained int
	Sleeping int    // sessions whose client is away
	Expired  uint64 // sessions that ended so, since the start
}

// Subscription is a reader's place in the log together with its filters. It costs the log no
// memory, however far behind it is. Next and Skip are called by one goroutine, the rest by any.
type Subscription interface {
	// Add lets messages that match filter through from now on, which is behind the position that it
	// gives. Resume is Add for a filter that a session has had since after. Remove takes one back.
	Add(filter string) (after message.Position)
	Resume(filter string, after message.Position)
	Remove(filter string)

	// Join makes the subscription a member of a shared one, whose number stands in what comes through
	// it. What is durable keeps its place until the last durable member has left with ended.
	Join(group, filter string, durable bool) (share int, err error)
	// Leave gives back what was given and is not Done: another member gets it.
	Leave(share int, ended bool)
	// Done says that the client has what came through a shared subscription.
	Done(share int, at message.Position)

	// Next waits for at least one message and appends up to max to dst, in the order of the log but
	// for what comes through shared subscriptions, and each once.
	Next(ctx context.Context, dst []message.Delivery, max int) ([]message.Delivery, error)
	// Passed is the position up to which everything was returned by Next or is not wanted.
	Passed() message.Position
	// Skip drops everything up to now and says how many messages that was at most: for a QoS 0
	// subscriber too slow to be worth waiting for.
	Skip() (dropped uint64)
	// Close leaves the shared subscriptions too.
	Close()
}

// Session is what the log keeps of a client between its connections. What is changed becomes durable
// within a moment, or at once when wanted by Sync. Its methods may be called from any goroutine.
type Session interface {
	Subscriptions() []Subscribed
	Subscribe(subscribed Subscribed) error
	Unsubscribe(filter string) (known bool)

	// Flights gives what was under way to the client when it was last saved. Everything up to upTo is
	// done with; 0 says that the session has no place in the log yet.
	Flights() (upTo message.Position, under []Flight)
	// SaveFlights records what is under way, in the order of positions, and that everything up to upTo
	// is done with. durable, unless nil, hears when that would survive a power cut, from a goroutine
	// that everybody shares. 250 flights always fit.
	SaveFlights(upTo message.Position, under []Flight, durable func(error)) error
	// Move records that everything up to upTo is done with, when no flight needs to be remembered.
	Move(upTo message.Position)

	// Received says whether a QoS 2 message with this packet id is in the log and not released.
	Received(id uint16) bool
	// Release forgets a packet id. durable hears as with SaveFlights.
	Release(id uint16, durable func(error))

	Sync(ctx context.Context) error
	// Close tells that the client has gone for at most expiry; 0 ends the session.
	Close(expiry time.Duration)
}

// Subscribed is one filter of a session.
type Subscribed struct {
	Filter     string           // as it was asked for, "$share/GROUP/" included
	Options    byte             // see options.go: what SUBSCRIBE carried, and whether retained messages are still owed
	Identifier uint32           // 0: none
	From       message.Position // only what is at or behind it was subscribed to
}

// Flight is a message with QoS 1 or 2 on its way to a client.
type Flight struct {
	ID       uint16
	Position message.Position
	State    FlightState
}

// FlightState is how far a Flight has come.
type FlightState byte

// A message was sent with QoS 1, or is about to be; its receipt was confirmed (PUBREC), so that only its
// release is sent again; it is done with, while one before it is not; it was sent with QoS 2.
const (
	FlightSent FlightState = iota
	FlightReceived
	FlightDone
	FlightSentExactly
)
