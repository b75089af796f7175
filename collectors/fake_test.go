package collectors

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice/gateway/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeDevice answers after a delay, and not at all while it has an error.
type fakeDevice struct {
	mu     sync.Mutex // guards what follows
	delay  time.Duration
	err    error
	broken string // what the point "level" says instead of a value
	reads  []time.Time
	closed int
}

func (d *fakeDevice) Read(ctx context.Context, r *message.Reading) error {
	d.mu.Lock()
	d.reads = append(d.reads, time.Now())
	n, delay, err, broken := len(d.reads), d.delay, d.err, d.broken
	d.mu.Unlock()
	if delay > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
	if err != nil {
		return err
	}
	r.Points = append(r.Points[:0],
		message.Point{Name: "count", Value: message.Int(int64(n))},
		message.Point{Name: "level", Value: message.Float32(21.3)})
	if broken != "" {
		r.Points[1] = message.Point{Name: "level", Error: broken}
	}
	return nil
}

func (d *fakeDevice) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed++
	return nil
}

func (d *fakeDevice) Points() []Spec {
	return []Spec{{Name: "count"}, {Name: "level", Unit: "m"}}
}

func (d *fakeDevice) set(change func(d *fakeDevice)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *fakeDevice) readTimes() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]time.Time(nil), d.reads...)
}

// fakeSink is a log in memory that syncs after a while, in order, and keeps what is durable only.
type fakeSink struct {
	sync time.Duration

	mu       sync.Mutex // guards what follows
	refuse   error      // what Publish returns
	lose     error      // what acknowledgements say
	epoch    uint64
	queue    []pending
	due      time.Time // of the last one queued
	durable  []message.Message
	accepted int
	offers   []time.Time
	last     map[string]uint64
}

func (s *fakeSink) Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offers = append(s.offers, time.Now())
	if s.refuse != nil {
		return s.refuse
	}
	s.accepted++
	kept := *m
	kept.Payload = append([]byte(nil), m.Payload...)
	s.queue = append(s.queue, pending{kept, ack, token, false})
	s.due = latest(s.due, time.Now().Add(s.sync))
	time.AfterFunc(time.Until(s.due), s.settleOne)
	return nil
}

// pending is a message between its acceptance and its sync.
type pending struct {
	message.Message
	ack   message.Acknowledger
	token uint64
	lost  bool
}

func (s *fakeSink) settleOne() {
	s.mu.Lock()
	defer s.mu.Unlock() // also keeps acknowledgements in order
	m, err := s.queue[0], s.lose
	s.queue = s.queue[1:]
	if m.lost {
		err = message.ErrFailed
	}
	if err == nil {
		s.durable = append(s.durable, m.Message)
		if m.Device != "" {
			if s.last == nil {
				s.last = make(map[string]uint64)
			}
			s.last[m.Device] = m.Seq
		}
	}
	m.ack.Acknowledge(m.token, message.Position(len(s.durable)), err)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *fakeSink) Sequence(device string) (epoch, last uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch, s.last[device], nil
}

func (s *fakeSink) set(change func(s *fakeSink)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// decoded is the part of a reading or a status that the tests look at.
type decoded struct {
	Gateway, Device, State, Error, Clock string
	Epoch, Seq                           uint64
	TS                                   int64
	Values                               map[string]any
	Errors                               map[string]string
}

func (s *fakeSink) on(t *testing.T, topic string) []decoded {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []decoded
	for _, m := range s.durable {
		if m.Topic != topic {
			continue
		}
		var d decoded
		if err := json.Unmarshal(m.Payload, &d); err != nil {
			t.Fatalf("payload %s: %v", m.Payload, err)
		}
		if m.QoS != 1 || m.Time != d.TS {
			t.Errorf("message %+v: want QoS 1 and the time of its payload", m)
		}
		found = append(found, d)
	}
	return found
}

func (s *fakeSink) readings(t *testing.T) []decoded { return s.on(t, "readings/g/press") }

func (s *fakeSink) states(t *testing.T) []string {
	var states []string
	for _, d := range s.on(t, "status/g/press") {
		states = append(states, d.State)
	}
	return states
}

func newPoller(device Device, sink Sink, interval time.Duration) *Poller {
	return &Poller{Gateway: "g", Name: "press", Device: device, Sink: sink, Interval: interval}
}

// start runs p until stop is called, and at the latest until the test's bubble ends.
func start(t *testing.T, p *Poller) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run returned %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// checkSequence fails when the readings do not count up by one from first.
func checkSequence(t *testing.T, readings []decoded, first uint64) {
	t.Helper()
	for i, r := range readings {
		if r.Seq != first+uint64(i) {
			t.Fatalf("reading %d has seq %d, want %d", i, r.Seq, first+uint64(i))
		}
	}
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
