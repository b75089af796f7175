//go:build linux

package nighttest

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway/remoting"
)

const (
	rocketTopic  = "kills"
	rocketQueues = 4
)

// rocketBody is what a message's body says: what it is, whose it is and which of its producer.
type rocketBody struct {
	kind             string
	producer, number int
	part             int // of a batch
}

func (b rocketBody) String() string {
	return fmt.Sprintf("%s %d %d %d", b.kind, b.producer, b.number, b.part)
}

func readRocketBody(text string) (b rocketBody) {
	fmt.Sscanf(text, "%s %d %d %d", &b.kind, &b.producer, &b.number, &b.part)
	return b
}

// verdict is what the producer of a half message decides, sooner or when it is asked.
func (b rocketBody) verdict() (commit, asked bool) {
	turn := b.number / 11 % 8
	return turn < 4 || turn == 6, turn >= 6
}

// rocketPromise is what the gateway said about a message.
type rocketPromise struct {
	queue     int
	offset    int64  // -1: not known
	position  uint64 // 0: not known
	notBefore int64  // Unix milliseconds
}

// rocketKill is the end of a life, in Unix milliseconds: what had fired until marked is durably done with.
type rocketKill struct{ marked, died int64 }

// rocketMarks is how many sends, each begun when the one before was acknowledged, bring the mark of what fired
// before the first: it waits for the mark before it, shares a sync with others, and so do they.
const rocketMarks = 4

// rocketModel is what must be true. Clients tell it what they heard, in any order.
type rocketModel struct {
	mu      sync.Mutex // guards what follows
	faults  []string
	lies    map[rocketPlace]map[int64]string // what somebody was shown, or told
	acked   map[string]rocketPromise         // acknowledged, by body
	pending map[string]bool                  // of those, what the judge has not found yet
	recalls map[string]bool                  // taken back, acknowledged
	rolled  map[string]time.Time             // rolled back, acknowledged when
	asked   map[string]int                   // how often about which half message
	halves  map[string]bool                  // acknowledged half messages
	proof   time.Time                        // when the newest acknowledged send of this life began
	stepped time.Time                        // when the last of the steps was acknowledged
	steps   []time.Time                      // when sends of this life began, each after the one before was acknowledged
	kills   []rocketKill

	found map[string]int                 // bodies that the judge has found, how often
	stood map[string]int64               // when the last of them was stored, in Unix milliseconds
	next  map[rocketPlace]int64          // where the judge goes on
	last  map[rocketPlace]map[int][2]int // of each producer, number and part
}

func newRocketModel() *rocketModel {
	return &rocketModel{
		lies: make(map[rocketPlace]map[int64]string), acked: make(map[string]rocketPromise), pending: make(map[string]bool), recalls: make(map[string]bool),
		rolled: make(map[string]time.Time), asked: make(map[string]int), halves: make(map[string]bool), found: make(map[string]int), stood: make(map[string]int64),
		next: make(map[rocketPlace]int64), last: make(map[rocketPlace]map[int][2]int),
	}
}

// fault notes what must not be.
func (m *rocketModel) fault(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faultLocked(format, args...)
}

func (m *rocketModel) faultLocked(format string, args ...any) {
	if len(m.faults) < 20 {
		m.faults = append(m.faults, fmt.Sprintf(format, args...))
	}
}

// shown notes what lies at an offset: for ever, whoever looks.
func (m *rocketModel) shown(at rocketPlace, offset int64, body string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shownLocked(at, offset, body)
}

func (m *rocketModel) shownLocked(at rocketPlace, offset int64, body string) {
	known := m.lies[at]
	if known == nil {
		known = make(map[int64]string)
		m.lies[at] = known
	}
	if before, there := known[offset]; there && before != body {
		m.faultLocked("offset %d of %v was %q and is %q", offset, at, before, body)
	}
	known[offset] = body
}

// sent notes an acknowledged message whose sending began at a time.
func (m *rocketModel) sent(body string, began time.Time, p rocketPromise) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.provedLocked(began)
	m.acked[body], m.pending[body] = p, true
	if p.offset >= 0 {
		m.shownLocked(rocketPlace{rocketTopic, p.queue}, p.offset, body)
	}
}

// proved notes that what was sent at a time is durable, and so is what was committed well before.
func (m *rocketModel) proved(began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.provedLocked(began)
}

func (m *rocketModel) provedLocked(began time.Time) {
	if began.After(m.proof) {
		m.proof = began
	}
	if began.After(m.stepped) {
		m.steps, m.stepped = append(m.steps, began), time.Now()
	}
}

// judge reads on in all queues of the topic, while nobody sends.
func (m *rocketModel) judge(t *testing.T, c *rocketConn) {
	t.Helper()
	for queue := range rocketQueues {
		at := rocketPlace{rocketTopic, queue}
		readRocketQueue(t, c, at, m.next[at], func(s *remoting.Stored) { m.judged(at, s) })
	}
}

// readRocketQueue visits what a queue has from an offset on.
func readRocketQueue(t *testing.T, c *rocketConn, at rocketPlace, from int64, visit func(*remoting.Stored)) {
	t.Helper()
	for {
		list, next, answer := c.pull("judge", at, from, 4, 0, 0)
		switch {
		case answer == nil:
			t.Fatalf("reading %v from %d: the connection has ended", at, from)
		case answer.Code == remoting.PullNotFound:
			return
		case answer.Code != remoting.Success || len(list) == 0 || next <= from:
			t.Fatalf("reading %v from %d: code %d, %s, %d messages, next %d", at, from, answer.Code, answer.Remark, len(list), next)
		}
		for i := range list {
			visit(&list[i])
		}
		from = next
	}
}

// judged compares one message of a queue with what was promised about it.
func (m *rocketModel) judged(at rocketPlace, s *remoting.Stored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := string(s.Body)
	if s.QueueOffset != m.next[at] {
		m.faultLocked("%v goes on with offset %d, not %d", at, s.QueueOffset, m.next[at])
	}
	m.next[at] = s.QueueOffset + 1
	m.shownLocked(at, s.QueueOffset, text)
	body := readRocketBody(text)
	if m.found[text]++; m.found[text] > 1 {
		m.twiceLocked(text, m.stood[text], s.StoreTime)
	}
	m.stood[text] = s.StoreTime
	delete(m.pending, text)
	switch body.kind {
	case "plain", "batch":
		if m.last[at] == nil {
			m.last[at] = make(map[int][2]int)
		}
		last := m.last[at][body.producer]
		inBatch := body.number == last[0] && body.part == last[1]+1
		if !inBatch && (body.number <= last[0] || body.part > 0) {
			m.faultLocked("%v has %q behind number %d, part %d", at, text, last[0], last[1])
		}
		m.last[at][body.producer] = [2]int{body.number, body.part}
	case "half":
		if commit, _ := body.verdict(); !commit {
			m.faultLocked("%v has %q, which was never committed", at, text)
		}
	}
	if m.recalls[text] {
		m.faultLocked("%v has %q, which was taken back", at, text)
	}
	promise, promised := m.acked[text]
	switch {
	case !promised:
	case promise.queue != at.queue, promise.offset >= 0 && promise.offset != s.QueueOffset, promise.position > 0 && promise.position != uint64(s.PhysicalOffset):
		m.faultLocked("%q lies in %v at offset %d and position %d, promised were %+v", text, at, s.QueueOffset, s.PhysicalOffset, promise)
	case s.StoreTime < promise.notBefore:
		m.faultLocked("%q came %d ms too early", text, promise.notBefore-s.StoreTime)
	}
}

// twiceLocked judges a message that was stored at two times. Between putting it into its queue and the durable
// mark that it is done with must lie a kill.
func (m *rocketModel) twiceLocked(text string, first, second int64) {
	for _, kill := range m.kills {
		if kill.died < first {
			continue
		}
		if second < kill.died || first < kill.marked-rocketDurable.Milliseconds() {
			m.faultLocked("%q came at %d and again at %d; the kill was at %d and what had fired until %d was marked", text, first, second, kill.died, kill.marked)
		}
		return
	}
	m.faultLocked("%q came at %d and again at %d without a kill", text, first, second)
}

// killed begins a life with nothing proved, and gives what was in the one before.
func (m *rocketModel) killed() (proof time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	proof, m.proof = m.proof, time.Time{}
	kill := rocketKill{died: time.Now().UnixMilli()}
	if n := len(m.steps); n >= rocketMarks {
		kill.marked = m.steps[n-rocketMarks].UnixMilli()
	}
	m.kills, m.steps = append(m.kills, kill), nil
	return proof
}

// missing lists what was acknowledged and not found: what was to be there at once, or all.
func (m *rocketModel) missing(all bool) (list []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for text := range m.pending {
		if all || strings.HasPrefix(text, "plain") || strings.HasPrefix(text, "batch") {
			list = append(list, text)
		}
	}
	return list
}

// unasked lists the half messages whose producer decides only when asked, and was not.
func (m *rocketModel) unasked() (list []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for text := range m.halves {
		if _, asked := readRocketBody(text).verdict(); asked && m.asked[text] == 0 {
			list = append(list, text)
		}
	}
	return list
}

// partialBatches counts batches of which only the beginning is there: nobody was told that they are. All of
// an acknowledged one is pending until it is found.
func (m *rocketModel) partialBatches() (partial int) {
	for text := range m.found {
		if b := readRocketBody(text); b.kind == "batch" && b.part == 0 {
			b.part = rocketBatch - 1
			if m.found[b.String()] == 0 {
				partial++
			}
		}
	}
	return partial
}

// check ends the test when there are faults.
func (m *rocketModel) check(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, fault := range m.faults {
		t.Error(fault)
	}
	if len(m.faults) > 0 {
		t.FailNow()
	}
}

func rocketNumber(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// someOf keeps what a person reads of a list.
func someOf(list []string) []string { return list[:min(len(list), 10)] }

// TestRocketModelSeesLostPromises breaks what the queues of TestRocketMQSurvivesKills are held to.
func TestRocketModelSeesLostPromises(t *testing.T) {
	at := rocketPlace{rocketTopic, 0}
	plain := func(number int, offset int64) remoting.Stored {
		return remoting.Stored{Body: []byte(rocketBody{"plain", 0, number, 0}.String()), QueueOffset: offset, PhysicalOffset: offset, StoreTime: 1000}
	}
	batch := func(part int, offset int64) remoting.Stored {
		return remoting.Stored{Body: []byte(rocketBody{"batch", 0, 10, part}.String()), QueueOffset: offset}
	}
	level := func(offset, at int64) remoting.Stored {
		return remoting.Stored{Body: []byte("level 0 7 0"), QueueOffset: offset, StoreTime: at}
	}
	for _, c := range []struct {
		name  string
		sent  map[string]rocketPromise
		found []remoting.Stored
		fault bool
		lacks int
	}{
		{name: "as promised", sent: map[string]rocketPromise{"plain 0 1 0": {0, 0, 0, 1000}}, found: []remoting.Stored{plain(1, 0), plain(2, 1), batch(0, 2), batch(1, 3)}},
		{name: "lost", sent: map[string]rocketPromise{"plain 0 1 0": {0, 0, 0, 0}}, lacks: 1},
		{name: "another offset", sent: map[string]rocketPromise{"plain 0 2 0": {0, 0, 0, 0}}, found: []remoting.Stored{plain(1, 0), plain(2, 1)}, fault: true},
		{name: "another position", sent: map[string]rocketPromise{"plain 0 2 0": {0, 1, 9, 0}}, found: []remoting.Stored{plain(1, 0), plain(2, 1)}, fault: true},
		{name: "another queue", sent: map[string]rocketPromise{"plain 0 1 0": {1, -1, 0, 0}}, found: []remoting.Stored{plain(1, 0)}, fault: true},
		{name: "too early", sent: map[string]rocketPromise{"plain 0 1 0": {0, 0, 0, 1001}}, found: []remoting.Stored{plain(1, 0)}, fault: true},
		{name: "out of order", found: []remoting.Stored{plain(2, 0), plain(1, 1)}, fault: true},
		{name: "twice", found: []remoting.Stored{plain(1, 0), plain(1, 1)}, fault: true},
		{name: "a skipped offset", found: []remoting.Stored{plain(1, 0), plain(2, 2)}, fault: true},
		{name: "a hole in a batch", found: []remoting.Stored{batch(0, 0), batch(2, 1)}, fault: true},
		{name: "a batch without its beginning", found: []remoting.Stored{batch(1, 0)}, fault: true},
		{name: "rolled back", found: []remoting.Stored{{Body: []byte("half 0 44 0")}}, fault: true},
		{name: "committed", found: []remoting.Stored{{Body: []byte("half 0 11 0")}}},
		{name: "twice around a kill", found: []remoting.Stored{level(0, 4000), level(1, 6000)}},
		{name: "twice long before a kill", found: []remoting.Stored{level(0, 3000), level(1, 6000)}, fault: true},
		{name: "twice before a kill", found: []remoting.Stored{level(0, 4000), level(1, 4500)}, fault: true},
		{name: "twice behind a kill", found: []remoting.Stored{level(0, 6000), level(1, 6100)}, fault: true},
	} {
		m := newRocketModel()
		m.kills = []rocketKill{{marked: 4000, died: 5000}}
		for body, promise := range c.sent {
			m.sent(body, time.Now(), promise)
		}
		for i := range c.found {
			m.judged(at, &c.found[i])
		}
		if len(m.faults) > 0 != c.fault || !c.fault && len(m.missing(false)) != c.lacks {
			t.Errorf("%s: faults %q, missing %q; want faults %v, missing %d", c.name, m.faults, m.missing(false), c.fault, c.lacks)
		}
	}
}
