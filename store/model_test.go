package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// model is the log as a child would write it: everything in memory.
type model struct {
	messages []message.Message // position 1 first; nothing is ever trimmed here
	cursors  map[string]message.Position
	durable  map[string]message.Position // of cursors that were synced
	dropped  map[string]bool             // since the last restart: a failure may bring them back
	seq      map[string]uint64
}

// TestLogAgainstModel does random things to a log and to a plain model of it. SLUICE_SEED repeats a
// run.
func TestLogAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("SLUICE_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("SLUICE_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	steps := 300
	if testing.Short() {
		steps = 100
	}
	l := storetest.Open(t, func(o *store.Options) { o.RetentionSize = 300 << 10 << r.IntN(6) })
	m := model{cursors: make(map[string]message.Position), durable: make(map[string]message.Position), dropped: make(map[string]bool), seq: make(map[string]uint64)}
	for step := range steps {
		switch n := r.IntN(100); {
		case n < 40:
			m.append(l, r)
		case n < 52:
			m.read(t, l, r)
		case n < 60:
			m.match(t, l, r)
		case n < 65:
			m.find(t, l, r)
		case n < 85:
			m.move(t, l, r)
		case n < 90:
			name := fmt.Sprint("cursor-", r.IntN(6))
			delete(m.cursors, name)
			delete(m.durable, name)
			m.dropped[name] = true
			if err := l.DropCursor(name); err != nil {
				t.Error(err)
			}
		case n < 96:
			device := fmt.Sprint("device-", r.IntN(60))
			if _, last, err := l.Sequence(device); err != nil || last != m.seq[device] {
				t.Errorf("%s is at seq %d, %v, want %d", device, last, err, m.seq[device])
			}
		case n < 98:
			m.refuse(t, l)
		case n < 99:
			m.fail(t, l, r)
		default:
			l.Reopen()
			clear(m.dropped)
		}
		m.compare(t, l)
		if t.Failed() {
			t.Fatalf("in step %d", step)
		}
	}
	t.Logf("%d messages, head %d, %d cursors", len(m.messages), l.Head(), len(m.cursors))
}

func (m *model) append(l *storetest.Log, r *rand.Rand) {
	n := 1 + r.IntN(200)
	if r.IntN(20) == 0 {
		n = 3000
	}
	batch := make([]message.Message, n)
	for i := range batch {
		at := len(m.messages) + i + 1
		size := r.IntN(400)
		if r.IntN(300) == 0 {
			size = r.IntN(200 << 10)
		}
		b := &batch[i]
		*b = message.Message{Topic: fmt.Sprint("t/", at%13), Payload: make([]byte, size), Time: r.Int64() - r.Int64(), QoS: byte(r.IntN(3)), Retain: r.IntN(2) == 0}
		for j := range b.Payload {
			b.Payload[j] = byte(r.Uint32())
		}
		if r.IntN(2) == 0 {
			b.Device = fmt.Sprint("device-", r.IntN(60))
			m.seq[b.Device]++
			b.Seq = m.seq[b.Device]
		}
		if r.IntN(3) == 0 {
			b.Client = fmt.Sprint("client-", r.IntN(300))
		}
		if r.IntN(5) == 0 {
			b.Properties = []message.Property{{Name: "n", Value: fmt.Sprint(at)}, {Name: "KEYS", Value: fmt.Sprintf("key-%d tens-%d", at, at/10)}, {Name: "UNIQ_KEY", Value: fmt.Sprint("u", at)}}
		}
	}
	l.Append(batch...)
	m.messages = append(m.messages, batch...)
}

// refuse appends to a full log.
func (m *model) refuse(t *testing.T, l *storetest.Log) {
	l.SetFull()
	before, _ := l.Tail()
	taken := message.Message{Topic: "full", Payload: []byte("x")}
	var all sync.WaitGroup
	all.Add(1)
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) {
		if err != nil {
			t.Errorf("append beside a full log: %v", err)
		}
		all.Done()
	})
	switch err := l.Store.Append(t.Context(), &taken, ack, 0); {
	case errors.Is(err, message.ErrFull):
		all.Done()
	case err != nil:
		t.Errorf("append to a full log: %v", err)
	default: // it has looked at the disk meanwhile
		m.messages = append(m.messages, taken)
	}
	all.Wait()
	if tail, _ := l.Tail(); int(tail) != len(m.messages) {
		t.Errorf("the log ends at %d after a refusal, was %d", tail, before)
	}
	eventually(t, "the log takes messages again", func() bool { return l.Stats().Health == store.OK })
}

// fail lets the disk fail in the middle of appending. What was acknowledged is there after a restart,
// what was not may be, in order.
func (m *model) fail(t *testing.T, l *storetest.Log, r *rand.Rand) {
	var mu sync.Mutex // guards acked and failed
	var acked message.Position
	failed := false
	ack := message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = true
			return
		}
		if failed || at <= acked && acked != 0 {
			t.Errorf("%d is acknowledged after %d, after a failure %v", at, acked, failed)
		}
		acked = at
	})
	n := 200 + r.IntN(400)
	broken := r.IntN(n)
	sent := len(m.messages)
	for i := range n {
		if i == broken {
			l.Fail(errors.New("injected"))
		}
		one := message.Message{Topic: fmt.Sprint("f/", i%7), Payload: fmt.Appendf(nil, "before the failure %d", i), Time: int64(i)}
		if err := l.Store.Append(t.Context(), &one, ack, 0); err != nil {
			if i < broken || !errors.Is(err, message.ErrFailed) {
				t.Errorf("append %d of %d, broken at %d: %v", i, n, broken, err)
			}
			break
		}
		m.messages = append(m.messages, one)
	}
	l.Restart()
	tail, _ := l.Tail()
	if tail < acked || int(tail) < sent || int(tail) > len(m.messages) {
		t.Fatalf("the log ends at %d after a failure; %d was acknowledged, %d appended", tail, acked, len(m.messages))
	}
	m.messages = m.messages[:tail]
	// A cursor is where it was durable last, or a little further.
	found := make(map[string]message.Position)
	for _, c := range l.Cursors() {
		if at, known := m.cursors[c.Name]; !m.dropped[c.Name] && (!known || c.Position > at || c.Position < m.durable[c.Name]) {
			t.Errorf("%s is at %d after a failure, was at %d (%v), durable at %d", c.Name, c.Position, at, known, m.durable[c.Name])
		}
		found[c.Name] = c.Position
	}
	for name := range m.durable {
		if _, known := found[name]; !known {
			t.Errorf("%s is gone after a failure", name)
		}
	}
	m.cursors = found
	clear(m.dropped)
}

func (m *model) read(t *testing.T, l *storetest.Log, r *rand.Rand) {
	from := message.Position(r.IntN(len(m.messages) + 3))
	most := r.IntN(2000)
	head := l.Head()
	records, err := l.Read(nil, from, most)
	if err != nil {
		t.Fatal(err)
	}
	next := max(from, head, 1)
	for _, got := range records {
		if got.Position > next { // trimmed while we read
			next = got.Position
			eventually(t, "what could not be read any more is trimmed", func() bool { return l.Head() >= next })
		}
		if want := m.messages[next-1]; got.Position != next || !reflect.DeepEqual(got.Message, want) {
			t.Fatalf("at %d: got a record at %d with %d bytes (payload equal: %v), want %d; got and want without it:\n%v\n%v", next, got.Position, len(got.Payload),
				string(got.Payload) == string(want.Payload), len(want.Payload), withoutPayload(got.Message), withoutPayload(want))
		}
		next++
	}
	if len(records) < most && int(next) <= len(m.messages) {
		t.Fatalf("read %d from %d: got %d records up to %d, but the log ends at %d", most, from, len(records), next-1, len(m.messages))
	}
}

func withoutPayload(m message.Message) message.Message {
	m.Payload = nil
	return m
}

var modelFilters = [][]string{{"t/3"}, {"t/+"}, {"#"}, {"t/1", "t/11"}, {"none/#"}, {"t/#"}}

// match reads on from somewhere and expects every message that the filters match and no other.
func (m *model) match(t *testing.T, l *storetest.Log, r *rand.Rand) {
	filters := modelFilters[r.IntN(len(modelFilters))]
	matches := func(topic string) bool {
		for _, f := range filters {
			if message.Match(f, topic) {
				return true
			}
		}
		return false
	}
	from := message.Position(1 + r.IntN(len(m.messages)+3))
	for range 1 + r.IntN(20) {
		records, next, err := l.ReadMatching(nil, from, 1+r.IntN(300), filters)
		if err != nil {
			t.Fatal(err)
		}
		if next < from || next == from && int(from) <= len(m.messages) {
			t.Fatalf("reading from %d of %d goes on at %d", from, len(m.messages), next)
		}
		head := l.Head() // it may have moved on since
		for at := from; at < next && int(at) <= len(m.messages); at++ {
			want := &m.messages[at-1]
			if len(records) > 0 && records[0].Position == at {
				if !matches(want.Topic) || !reflect.DeepEqual(records[0].Message, *want) {
					t.Fatalf("filters %q give %.300v, want %.300v", filters, records[0], *want)
				}
				records = records[1:]
			} else if matches(want.Topic) && at >= head {
				t.Fatalf("filters %q from %d pass over %d, which has topic %s (head %d)", filters, from, at, want.Topic, head)
			}
		}
		if len(records) > 0 {
			t.Fatalf("filters %q give a record at %d out of order", filters, records[0].Position)
		}
		from = next
	}
}

// find looks for keys that one message, some messages, or none should have.
func (m *model) find(t *testing.T, l *storetest.Log, r *rand.Rand) {
	if len(m.messages) == 0 {
		return
	}
	first := 10 * (r.IntN(len(m.messages)) / 10) // of ten that share a key
	for _, key := range []string{fmt.Sprint("tens-", first/10), fmt.Sprint("key-", first+3), fmt.Sprint("u", first+3), fmt.Sprint("n", first)} {
		before := l.Head()
		found, err := l.FindByKey(t.Context(), key, time.Time{}, time.Time{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		after := l.Head()
		for at := first + 9; at >= max(first, 1); at-- {
			if at > len(m.messages) || len(m.messages[at-1].Properties) == 0 || key[0] == 'n' || key[0] != 't' && at != first+3 {
				continue
			}
			if len(found) > 0 && found[0].Position == message.Position(at) {
				found = found[1:]
			} else if message.Position(at) >= after {
				t.Errorf("%s is not found at %d (head %d, before %d)", key, at, after, before)
			}
		}
		if len(found) > 0 {
			t.Errorf("%s is found at %d", key, found[0].Position)
		}
	}
}

func (m *model) move(t *testing.T, l *storetest.Log, r *rand.Rand) {
	name := fmt.Sprint("cursor-", r.IntN(6))
	head := l.Head()
	start := message.Position(r.IntN(len(m.messages) + 2))
	c, err := l.OpenCursor(name, start)
	if err != nil {
		t.Fatal(err)
	}
	if at, known := m.cursors[name]; known && c.Position() != at {
		t.Errorf("%s is at %d, want %d", name, c.Position(), at)
	} else if !known {
		if want := min(max(start, head)-1, message.Position(len(m.messages))); head == l.Head() && c.Position() != want {
			t.Errorf("a new %s from %d is at %d, want %d", name, start, c.Position(), want)
		}
		m.cursors[name] = c.Position()
	}
	to := c.Position() + message.Position(r.IntN(3000))
	c.Move(to)
	m.cursors[name] = min(to, message.Position(len(m.messages)))
	if r.IntN(2) == 0 {
		if err := c.Sync(t.Context()); err != nil {
			t.Error(err)
		}
		m.durable[name] = m.cursors[name]
		if c.Durable() != m.cursors[name] {
			t.Errorf("%s is durable at %d after a sync, want %d", name, c.Durable(), m.cursors[name])
		}
	}
}

func (m *model) compare(t *testing.T, l *storetest.Log) {
	t.Helper()
	if tail, _ := l.Tail(); tail != message.Position(len(m.messages)) {
		t.Errorf("the log ends at %d, want %d", tail, len(m.messages))
	}
	if st := l.Stats(); st.Damages != 0 {
		t.Errorf("%d damages in a sound log: %v", st.Damages, st.Damage)
	}
	head := l.Head()
	list := l.Cursors()
	if len(list) != len(m.cursors) {
		t.Errorf("cursors are %v, want %v", list, m.cursors)
	}
	for _, c := range list {
		if c.Position != m.cursors[c.Name] || c.Durable > c.Position {
			t.Errorf("%s is at %d, durable at %d, want %d", c.Name, c.Position, c.Durable, m.cursors[c.Name])
		}
		if c.Position+1 < head {
			t.Errorf("%s at %d was passed over by the head %d", c.Name, c.Position, head)
		}
	}
}
