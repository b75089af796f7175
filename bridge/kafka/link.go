package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/bridge"
	"sluice/bridge/dial"
)

// maxWaiting is how many messages may wait for the next cycle before Send makes its caller wait; so
// may as many bytes as a batch has.
const maxWaiting = maxCycle

var errClosed = errors.New("the link was closed")

// link is one franz-go client, which keeps connections to as many brokers as it needs and opens them
// anew by itself. What it sends again meanwhile has the same producer id and sequence, so that brokers
// recognise it. Only when that has gone on for AckTimeout, the link is lost.
type link struct {
	options *Options
	client  *kgo.Client
	log     *slog.Logger
	conns   conns
	workers sync.WaitGroup

	once    sync.Once
	lost    chan struct{}
	err     error         // set before lost is closed
	suspect chan struct{} // says that a connection has ended
	wake    chan struct{} // tells the cycling goroutine that something waits

	// producing is held while records are handed to franz-go: it forgets those that come while it closes.
	producing sync.Mutex

	mu      sync.Mutex // guards what follows
	waiting []*item    // oldest first
	bytes   int        // of those that wait
	room    chan struct{}
	began   time.Time // when the cycle in flight did; zero: there is none
	failed  error     // what went wrong last with a connection; nil since one was opened
}

// item is one message.
type item struct {
	record *kgo.Record
	at     order
	size   int
	err    error // what became of it in the last cycle
	done   func(error)
}

func newLink(o *Options, log *slog.Logger) *link {
	return &link{
		options: o, log: log,
		lost:    make(chan struct{}),
		suspect: make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
	}
}

func (l *link) start() {
	l.workers.Go(l.cycle)
	l.workers.Go(l.check)
	l.workers.Go(l.watch)
}

// lose ends the link for the reason err; the first one counts.
func (l *link) lose(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.lost)
	})
}

// Lost is closed when the cluster cannot be reached any more.
func (l *link) Lost() <-chan struct{} { return l.lost }

// Err says why.
func (l *link) Err() error {
	select {
	case <-l.lost:
		return l.err
	default:
		return nil
	}
}

// Close ends all connections and waits for what was started.
func (l *link) Close() error {
	l.lose(errClosed)
	l.workers.Wait()
	return nil
}

// Send takes a message for one of the next cycles. It waits while too many are before it.
func (l *link) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	r, at, err := l.options.record(o)
	if err != nil {
		return err
	}
	it := &item{record: r, at: at, size: recordSize(r), done: done}
	for {
		room, err := l.offer(ctx, it)
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.lost:
			return l.err
		}
	}
}

// offer adds it to what waits, or gives what to wait for.
func (l *link) offer(ctx context.Context, it *item) (room <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Both are looked at under the lock: a message that comes while the link ends is answered or not
	// taken, and none slips in behind one that was refused.
	if err := cmp.Or(l.Err(), ctx.Err()); err != nil {
		return nil, err
	}
	if n := len(l.waiting); n >= maxWaiting || n > 0 && l.bytes+it.size > l.options.room() {
		if l.room == nil {
			l.room = make(chan struct{})
		}
		l.wakeUp() // what waits will not grow
		return l.room, nil
	}
	l.waiting = append(l.waiting, it)
	l.bytes += it.size
	l.wakeUp()
	return nil, nil
}

func (l *link) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default: // it knows
	}
}

// keepLocked replaces what waits by rest.
func (l *link) keepLocked(rest []*item) {
	clear(l.waiting[len(rest):]) // or they would keep their payloads in memory
	l.waiting, l.bytes = rest, 0
	for _, it := range rest {
		l.bytes += it.size
	}
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

// watch ends the link when a cycle does not come back, and franz-go's client with the link.
func (l *link) watch() {
	ticker := time.NewTicker(min(l.options.AckTimeout/8+time.Millisecond, time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-l.lost:
			// Whoever gets the lock from now on sees that the link is lost.
			l.producing.Lock()
			l.producing.Unlock() //nolint:staticcheck // see above
			l.conns.cut()
			l.client.Close()
			return
		case <-ticker.C:
			l.mu.Lock()
			began := l.began
			l.mu.Unlock()
			if !began.IsZero() && time.Since(began) > l.options.AckTimeout {
				l.lose(l.silence("no acknowledgement"))
			}
		}
	}
}

// check asks the cluster whether it is still there, now and then and after a connection has ended:
// nobody else would notice while nothing is sent.
func (l *link) check() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.workers.Go(func() {
		<-l.lost
		cancel()
	})
	for {
		select {
		case <-l.suspect:
		case <-time.After(l.options.KeepAlive):
		case <-l.lost:
			return
		}
		if err := l.reach(ctx); err != nil {
			l.lose(err)
			return
		}
	}
}

// reach tries for AckTimeout to reach a broker.
func (l *link) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.options.AckTimeout)
	defer cancel()
	for {
		if l.client.Ping(ctx) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return l.silence("no answer")
		case <-time.After(min(l.options.AckTimeout/8, time.Second)):
		}
	}
}

// silence says that nothing came back, and why if that is known.
func (l *link) silence(what string) error {
	if why := l.trouble(); why != nil {
		return fmt.Errorf("%s within %s: %w", what, l.options.AckTimeout, plainWords(why))
	}
	return fmt.Errorf("%s within %s", what, l.options.AckTimeout)
}

func (l *link) trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// OnBrokerConnect is called by franz-go after every attempt, login included.
func (l *link) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	_, found := errors.AsType[*dial.Error](err)
	if !found && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) || errors.Is(err, errClosed)) {
		return // we have ended it ourselves
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = err
}

// OnBrokerDisconnect is called by franz-go.
func (l *link) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) {
	select {
	case l.suspect <- struct{}{}:
	default: // it will be looked at
	}
}
