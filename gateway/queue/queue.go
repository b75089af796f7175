// Package queue is what RocketMQ means by a broker, without its wire: topics with numbered queues,
// consumer groups with an offset in each, delays, half messages, retries and dead letters, all over the
// one durable log that MQTT uses too. The faces around it (gateway/rocketmq) speak with clients.
package queue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/message"
)

// Log is the durable log with its queues. Its methods may be called from any goroutine.
type Log interface {
	// Publish takes a copy of m, whose Queue says where it goes, and returns once m has its place, with
	// its offset there; ack hears later whether it is durable, perhaps before Publish returns.
	Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) (offset uint64, err error)
	// PublishUpkeep is Publish for what lets the log become free again: of a full one it takes a reserve.
	PublishUpkeep(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) (offset uint64, err error)

	// Read gives durable records from a position on, ReadQueue from an offset of a queue on, with the
	// offset to go on from. What was trimmed is skipped.
	Read(dst []message.Record, from message.Position, max int) ([]message.Record, error)
	ReadQueue(dst []message.Record, topic string, queue int, offset uint64, max int) (records []message.Record, next uint64, err error)

	// QueueRange gives the first offset that is still in the log, and that of the next message.
	QueueRange(topic string, queue int) (min, next uint64, err error)
	// QueueOffsetAt gives the offset of the first message stored at a time or later.
	QueueOffsetAt(topic string, queue int, unixMillis int64) (uint64, error)
	// Queues is how many queues of a topic ever had a message, counted up to the last that had.
	Queues(topic string) int
	// EachTopic visits the names that ever had a message.
	EachTopic(visit func(topic string))
	FindByKey(ctx context.Context, key string, from, to time.Time, max int) ([]message.Record, error)

	// Tail gives the last durable position and a channel that is closed when it has grown, Head the
	// first that is still there.
	Tail() (message.Position, <-chan struct{})
	Head() message.Position

	// Settings of topics and groups are durable when Put and Drop return.
	TopicSettings(name string) (settings TopicSettings, known bool)
	EachTopicSettings(visit func(name string, settings TopicSettings))
	PutTopic(ctx context.Context, name string, settings TopicSettings) error
	DropTopic(ctx context.Context, name string) error
	GroupSettings(name string) (settings GroupSettings, known bool)
	EachGroup(visit func(name string, settings GroupSettings))
	PutGroup(ctx context.Context, name string, settings GroupSettings) error
	DropGroup(ctx context.Context, name string) error
	// OpenGroup makes a group or notes that it is in use: its offsets are forgotten when it was not for
	// the time that the log gives groups.
	OpenGroup(name string) error

	// Offset is where a group goes on in a queue; EachOffset visits all of a group. A commit becomes
	// durable within 200 ms, or when SyncGroup returns.
	Offset(group, topic string, queue int) (next int64, known bool)
	EachOffset(group string, visit func(topic string, queue int, next int64))
	CommitOffset(group, topic string, queue int, next int64) error
	SyncGroup(ctx context.Context, group string) error
}

// Why a request is refused, beside the errors of gateway/message. Compare with errors.Is.
var (
	ErrNoTopic   = errors.New("there is no such topic")
	ErrNoGroup   = errors.New("there is no such consumer group")
	ErrNoQueue   = errors.New("the topic has no such queue")
	ErrForbidden = errors.New("the topic or the group does not allow it")
	ErrIllegal   = errors.New("the message is illegal")
	ErrName      = errors.New("the name of a topic or group is illegal")
	ErrNoMessage = errors.New("there is no such message")
)

// Options are what the engine is made with.
type Options struct {
	Queues     int  // of a topic that is made because somebody uses it; 0: message.DefaultQueues
	NoCreation bool // a topic must exist before it is used
	Log        *slog.Logger
	// Clock stamps messages; nil: the machine's. Delays are counted by the machine's clock.
	Clock func() time.Time

	// Waiting bounds the delayed messages, and the half messages, that there are at the same time; beyond
	// it Send gives message.ErrFull. 0: DefaultWaiting. RollBytes is how much of the log the oldest of them
	// may hold on to; 0: DefaultRollBytes.
	Waiting   int
	RollBytes int64

	// A producer is asked about a half message CheckAfter it was sent, and then CheckEvery, so many times.
	// 0: the defaults of the stock broker.
	CheckAfter time.Duration
	CheckEvery time.Duration
	Checks     int
}

// DefaultWaiting is how many delayed messages, and how many half messages, there are at most. Each takes
// 150 bytes of memory.
const DefaultWaiting = 200_000

func (o Options) filled() Options {
	o.Queues = cmp.Or(o.Queues, message.DefaultQueues)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Waiting = cmp.Or(o.Waiting, DefaultWaiting)
	o.RollBytes = cmp.Or(o.RollBytes, DefaultRollBytes)
	o.CheckAfter = cmp.Or(o.CheckAfter, DefaultCheckAfter)
	o.CheckEvery = cmp.Or(o.CheckEvery, DefaultCheckEvery)
	o.Checks = cmp.Or(o.Checks, DefaultChecks)
	return o
}

// Queues is the engine. All methods may be called from any goroutine; timers fire, waiting consumers are
// woken and half messages are checked while Run runs.
type Queues struct {
	log      Log
	options  Options
	most     atomic.Int32 // Options.Queues, which may change
	waiting  waiting
	pinned   atomic.Uint64
	making   sync.Mutex // of topics and groups: one at a time
	turn     atomic.Uint32
	timers   *ledger // of delayed messages
	halves   *ledger // of half messages
	checkers checkers
	mover    atomic.Pointer[Mover]
	pops     pops
}

// New makes an engine over a log. It starts nothing.
func New(log Log, options Options) *Queues {
	options = options.filled()
	q := &Queues{
		log: log, options: options,
		timers: newLedger(log, timerTopic, timerDoneTopic, options), halves: newLedger(log, halfTopic, halfDoneTopic, options),
	}
	q.UseQueues(options.Queues)
	q.halves.grace = options.CheckAfter // producers must come back first
	q.waiting.init()
	q.pops.init()
	return q
}

// UseQueues changes Options.Queues.
func (q *Queues) UseQueues(queues int) { q.most.Store(int32(queues)) }

// NewQueues is how many queues a topic gets that is made because somebody uses it.
func (q *Queues) NewQueues() int { return int(q.most.Load()) }

// Run works until ctx ends.
func (q *Queues) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { q.follow(ctx) })
	parts.Go(func() { q.pin(ctx) })
	parts.Go(func() { q.timers.run(ctx, q.fireTimers) })
	parts.Go(func() { q.halves.run(ctx, q.checkHalves) })
	parts.Go(func() { q.expire(ctx) })
	parts.Wait()
	return nil
}

// Passed is the position up to which no group, timer or half message wants anything any more. 0 until
// it was first found out.
func (q *Queues) Passed() message.Position { return message.Position(q.pinned.Load()) }

// Pending is what the engine keeps for later.
type Pending struct {
	Delayed int    // messages whose time has not come
	Half    int    // messages whose producers have not decided
	Lost    uint64 // of both, since the start: damage took them, or the limit of the disk did
}

// Pending counts what is kept for later.
func (q *Queues) Pending() (p Pending) {
	var lost uint64
	p.Delayed, p.Lost = q.timers.count()
	p.Half, lost = q.halves.count()
	p.Lost += lost
	return p
}
