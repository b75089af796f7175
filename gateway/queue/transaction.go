package queue

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/gateway/message"
)

// Decision is what a producer says of a half message.
type Decision int

// Its producer does not know yet; it is to be delivered; it is to be forgotten.
const (
	Undecided Decision = iota
	Commit
	Rollback
)

// What SysFlag says about transactions.
const (
	sysPrepared = 0x4
	sysCommit   = 0x8
	sysRollback = 0xc // and the mask of all
)

// Half names a half message as its producer does: by what it was told when it sent it.
type Half struct {
	Group    string // the producer's
	Position message.Position
	Offset   uint64
}

// Checker asks a producer of a group what became of a half message, which it is given with the topic and
// queue where it would go, and the position and offset that its producer knows. It must not wait for the
// answer, which is an End. False says that nobody of the group is connected.
type Checker func(group string, half *Message) bool

// SetChecker says who asks producers that speak with a face; before that none of those is asked.
func (q *Queues) SetChecker(face string, ask Checker) {
	q.checkers.mu.Lock()
	defer q.checkers.mu.Unlock()
	q.checkers.by = maps.Clone(q.checkers.by) // whoever asks just now has the old one
	if q.checkers.by == nil {
		q.checkers.by = make(map[string]Checker)
	}
	q.checkers.by[face] = ask
}

// checkers are those who ask producers, by the face that these speak with.
type checkers struct {
	mu sync.Mutex // guards what follows
	by map[string]Checker
}

func (c *checkers) all() map[string]Checker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by
}

const (
	// Defaults of Options, as the stock broker has them.
	DefaultCheckAfter = 6 * time.Second
	DefaultCheckEvery = 30 * time.Second
	DefaultChecks     = 15

	// checkFor is how long a half message waits for a producer that cannot be asked.
	checkFor = 3 * 24 * time.Hour

	gaveUpTopic = "TRANS_CHECK_MAX_TIME_TOPIC"
)

// isHalf says of a message that is sent that its producer will decide later whether it is one.
func (m *Message) isHalf() bool { return strings.EqualFold(m.Property(Transaction), "true") }

// prepare keeps m until its producer has decided. Delays do not go together with that: they are dropped.
func (q *Queues) prepare(ctx context.Context, m *Message, done func(Sent, error)) error {
	if m.Property(ProducerGroup) == "" {
		return fmt.Errorf("%w: a half message needs the property %s", ErrIllegal, ProducerGroup)
	}
	after := q.options.CheckAfter
	if seconds, err := strconv.Atoi(m.Property(CheckImmunity)); err == nil && seconds > 0 {
		after = min(time.Duration(seconds)*time.Second, checkFor)
	}
	at := m.Queue
	m.Unset(Delay, TimerDelaySec, TimerDelayMs, TimerDeliverMs)
	m.Set(RealTopic, m.Topic)
	m.Set(RealQueue, strconv.Itoa(at))
	m.SysFlag &^= sysRollback
	m.Topic, m.Queue = halfTopic, 0
	due := func(c *clock, now time.Time) int64 { return c.at(now) + after.Milliseconds() }
	return q.halves.add(ctx, m, 0, due, func(sent Sent, err error) {
		sent.Queue = at
		done(sent, err)
	})
}

// End says what became of a half message. done is called exactly once, unless End returns an error, when the
// decision is durable; for one that is not known, or that was decided already, at once. ErrNoMessage says
// that there never was such a half message, ErrIllegal that it is another group's.
func (q *Queues) End(ctx context.Context, half Half, decision Decision, done func(error)) error {
	if err := q.halves.known(ctx); err != nil {
		return err
	}
	e, err := q.halves.take(half.Offset, half.Position)
	if errors.Is(err, ErrNoMessage) {
		if errors.Is(err, errTaken) || q.wasHalf(half) {
			done(nil) // somebody was faster
			return nil
		}
		return err
	}
	r, err := q.halves.read(e)
	if err != nil {
		q.halves.putBack(e)
		return err
	}
	m := FromRecord(r)
	if group := m.Property(ProducerGroup); group != half.Group {
		q.halves.putBack(e)
		return fmt.Errorf("%w: the half message at %d is of group %q, not %q", ErrIllegal, half.Position, group, half.Group)
	}
	switch decision {
	case Rollback:
		q.halves.finish(e, done)
		return nil
	case Commit:
		if err := q.putKept(ctx, committed(m, e), func(_ Sent, err error) { done(err) }); err != nil {
			q.halves.putBack(e)
			return err
		}
		q.halves.finish(e, nil)
		return nil
	}
	q.halves.putBack(e)
	done(nil)
	return nil
}

// wasHalf says whether a half message that is done with was this one.
func (q *Queues) wasHalf(half Half) bool {
	m, err := q.At(half.Position)
	return err == nil && m.Topic == halfTopic && m.Offset == half.Offset && m.Property(ProducerGroup) == half.Group
}

// committed gives the message that a half message becomes.
func committed(m *Message, e *entry) *Message {
	m.Topic, m.Queue = m.Property(RealTopic), realQueue(m)
	m.SysFlag |= sysCommit
	m.Prepared = e.origin
	m.Unset(RealTopic, RealQueue)
	m.Set(transactionID, m.Property(UniqueKey))
	if e.checks > 0 {
		m.Set(CheckTimes, strconv.Itoa(e.checks))
	}
	return m
}

func realQueue(m *Message) int {
	queue, _ := strconv.Atoi(m.Property(RealQueue))
	return min(max(queue, 0), message.MaxQueues-1)
}

// checkHalves asks about what nobody has decided for too long.
func (q *Queues) checkHalves(ctx context.Context) (more bool) {
	due := q.halves.postponeDue(fireMost, q.options.CheckEvery)
	for _, e := range due {
		if ctx.Err() != nil {
			return false
		}
		q.check(ctx, e)
	}
	return len(due) == fireMost
}

func (q *Queues) check(ctx context.Context, e *entry) {
	r, err := q.halves.read(e)
	if err != nil {
		if errors.Is(err, ErrNoMessage) {
			q.halves.lose(e, err)
		}
		return // else it comes again
	}
	m := FromRecord(r)
	asked, age := q.halves.askedAbout(e)
	if asked >= q.options.Checks || age > checkFor {
		q.giveUp(ctx, e, m)
		return
	}
	faces := q.checkers.all()
	if len(faces) == 0 {
		return
	}
	group := m.Property(ProducerGroup)
	q.halves.miss(e, producerKey(group)) // before it is asked: who comes between must find that
	m.Topic, m.Queue = m.Property(RealTopic), realQueue(m)
	m.Position, m.Offset = e.origin, e.order
	m.Set(CheckTimes, strconv.Itoa(asked+1))
	m.Set(waitName, "false")
	m.Set(transactionID, m.Property(UniqueKey))
	for _, ask := range faces {
		if ask(group, m) {
			q.halves.counted(e)
			return
		}
	}
}

// ProducerCame says that a client of a producer group has connected: it is asked about what nobody could be
// asked about before.
func (q *Queues) ProducerCame(group string) { q.halves.came(producerKey(group)) }

func producerKey(group string) uint64 { return maphash.String(recallSeed, group) }

// miss notes that nobody of a producer group can be asked about an entry.
func (l *ledger) miss(e *entry, group uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.key, e.missed = group, true
	l.absent[group] = struct{}{}
	if len(l.absent) > 2*l.most { // of groups whose half messages are long decided
		clear(l.absent)
		for _, e := range l.dues {
			if e.missed {
				l.absent[e.key] = struct{}{}
			}
		}
	}
}

// came lets what was missed be due.
func (l *ledger) came(group uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, missed := l.absent[group]; !missed {
		return
	}
	delete(l.absent, group)
	now := l.clock.now()
	for _, e := range l.dues {
		if e.missed && e.key == group {
			e.due, e.missed = min(e.due, now), false
		}
	}
	heap.Init(&l.dues)
	l.stir()
}

// giveUp sets a half message aside whose producer never decides.
func (q *Queues) giveUp(ctx context.Context, e *entry, m *Message) {
	if _, err := q.halves.take(e.order, e.origin); err != nil {
		return // it decided just now
	}
	m.Topic, m.Queue = gaveUpTopic, 0
	if err := q.putKept(ctx, m, func(Sent, error) {}); err != nil {
		q.halves.putBack(e)
		return
	}
	q.options.Log.Warn("nobody decides about a half message, it is set aside", "group", m.Property(ProducerGroup), "position", e.origin)
	q.halves.finish(e, nil)
}

// askedAbout tells how often the producer was asked about an entry, and how old that is.
func (l *ledger) askedAbout(e *entry) (times int, age time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return e.checks, time.Duration(l.clock.now()-e.since) * time.Millisecond
}

// Resume lets producers be asked again about a half message that was set aside. done is called exactly once,
// unless Resume returns an error, when that is durable.
func (q *Queues) Resume(ctx context.Context, at message.Position, done func(error)) error {
	m, err := q.At(at)
	if err != nil {
		return err
	}
	if m.Topic != gaveUpTopic {
		return fmt.Errorf("%w: the message at %d lies in %s, not in %s", ErrIllegal, at, m.Topic, gaveUpTopic)
	}
	m.Topic, m.Queue = m.Property(RealTopic), realQueue(m)
	m.Unset(CheckTimes)
	return q.prepare(ctx, m, func(_ Sent, err error) { done(err) })
}
