package store

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
)

// inboundOf reads session and packet id out of a message as a listener would put them there.
func inboundOf(m *message.Message) (session string, id uint16, ok bool) {
	for _, p := range m.Properties {
		if p.Name == "from" {
			session, number, _ := strings.Cut(p.Value, ":")
			n, err := strconv.Atoi(number)
			return session, uint16(n), err == nil
		}
	}
	return "", 0, false
}

// modelYoung has checkpoints among the operations.
const modelYoung = 16 << 10

// standingWith is standing with the hooks that a gateway sets.
func standingWith(t testing.TB, dir string) *Store { return standingYoung(t, dir, -1) }

// standingYoung is the same with a write-ahead log that has room for so many bytes.
func standingYoung(t testing.TB, dir string, young int) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, youngBytes: young, FileSize: 1 << 20, Inbound: inboundOf, RetainFor: func(m *message.Message) time.Duration {
		for _, p := range m.Properties {
			if p.Name == "expiry" {
				d, _ := time.ParseDuration(p.Value)
				return d
			}
		}
		return 0
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// copyStill copies the directory of a running log at a moment when Badger does not compact: that is
// what a kill leaves.
func copyStill(t *testing.T, dir string) string {
	t.Helper()
	names := func() string {
		var all []string
		filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if info, err := os.Lstat(path); err == nil && !entry.IsDir() {
				all = append(all, fmt.Sprint(path, info.Size()))
			}
			return err
		})
		return strings.Join(all, " ")
	}
	for range 100 {
		to := t.TempDir()
		before := names()
		if err := os.CopyFS(to, os.DirFS(dir)); err == nil && names() == before {
			return to
		}
	}
	t.Fatal("Badger never rests")
	return ""
}

// settleAll commits everything that is accepted and dirty.
func settleAll(s *Store) {
	for s.commitNext() {
	}
	for _, dirty := s.cursors.due(); dirty; _, dirty = s.cursors.due() {
		s.commit(nil)
	}
}

func publish(t testing.TB, s *Store, m message.Message) {
	t.Helper()
	if err := s.Append(context.Background(), &m, nil, 0); err != nil {
		t.Fatal(err)
	}
	for s.commitNext() {
	}
}

// smallModel is the small state as plain values. What may be found after a kill is all that a value
// has been since it was durable for certain; what follows from the log is exact.
type smallModel struct {
	now     map[string]string
	history map[string]map[string]bool
	exact   map[string]string // retained messages and received ids
}

const nothing = "nothing"

func (m *smallModel) set(key, value string) {
	if m.history[key] == nil {
		m.history[key] = map[string]bool{m.get(key): true}
	}
	if value == nothing {
		delete(m.now, key)
	} else {
		m.now[key] = value
	}
	m.history[key][value] = true
}

func (m *smallModel) get(key string) string {
	if value, ok := m.now[key]; ok {
		return value
	}
	return nothing
}

func (m *smallModel) durable() { m.history = make(map[string]map[string]bool) }

// describe gives the small state of a log in the model's terms.
func describe(t *testing.T, s *Store) (state, exact map[string]string) {
	t.Helper()
	state, exact = make(map[string]string), make(map[string]string)
	for _, g := range s.Groups() {
		for _, o := range s.Offsets(g.Name) {
			state[fmt.Sprintf("offset %s %s %d", g.Name, o.Topic, o.Queue)] = fmt.Sprint(o.Next)
		}
		if g.Version > 0 {
			state["group "+g.Name] = fmt.Sprint(g.Settings.RetryQueues, g.Version)
		}
	}
	for _, topic := range s.Topics() {
		state["topic "+topic.Name] = fmt.Sprint(topic.Settings.ReadQueues, topic.Settings.Attributes)
	}
	for _, status := range s.Sessions() {
		x := s.small.sessions.byID[status.ID]
		for _, sub := range x.Subscriptions() {
			state["sub "+status.ID+" "+sub.Filter] = fmt.Sprint(sub.Options, sub.Identifier)
		}
		upTo, under := x.Flights()
		if len(under) > 0 {
			state["flights "+status.ID] = fmt.Sprint(upTo, under)
		}
		for _, id := range x.ReceivedIDs() {
			exact[fmt.Sprintf("received %s %d", status.ID, id)] = "yes"
		}
		state["session "+status.ID] = "yes"
		if (x.Cursor() != nil) != (len(x.filters) > 0) && len(under) == 0 {
			t.Errorf("session %s has %d filters, cursor %v", status.ID, len(x.filters), x.Cursor())
		}
	}
	for _, filter := range []string{"#", "$sys/#"} {
		err := s.EachRetained(filter, func(r *message.Record) error {
			exact["retained "+r.Topic] = fmt.Sprintf("%d bytes of %q", len(r.Payload), r.Payload[:min(9, len(r.Payload))])
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	return state, exact
}

func (m *smallModel) compare(t *testing.T, s *Store, killed bool) {
	t.Helper()
	state, exact := describe(t, s)
	keys := slices.Collect(maps.Keys(state))
	keys = slices.AppendSeq(keys, maps.Keys(m.now))
	for _, key := range keys {
		got, ok := state[key]
		if !ok {
			got = nothing
		}
		if got != m.get(key) && !(killed && m.history[key][got]) {
			t.Errorf("%s is %s, want %s (killed %v, it was %v)", key, got, m.get(key), killed, m.history[key])
		}
	}
	if !maps.Equal(exact, m.exact) {
		t.Errorf("what follows from the log is\n%v, want\n%v", exact, m.exact)
	}
	m.now = state // a kill may have taken some back
	m.durable()
}

// TestSmallStateAgainstModel does random things to the small state and to a plain model of it, trims,
// closes and kills in between. SLUICE_SEED repeats a run.
func TestSmallStateAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("SLUICE_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("SLUICE_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	steps := 1500
	if testing.Short() {
		steps = 400
	}
	dir := t.TempDir()
	s := standingYoung(t, dir, modelYoung)
	m := &smallModel{now: make(map[string]string), exact: make(map[string]string)}
	m.durable()
	for step := range steps {
		m.step(t, s, r)
		if n := r.IntN(60); n == 0 { // a kill
			copied := copyStill(t, dir)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			dir, s = copied, standingYoung(t, copied, modelYoung)
			m.compare(t, s, true)
		} else if n == 1 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			sound(t, dir)
			s = standingYoung(t, dir, modelYoung)
			m.compare(t, s, false)
		}
		if t.Failed() {
			t.Fatalf("in step %d", step)
		}
	}
	settleAll(s)
	m.compare(t, s, false)
	t.Logf("%+v, head %d", s.StateStats(), s.Head())
}

func (m *smallModel) step(t *testing.T, s *Store, r *rand.Rand) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	id := fmt.Sprint("client-", r.IntN(5))
	x := s.small.sessions.byID[id]
	switch n := r.IntN(100); {
	case n < 20:
		group, topic, queue, next := fmt.Sprint("g", r.IntN(3)), fmt.Sprint("t", r.IntN(3)), r.IntN(6), r.Int64N(1000)
		must(s.CommitOffset(group, topic, queue, next))
		m.set(fmt.Sprintf("offset %s %s %d", group, topic, queue), fmt.Sprint(next))
	case n < 23:
		group := fmt.Sprint("g", r.IntN(3))
		settleWith(s, func() error { return s.DropGroup(ctx, group) })
		for key := range maps.Clone(m.now) {
			if strings.HasPrefix(key, "offset "+group+" ") || key == "group "+group {
				m.set(key, nothing)
			}
		}
		m.durable()
	case n < 26:
		name, queues := fmt.Sprint("t", r.IntN(4)), 1+r.IntN(9)
		settings := TopicSettings{ReadQueues: queues, Attributes: map[string]string{"a": fmt.Sprint(queues)}}
		settleWith(s, func() error { _, err := s.PutTopic(ctx, name, settings, 0); return err })
		m.set("topic "+name, fmt.Sprint(queues, settings.Attributes))
		m.durable()
	case n < 28:
		name := fmt.Sprint("t", r.IntN(4))
		settleWith(s, func() error { return s.DropTopic(ctx, name) })
		m.set("topic "+name, nothing)
		m.durable()
	case n < 36 || x == nil && n < 70:
		fresh := r.IntN(3) == 0
		_, present, err := s.OpenSession(id, time.Hour, fresh)
		must(err)
		if present != (x != nil && !fresh) {
			t.Errorf("session %s: present %v", id, present)
		}
		settleAll(s) // as before a CONNACK
		if !present {
			m.forget(id)
		}
		m.set("session "+id, "yes")
		m.durable()
	case n < 38:
		settleWith(s, func() error { return s.DropSession(ctx, id) })
		m.forget(id)
		m.durable()
	case n < 50 && x != nil:
		sub := Subscription{Filter: fmt.Sprintf("f/%d/+", r.IntN(4)), Options: byte(r.IntN(3)), Identifier: r.Uint32N(9), From: s.index.tail + 1}
		must(x.Subscribe(sub))
		m.set("sub "+id+" "+sub.Filter, fmt.Sprint(sub.Options, sub.Identifier))
	case n < 54 && x != nil:
		filter := fmt.Sprintf("f/%d/+", r.IntN(4))
		if known := x.Unsubscribe(filter); known != (m.get("sub "+id+" "+filter) != nothing) {
			t.Errorf("unsubscribe %s from %s: known %v", id, filter, known)
		}
		m.set("sub "+id+" "+filter, nothing)
	case n < 60 && x != nil && s.index.tail > 10:
		upTo, _ := x.Flights()
		upTo = max(upTo, s.index.tail-min(s.index.tail, 8))
		var under []Flight
		for at := upTo + 1; at <= s.index.tail; at++ {
			if r.IntN(3) > 0 {
				under = append(under, Flight{uint16(60000 + at), at, FlightState(r.IntN(4))})
			}
		}
		must(x.SaveFlights(upTo, under, nil))
		if len(under) > 0 && x.Cursor() != nil {
			m.set("flights "+id, fmt.Sprint(upTo, under))
		} else if len(under) > 0 {
			must(x.SaveFlights(upTo, nil, nil))
			m.set("flights "+id, nothing)
		} else {
			m.set("flights "+id, nothing)
		}
	case n < 68 && x != nil: // QoS 2, from the client
		packet := uint16(1 + r.IntN(20))
		if got, want := x.Received(packet), m.exact[fmt.Sprintf("received %s %d", id, packet)] == "yes"; got != want {
			t.Errorf("%s has received %d: %v, want %v", id, packet, got, want)
		}
		publish(t, s, message.Message{Topic: "q2", QoS: 2, Payload: []byte("x"), Properties: []message.Property{{Name: "from", Value: fmt.Sprintf("%s:%d", id, packet)}}})
		m.exact[fmt.Sprintf("received %s %d", id, packet)] = "yes"
	case n < 72 && x != nil:
		packet := uint16(1 + r.IntN(20))
		done := make(chan error, 1)
		x.Release(packet, func(err error) { done <- err })
		settleAll(s)
		must(<-done)
		delete(m.exact, fmt.Sprintf("received %s %d", id, packet))
		m.durable()
	case n < 86:
		topic := fmt.Sprintf("r/%d/%d", r.IntN(4), r.IntN(4))
		if r.IntN(5) == 0 {
			topic = "$sys/x"
		}
		payload := make([]byte, r.IntN(200))
		if r.IntN(4) == 0 {
			payload = make([]byte, r.IntN(9000))
		}
		for i := range payload {
			payload[i] = byte(r.Uint32())
		}
		publish(t, s, message.Message{Topic: topic, Payload: payload, Retain: true, Time: int64(r.IntN(1000))})
		if len(payload) == 0 {
			delete(m.exact, "retained "+topic)
		} else {
			m.exact["retained "+topic] = fmt.Sprintf("%d bytes of %q", len(payload), payload[:min(9, len(payload))])
		}
	case n < 90:
		publish(t, s, message.Message{Topic: "filling", Payload: make([]byte, r.IntN(5000))})
	case n < 93:
		upTo := s.index.tail // what is under way is not dropped
		for _, x := range s.small.sessions.byID {
			if at, under := x.Flights(); len(under) > 0 {
				upTo = min(upTo, at)
			}
		}
		gone := slices.DeleteFunc(s.index.oldest(1+r.IntN(10)), func(h header) bool { return h.last() > upTo })
		if len(gone) > 0 {
			must(s.remove(gone, 0))
		}
	case n < 96:
		s.small.replay.begin(time.Now())
	case n < 98:
		s.commit(nil)
	default:
		settleAll(s)
		m.durable()
	}
}

func (m *smallModel) forget(id string) {
	for key := range maps.Clone(m.now) {
		if strings.HasPrefix(key, "sub "+id+" ") || key == "flights "+id || key == "session "+id {
			m.set(key, nothing)
		}
	}
	for key := range m.exact {
		if strings.HasPrefix(key, "received "+id+" ") {
			delete(m.exact, key)
		}
	}
}

// settleWith runs what waits for the disk while the test plays the committer.
func settleWith(s *Store, wait func() error) {
	done := make(chan error, 1)
	go func() { done <- wait() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				panic(err)
			}
			settleAll(s)
			return
		default:
			settleAll(s)
		}
	}
}
