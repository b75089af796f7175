package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/gateway/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSource is a cursor over a list of records in memory.
type fakeSource struct {
	t       *testing.T
	mu      sync.Mutex // guards what follows
	records []message.Record
	next    int // index of what Next returns next
	acked   message.Position
	rewinds int
	grown   chan struct{}
	reading bool
	aside   []message.Message
}

func newSource(t *testing.T, topic string, first, step, n int) *fakeSource {
	s := &fakeSource{t: t, grown: make(chan struct{})}
	for i := range n {
		s.add(topic, message.Position(first+i*step))
	}
	return s
}

func (s *fakeSource) add(topic string, at message.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, message.Record{Position: at,
		Message: message.Message{Topic: topic, Payload: fmt.Appendf(nil, "%d", at)}})
	close(s.grown)
	s.grown = make(chan struct{})
}

func (s *fakeSource) Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error) {
	s.claim()
	defer s.release()
	for {
		s.mu.Lock()
		grown := s.grown
		n := min(max, len(s.records)-s.next)
		dst = append(dst, s.records[s.next:s.next+n]...)
		s.next += n
		s.mu.Unlock()
		if n > 0 {
			return dst, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return dst, ctx.Err()
		}
	}
}

func (s *fakeSource) claim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading {
		s.t.Error("two goroutines use one source at once")
	}
	s.reading = true
}

func (s *fakeSource) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = false
}

func (s *fakeSource) Ack(upTo message.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if upTo <= s.acked {
		s.t.Errorf("acknowledged up to %d after %d", upTo, s.acked)
	}
	if last := s.records[len(s.records)-1].Position; upTo > last {
		s.t.Errorf("acknowledged up to %d, there are messages up to %d", upTo, last)
	}
	s.acked = upTo
}

func (s *fakeSource) Rewind() {
	s.claim()
	defer s.release()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rewinds++
	s.next = 0
	for s.next < len(s.records) && s.records[s.next].Position <= s.acked {
		s.next++
	}
}

func (s *fakeSource) SetAside(_ context.Context, at message.Position, m *message.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.records {
		switch r := &s.records[i]; {
		case r.Position <= s.acked:
		case r.Position != at:
			s.t.Errorf("%d was set aside, the first that is not acknowledged is %d", at, r.Position)
		default:
			s.acked = at
			s.aside = append(s.aside, *m)
			return nil
		}
	}
	s.t.Errorf("%d was set aside, but there is no such message", at)
	return nil
}

func (s *fakeSource) Acked() message.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked
}

// fakeCloud is an Uplink. Every message that it is sent stands in sent; unless hold is set it is
// acknowledged after latency.
type fakeCloud struct {
	mu        sync.Mutex // guards what follows
	downUntil time.Time
	latency   time.Duration
	hold      bool // acknowledge nothing by itself
	block     bool // Send blocks until the link or ctx ends
	refuse    func(r message.Record) error
	connects  []time.Time
	sent      []sentMessage
	links     []*fakeLink
	maxOut    int
	filters   []string
	denied    error // what Receive answers
	deliver   func(ctx context.Context, m *Incoming) error
}

type sentMessage struct {
	link  *fakeLink
	index int
	key   string
	topic string
	qos   byte
	at    message.Position
	done  func(error)
}

type fakeLink struct {
	cloud  *fakeCloud
	lost   chan struct{}
	once   sync.Once
	err    error
	closed bool
	out    map[int]func(error) // by index in cloud.sent
	taken  map[string]int      // by key: the newest in cloud.sent that was acknowledged
	timers sync.WaitGroup
}

func (c *fakeCloud) Connect(ctx context.Context) (Link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connects = append(c.connects, time.Now())
	if time.Now().Before(c.downUntil) {
		return nil, errors.New("nobody listens there")
	}
	l := &fakeLink{cloud: c, lost: make(chan struct{}), out: make(map[int]func(error)), taken: make(map[string]int)}
	c.links = append(c.links, l)
	return l, nil
}

// lose cuts the newest link.
func (c *fakeCloud) lose(err error) {
	c.mu.Lock()
	l := c.links[len(c.links)-1]
	c.mu.Unlock()
	l.lose(err)
}

func (c *fakeCloud) messages() []sentMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]sentMessage(nil), c.sent...)
}

func (l *fakeLink) lose(err error) {
	l.once.Do(func() {
		l.cloud.mu.Lock()
		l.err = err
		l.cloud.mu.Unlock()
		close(l.lost)
	})
}

func (l *fakeLink) Send(ctx context.Context, o *Outgoing, done func(error)) error {
	c := l.cloud
	c.mu.Lock()
	if c.block {
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.lost:
			return errors.New("lost while sending")
		}
	}
	defer c.mu.Unlock()
	select {
	case <-l.lost:
		return l.err
	default:
	}
	if c.refuse != nil {
		if err := c.refuse(*o.Record); err != nil {
			return err
		}
	}
	i := len(c.sent)
	c.sent = append(c.sent, sentMessage{l, i, o.Key, o.Topic, o.QoS, o.Record.Position, func(err error) { l.answer(i, err) }})
	l.out[i] = done
	c.maxOut = max(c.maxOut, len(l.out))
	if !c.hold {
		l.timers.Add(1)
		time.AfterFunc(c.latency, func() {
			defer l.timers.Done()
			l.answer(i, nil)
		})
	}
	return nil
}

// answer calls a message's done unless that has happened.
func (l *fakeLink) answer(i int, err error) {
	l.cloud.mu.Lock()
	done, open := l.out[i]
	if open {
		select {
		case <-l.lost:
			if err == nil {
				err = errors.New("lost")
			}
		default:
		}
		delete(l.out, i)
		if err == nil {
			key := l.cloud.sent[i].key
			l.taken[key] = max(l.taken[key], i)
		}
	}
	l.cloud.mu.Unlock()
	if open {
		done(err)
	}
}

func (l *fakeLink) Lost() <-chan struct{} { return l.lost }

func (l *fakeLink) Err() error {
	l.cloud.mu.Lock()
	defer l.cloud.mu.Unlock()
	return l.err
}

func (l *fakeLink) Close() error {
	l.lose(errors.New("closed"))
	l.cloud.mu.Lock()
	l.closed = true
	var open []int
	for i := range l.out {
		open = append(open, i)
	}
	l.cloud.mu.Unlock()
	for _, i := range open {
		l.answer(i, errors.New("closed before the answer"))
	}
	l.timers.Wait()
	return nil
}

func (l *fakeLink) Receive(_ context.Context, filter string, deliver func(context.Context, *Incoming) error) error {
	l.cloud.mu.Lock()
	defer l.cloud.mu.Unlock()
	l.cloud.filters = append(l.cloud.filters, filter)
	l.cloud.deliver = deliver
	return l.cloud.denied
}

// start runs f until the test ends, or until the returned function is called.
func start(t *testing.T, f *Forwarder) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run returned %v, want nil", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}
