// Package crashtest holds the store to its promise: it runs the real process, kills it or cuts its
// power at random moments, and compares what is found with a plain model of what had been promised.
// It hides a disk that logs every write and flush, and the cutting of it.
package crashtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/gateway/message"
	"sluice/store"
)

// The work: producers with these windows at once, and two consumers.
var windows = []int{1, 100, 10_000}

const (
	consumers = 2
	// unsaved is how far a consumer lets its cursor run ahead of what is durable: the contract's
	// 1,000 acknowledgements; batch is its window.
	unsaved = 1000
	batch   = 200
)

func options(dir string) store.Options {
	return store.Options{Dir: dir, FileSize: 1 << 20, RetentionSize: 256 << 10, Inbound: inbound}
}

func producerName(p int) string { return fmt.Sprint("producer-", p) }
func consumerName(c int) string { return fmt.Sprint("consumer-", c) }

// payload is what producer p sends as its message n: length and content follow from it.
func payload(p int, n, seed uint64) []byte {
	r := rand.New(rand.NewPCG(n<<8|uint64(p), seed))
	b := make([]byte, 20+r.IntN(300))
	for i := range b {
		b[i] = 'a' + byte(r.IntN(16))
	}
	if r.IntN(500) == 0 {
		b = append(b, make([]byte, 50<<10)...)
	}
	return b
}

// Model is what a worker said before it ended: what was promised to it.
type Model struct {
	Seed    uint64
	epoch   uint64
	acked   [3]uint64                   // per producer: its last acknowledged message
	at      map[message.Position]string // acknowledged messages by position: who sent it, and its number
	tail    message.Position            // the highest of them
	saved   [consumers]message.Position // per consumer: durable for certain
	worked  [consumers]message.Position // per consumer: done with, perhaps not durable
	ahead   [consumers]message.Position // as worked, of what was foreseen
	buried  message.Position            // up to which a cursor moved with letters, durably for certain
	burial  map[message.Position]bool   // beyond it: what letters marked as done, likewise
	small   small
	read    int // messages that were compared
	letters int // that were compared with their cursor
}

// NewModel is the model of an empty log.
func NewModel(seed uint64) *Model {
	return &Model{Seed: seed, at: make(map[message.Position]string), burial: make(map[message.Position]bool), small: newSmall()}
}

// Copy gives the model as it is now.
func (m *Model) Copy() *Model {
	c := *m
	c.at = make(map[message.Position]string, len(m.at))
	for at, what := range m.at {
		c.at[at] = what
	}
	c.burial = maps.Clone(m.burial)
	c.small = m.small.copy()
	return &c
}

// Resume is what the next worker must know of this one.
func (m *Model) Resume() string { return m.small.resume() }

// Foresee takes of a line that a worker said later only what it was about to do: it may have begun, since
// its word takes a moment.
func (m *Model) Foresee(line string) error {
	if progress, is := strings.CutPrefix(line, "r "); is {
		var c int
		var at message.Position
		fmt.Sscan(progress, &c, &at)
		m.ahead[c] = max(m.ahead[c], at)
		return nil
	}
	return m.small.foresee(line)
}

// Hear takes in one line of a worker; an error is a complaint of the worker, or says what the worker found
// that must not be.
func (m *Model) Hear(line string) error {
	if len(line) > 1 && (line[1] == '\t' || line[0] == 'F') {
		if client, acked := strings.CutPrefix(line, "b\tclient-"); acked {
			var c int
			var n, at uint64
			if fields, _ := fmt.Sscan(client, &c, &n, &at); fields == 3 {
				m.acknowledged(message.Position(at), fmt.Sprint(clientName(c), " ", n))
			}
		}
		return m.small.hear(line)
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	var who int
	var a, b uint64
	fmt.Sscan(rest, &who, &a, &b)
	switch word {
	case "e": // the log is open
		if m.epoch != 0 && m.epoch != a {
			return fmt.Errorf("the epoch is %d, was %d: nothing was lost", a, m.epoch)
		}
		m.epoch = a
	case "q": // producer, last message that was found
		if a < m.acked[who] {
			return fmt.Errorf("LOST: producer %d goes on behind %d, acknowledged was %d", who, a, m.acked[who])
		}
	case "k": // consumer, position that was found
		if at := message.Position(a); at < m.saved[who] || at+unsaved+batch < m.worked[who] {
			return fmt.Errorf("consumer %d goes on behind %d, durable was %d, worked on %d", who, a, m.saved[who], m.worked[who])
		}
	case "a": // producer, message, position
		m.acked[who] = a
		m.acknowledged(message.Position(b), fmt.Sprint(producerName(who), " ", a))
	case "c": // consumer, position
		m.saved[who] = message.Position(a)
	case "l": // first, last position of what went with a letter
		var first, last message.Position
		fmt.Sscan(rest, &first, &last)
		m.letter(first, last)
	case "r":
		m.worked[who] = max(m.worked[who], message.Position(a))
	default:
		return fmt.Errorf("the worker says %q", line)
	}
	return nil
}

func (m *Model) acknowledged(at message.Position, what string) {
	m.at[at] = what
	m.tail = max(m.tail, at)
}

// Compare opens the log in dir and holds it against the promises. It gives the number of messages
// that a consumer would see again.
func (m *Model) Compare(t *testing.T, dir string) (repeats int64) {
	t.Helper()
	s, err := store.Open(options(dir))
	if err != nil {
		t.Errorf("open: %v", err)
		return 0
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	st := s.Stats()
	for _, d := range st.Damage {
		if d.First != 0 {
			t.Errorf("damage: %+v", d)
		}
	}
	if m.epoch != 0 && st.Epoch != m.epoch {
		t.Errorf("the epoch is %d, was %d: nothing was lost; damage %+v", st.Epoch, m.epoch, st.Damage)
	}
	if st.Last < m.tail {
		t.Errorf("LOST: %d was acknowledged, the log ends at %d", m.tail, st.Last)
	}
	repeats = m.compareCursors(t, s)
	m.compareLetters(t, s)
	m.compareMessages(t, s)
	state, err := found(s)
	if err == nil {
		err = m.small.compare(state)
	}
	if err != nil {
		t.Error(err)
	}
	return repeats
}

func (m *Model) compareCursors(t *testing.T, s *store.Store) (repeats int64) {
	t.Helper()
	for c := range consumers {
		at, known := message.Position(0), false
		for _, status := range s.Cursors() {
			if status.Name == consumerName(c) {
				at, known = status.Durable, true
			}
		}
		if !known && m.saved[c] > 0 {
			t.Errorf("%s is gone", consumerName(c))
			continue
		}
		if at < m.saved[c] {
			t.Errorf("%s stands at %d, but %d was durable", consumerName(c), at, m.saved[c])
		}
		if reached := max(m.worked[c], m.ahead[c]); s.Head() > reached+batch+1 {
			t.Errorf("the head is %d, but %s worked only up to %d", s.Head(), consumerName(c), reached)
		}
		again := int64(m.worked[c]) - int64(at)
		repeats = max(repeats, again)
		if again > unsaved+batch {
			t.Errorf("%s sees %d messages again, at most %d may be", consumerName(c), again, unsaved+batch)
		}
	}
	return repeats
}

// sender is who sent a message, and which of his it is.
type sender struct {
	name   string
	number uint64
}

func (s sender) String() string { return fmt.Sprint(s.name, " ", s.number) }

// recognise says whose message a record is, and that it is as it was sent.
func recognise(r *message.Record, seed uint64) (sender, error) {
	var p int
	var n uint64
	switch {
	case r.Device != "":
		if _, err := fmt.Sscanf(r.Device, "producer-%d", &p); err == nil && string(r.Payload) == string(payload(p, r.Seq, seed)) {
			return sender{r.Device, r.Seq}, nil
		}
	case strings.HasPrefix(r.Topic, "from/"):
		if _, err := fmt.Sscan(string(r.Payload), &p, &n); err == nil && r.Topic == "from/"+clientName(p) && string(r.Payload) == string(clientPayload(p, n, seed)) {
			return sender{clientName(p), n}, nil
		}
	case r.Topic == lettersTopic:
		if _, _, err := letterOf(r); err == nil {
			return sender{name: lettersTopic}, nil
		}
	case r.Retain:
		if version, _, _ := strings.Cut(string(r.Payload), " "); version == "" || string(r.Payload) == string(retainedPayload(version)) {
			return sender{name: r.Topic}, nil
		}
	}
	return sender{}, fmt.Errorf("position %d holds seq %d of %q on %s, which nobody sent so", r.Position, r.Seq, r.Device, r.Topic)
}

// compareMessages reads everything: each producer's messages in their order and without a gap, each
// client's, of QoS 2, in their order and never twice, what was acknowledged at its position.
func (m *Model) compareMessages(t *testing.T, s *store.Store) {
	t.Helper()
	next := s.Head()
	last := make(map[string]uint64)
	for {
		records, err := s.Read(nil, next, 1000)
		if err != nil {
			t.Errorf("read at %d: %v", next, err)
			return
		}
		if len(records) == 0 {
			break
		}
		for i := range records {
			r := &records[i]
			from, err := recognise(r, m.Seed)
			if err != nil || r.Position != next {
				t.Errorf("read %d at %d: %v", r.Position, next, err)
				return
			}
			before, known := last[from.name]
			switch {
			case r.Device != "" && known && from.number != before+1:
				t.Errorf("REORDERED: %d of %s follows its %d", from.number, from.name, before)
			case r.QoS == 2 && known && from.number <= before:
				t.Errorf("REPEATED: %d of %s, with QoS 2, follows its %d", from.number, from.name, before)
			}
			last[from.name] = from.number
			if want, acked := m.at[next]; acked && want != from.String() {
				t.Errorf("position %d holds %s, acknowledged was %s", next, from, want)
			}
			next++
			m.read++
		}
	}
	for at := range m.at {
		if at < s.Head() {
			delete(m.at, at)
		}
	}
	for p := range windows {
		_, seq, err := s.Sequence(producerName(p))
		had := last[producerName(p)]
		if err != nil || seq < m.acked[p] || had != 0 && seq != had {
			t.Errorf("%s is at seq %d (%v), its last message has %d, acknowledged was %d", producerName(p), seq, err, had, m.acked[p])
		}
	}
}

// String sums the promises up.
func (m *Model) String() string {
	return fmt.Sprintf("acknowledged %v per producer and %v per client with QoS 2, up to position %d; consumers at %v; %d messages, %d letters and %d small values compared",
		m.acked, m.small.sent, m.tail, m.worked, m.read, m.letters, m.small.checked)
}
