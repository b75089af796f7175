package batch

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/bridge"
	"sluice/gateway/message"
)

var modelSeed = flag.Uint64("model.seed", 0, "seed of the model test; 0: a new one each time")

// TestBatcherAgainstAModel puts a Batcher between a real Forwarder and a cloud that refuses, takes
// parts, breaks and is slow at random, and holds what the cloud sees against the contract of a Link.
func TestBatcherAgainstAModel(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	for round := range uint64(20) {
		t.Logf("to repeat: -run TestBatcherAgainstAModel -model.seed=%d (round %d)", seed, round)
		synctest.Test(t, func(t *testing.T) { runModel(t, rand.New(rand.NewPCG(seed, round))) })
		if t.Failed() {
			return
		}
	}
}

func runModel(t *testing.T, random *rand.Rand) {
	m := &model{t: t, random: random, calm: time.Now().Add(2 * time.Minute),
		stubborn: make(map[message.Position]int), last: make(map[string]int),
		options: Options{Count: 1 + random.IntN(9), Bytes: random.IntN(200), Shards: 1 + random.IntN(3), Behind: 1 + random.IntN(3),
			Linger: time.Duration(random.IntN(2)*random.IntN(300)) * time.Millisecond},
	}
	if random.IntN(2) == 0 {
		m.options.Group = func(o *bridge.Outgoing) string { return string(o.Payload[:1]) }
	}
	f := &bridge.Forwarder{Name: "cloud", Uplink: m, Window: 1 + random.IntN(40), Tries: 1 + random.IntN(3),
		Retry: time.Second, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	var sources []*source
	for route := range 2 {
		s := &source{model: m, grown: make(chan struct{}, 1)}
		sources = append(sources, s)
		m.sources = append(m.sources, s)
		f.Routes = append(f.Routes, bridge.Route{From: fmt.Sprint(route), To: "{topic}", Source: s})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	for next := message.Position(1); time.Now().Before(m.calm); {
		for range m.draw(30) {
			route := int(next) % len(sources)
			// Both routes share keys: what one is refused must not harm the other.
			sources[route].add(fmt.Sprintf("readings/line-3/%d", m.draw(5)), next)
			if m.draw(25) == 0 {
				m.mu.Lock()
				m.stubborn[next] = 1 + m.random.IntN(6)
				m.mu.Unlock()
			}
			next++
		}
		time.Sleep(time.Duration(m.draw(3000)) * time.Millisecond)
	}
	time.Sleep(30 * time.Minute) // good days: everything must arrive
	synctest.Wait()
	for i, s := range sources {
		if acked, last := s.state(); acked != last {
			t.Errorf("route %d got to %d of %d", i, acked, last)
		}
	}
	cancel()
	running.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open != 0 {
		t.Errorf("%d messages have no answer", m.open)
	}
	if m.most > m.options.Shards {
		t.Errorf("%d batches were in flight in %d shards", m.most, m.options.Shards)
	}
}

// model is the Uplink and the cloud behind it.
type model struct {
	t       *testing.T
	options Options
	sources []*source
	calm    time.Time // from then on the cloud only refuses what is stubborn

	mu       sync.Mutex // guards what follows
	random   *rand.Rand
	stubborn map[message.Position]int // how often it will be refused
	last     map[string]int           // by route and key: index of what the cloud took last
	open     int                      // messages without an answer
	flying   [8]bool                  // by shard, of the connection that there is
	out      int                      // batches in flight
	most     int
}

func (m *model) draw(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.random.IntN(n)
}

type modelLink struct {
	*Batcher
	model  *model
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

func (m *model) Connect(context.Context) (bridge.Link, error) {
	if time.Now().Before(m.calm) && m.draw(4) == 0 {
		return nil, errors.New("nobody listens there")
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &modelLink{Batcher: New(m.options, m.post), model: m, cancel: cancel}
	l.ended.Go(func() { l.Run(ctx) })
	return l, nil
}

func (l *modelLink) Close() error {
	l.cancel()
	l.ended.Wait()
	return nil
}

// Send counts the answers.
func (l *modelLink) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	var once sync.Once
	at := o.Record.Position
	l.model.count(1)
	err := l.Batcher.Send(ctx, o, func(err error) {
		first := false
		once.Do(func() { first = true })
		if !first {
			l.model.t.Errorf("message %d was answered again, with %v", at, err)
		}
		l.model.count(-1)
		done(err)
	})
	if err != nil {
		l.model.count(-1)
	}
	return err
}

func (m *model) count(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open += n
}

func (m *model) post(ctx context.Context, shard int, items []Item) error {
	m.begin(shard, items)
	latency := time.NewTimer(time.Duration(m.draw(400)) * time.Millisecond)
	defer latency.Stop()
	var err error
	select {
	case <-latency.C:
	case <-ctx.Done():
		err = ctx.Err() // the cloud may have it nevertheless
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flying[shard] = false
	m.out--
	if err != nil || time.Now().Before(m.calm) && m.random.IntN(12) == 0 {
		m.takeLocked(items[:m.random.IntN(len(items)+1)])
		return errors.New("line cut")
	}
	for i, item := range items {
		if m.stubborn[item.Record.Position] == 0 {
			continue
		}
		refused := &bridge.RefusedError{Reason: "the model says so", Retry: m.random.IntN(4) > 0}
		if i > 0 && m.random.IntN(2) == 0 {
			m.stubborn[item.Record.Position]--
			m.takeLocked(items[:i])
			return &PartialError{Taken: i, Err: refused}
		}
		if len(items) == 1 {
			m.stubborn[item.Record.Position]--
		}
		return refused
	}
	m.takeLocked(items)
	return nil
}

func (m *model) begin(shard int, items []Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.flying[shard] {
		m.t.Errorf("shard %d has two batches in flight", shard)
	}
	m.flying[shard] = true
	m.out++
	m.most = max(m.most, m.out)
	if len(items) == 0 || len(items) > m.options.Count {
		m.t.Errorf("a batch has %d messages, want 1 to %d", len(items), m.options.Count)
	}
	bytes := 0
	for _, item := range items {
		bytes += len(item.Topic) + len(item.Payload)
		if item.Group != items[0].Group {
			m.t.Errorf("groups %q and %q share a batch", items[0].Group, item.Group)
		}
	}
	if m.options.Bytes > 0 && len(items) > 1 && bytes > m.options.Bytes {
		m.t.Errorf("a batch has %d bytes, want %d at most", bytes, m.options.Bytes)
	}
}

// takeLocked lets the cloud have items: each must follow the one before it of its key, but for what
// was set aside, or go back to one that the cloud has seen.
func (m *model) takeLocked(items []Item) {
	for _, item := range items {
		at := item.Record.Position
		route := int(at) % len(m.sources)
		name := fmt.Sprintf("%d %s", route, item.Key)
		index := int(at)
		for _, before := range m.sources[route].between(item.Key, m.last[name], index) {
			m.t.Errorf("%s: %d was taken before %d, which is neither taken nor set aside", name, at, before)
		}
		m.last[name] = index
	}
}

// source is a cursor over a list in memory.
type source struct {
	model *model
	grown chan struct{}

	mu      sync.Mutex // guards what follows
	records []message.Record
	aside   map[message.Position]bool
	next    int
	acked   message.Position
}

func (s *source) add(topic string, at message.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	payload := fmt.Appendf(nil, "%s %d", topic[len(topic)-1:], at)
	s.records = append(s.records, message.Record{Position: at, Message: message.Message{Topic: topic, Payload: payload}})
	select {
	case s.grown <- struct{}{}:
	default:
	}
}

func (s *source) Next(ctx context.Context, dst []message.Record, most int) ([]message.Record, error) {
	for {
		s.mu.Lock()
		n := min(most, len(s.records)-s.next)
		dst = append(dst, s.records[s.next:s.next+n]...)
		s.next += n
		s.mu.Unlock()
		if n > 0 {
			return dst, nil
		}
		select {
		case <-s.grown:
		case <-ctx.Done():
			return dst, ctx.Err()
		}
	}
}

func (s *source) Ack(upTo message.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = upTo
}

func (s *source) Rewind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next = 0; s.next < len(s.records) && s.records[s.next].Position <= s.acked; s.next++ {
	}
}

func (s *source) SetAside(_ context.Context, at message.Position, _ *message.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aside == nil {
		s.aside = make(map[message.Position]bool)
	}
	s.aside[at] = true
	s.acked = at
	return nil
}

// between gives what of a key lies between two positions and was not set aside.
func (s *source) between(key string, after, before int) (all []message.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, _ := slices.BinarySearchFunc(s.records, after+1, func(r message.Record, at int) int { return int(r.Position) - at })
	for _, r := range s.records[first:] {
		if int(r.Position) >= before {
			break
		}
		if r.Topic == key && !s.aside[r.Position] {
			all = append(all, r.Position)
		}
	}
	return all
}

func (s *source) state() (acked, last message.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked, s.records[len(s.records)-1].Position
}
