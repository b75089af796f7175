package store_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"

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
	l := storetest.Open(t, func(o *store.Options) { o.RetentionSize = 300 << 10 })
	m := model{cursors: make(map[string]message.Position), seq: make(map[string]uint64)}
	for step := range steps {
		switch n := r.IntN(100); {
		case n < 40:
			m.append(l, r)
		case n < 65:
			m.read(t, l, r)
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
			b.Properties = []message.Property{{Name: "n", Value: fmt.Sprint(at)}}
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
		// The head may have moved on meanwhile, also between two blocks: no cursor wants what it passed.
		if got.Position > next && got.Position <= l.Head() {
			next = got.Position
		}
		if int(next) > len(m.messages) {
			t.Fatalf("read %d from %d: got %d, the log ends at %d", most, from, got.Position, len(m.messages))
		}
		if want := m.messages[next-1]; got.Position != next || !reflect.DeepEqual(got.Message, want) {
			t.Fatalf("at %d: got %d with %d bytes, want %d bytes", next, got.Position, len(got.Payload), len(want.Payload))
		}
		next++
	}
	if len(records) > most || len(records) < most && int(next) <= len(m.messages) {
		t.Fatalf("read %d from %d: got %d records up to %d (head %d, tail %d)", most, from, len(records), next-1, l.Head(), len(m.messages))
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
