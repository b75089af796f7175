package store_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
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
	m := model{cursors: make(map[string]message.Position), seq: make(map[string]uint64)}
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
			if err := l.DropCursor(name); err != nil {
				t.Error(err)
			}
		case n < 97:
			device := fmt.Sprint("device-", r.IntN(60))
			if _, last, err := l.Sequence(device); err != nil || last != m.seq[device] {
				t.Errorf("%s is at seq %d, %v, want %d", device, last, err, m.seq[device])
			}
		default:
			l.Reopen()
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
		if r.IntN(5) == 0 {
			b.Properties = []message.Property{{Name: "n", Value: fmt.Sprint(at)}, {Name: "KEYS", Value: fmt.Sprintf("key-%d tens-%d", at, at/10)}, {Name: "UNIQ_KEY", Value: fmt.Sprint("u", at)}}
		}
	}
	l.Append(batch...)
	m.messages = append(m.messages, batch...)
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
