package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// queueModel is what a child would write: where each message of each queue is.
type queueModel struct {
	tail   message.Position
	times  []int64 // by position less one
	queues map[string][]message.Position
}

func newQueueModel() *queueModel { return &queueModel{queues: make(map[string][]message.Position)} }

func (m *queueModel) take(list []message.Message) {
	for i := range list {
		m.tail++
		m.times = append(m.times, list[i].Time)
		if topic := message.QueueTopic(list[i].Topic); topic != "" && list[i].Queue != message.NoQueue {
			key := queueKey(topic, list[i].Queue)
			m.queues[key] = append(m.queues[key], m.tail)
		}
	}
}

// queued makes messages over many topics and queues, some of which are rare.
func queued(r *rand.Rand, tail message.Position, n int) []message.Message {
	list := make([]message.Message, n)
	for i := range list {
		topic := fmt.Sprintf("topic-%d/%d", r.IntN(8), r.IntN(5))
		switch r.IntN(200) {
		case 0:
			topic = fmt.Sprintf("rare-%d", r.IntN(40))
		case 1:
			topic = "/none"
		case 2:
			topic = strings.Repeat("x", 256) + "/none"
		}
		list[i] = message.Message{
			Topic: topic, Time: 1000 + 10*(int64(tail)+int64(i)), Payload: noise(i, 20+r.IntN(80)),
			Queue: byte(r.IntN(3) * r.IntN(3) * r.IntN(4)), // 0 to 12
		}
		if r.IntN(50) == 0 {
			list[i].Queue = message.NoQueue
		}
	}
	return list
}

// agree compares what the log says of one queue.
func (m *queueModel) agree(t *testing.T, s *Store, r *rand.Rand, key string) {
	t.Helper()
	topic, number := key[:len(key)-2], int(key[len(key)-1])
	all := m.queues[key]
	head := s.Head()
	first, _ := slices.BinarySearch(all, head)
	low, next, err := s.QueueRange(topic, number)
	if err != nil || int(low) != first || int(next) != len(all) {
		t.Fatalf("%q has offsets %d to %d, %v, want %d to %d (head %d)", key, low, next, err, first, len(all), head)
	}
	offset := uint64(r.IntN(len(all) + 2))
	for range 1 + r.IntN(4) {
		most := 1 + r.IntN(300)
		records, after, err := s.ReadQueue(nil, topic, number, offset, most)
		if err != nil {
			t.Fatal(err)
		}
		want := max(int(offset), first)
		for i := range records {
			got := &records[i]
			if int(got.QueueOffset) != want+i || got.Position != all[want+i] || got.Queue != byte(number) || message.QueueTopic(got.Topic) != topic {
				t.Fatalf("%q from %d: record %d has offset %d at %d, want %d at %d", key, offset, i, got.QueueOffset, got.Position, want+i, all[want+i])
			}
		}
		switch n := len(records); {
		case n == 0 && (want < len(all) || after != offset && int(after) != len(all)), n > most, n > 0 && int(after) != want+n:
			t.Fatalf("%q from %d of %d: %d records, then %d", key, offset, len(all), n, after)
		}
		offset = after
	}
	if len(m.times) == 0 {
		return
	}
	at := m.times[r.IntN(len(m.times))] - int64(r.IntN(9))
	from, _ := slices.BinarySearch(m.times, at)
	want, _ := slices.BinarySearch(all, max(message.Position(from+1), head))
	if got, err := s.QueueOffsetAt(topic, number, at); err != nil || int(got) != want {
		t.Fatalf("%q since %d begins at %d, %v, want %d", key, at, got, err, want)
	}
}

func (m *queueModel) agreeAll(t *testing.T, s *Store, r *rand.Rand) {
	t.Helper()
	found := 0
	for _, topic := range s.QueueTopics() {
		found += len(topic.Queues)
	}
	if found != len(m.queues) {
		t.Fatalf("%d queues are known, want %d", found, len(m.queues))
	}
	for key := range m.queues {
		m.agree(t, s, r, key)
	}
}

// killed gives what a kill would leave of an open log.
func killed(t *testing.T, s *Store) *Store {
	t.Helper()
	dir := copyStill(t, s.opts.Dir)
	if err := s.db.Close(); err != nil { // it is done with; what it would save is not in the copy
		t.Fatal(err)
	}
	s.lock.Close()
	return openIndexed(t, dir)
}

// TestQueuesAgainstModel does random things to a log and compares its queues with a plain model.
// SLUICE_SEED repeats a run.
func TestQueuesAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("SLUICE_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("SLUICE_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	steps := 100
	if testing.Short() {
		steps = 40
	}
	s, m := openIndexed(t, t.TempDir()), newQueueModel()
	trims, kills, reopened := 0, 0, 0
	for step := range steps {
		switch n := r.IntN(100); {
		case n < 45:
			list := queued(r, m.tail, 1+r.IntN(3000))
			put(t, s, 1+r.IntN(900), list...)
			m.take(list)
		case n < 55:
			list := queued(r, m.tail, 1+r.IntN(30))
			put(t, s, 1, list...)
			m.take(list)
		case n < 75:
			for range r.IntN(60) {
				if more, err := s.tend(); err != nil {
					t.Fatal(err)
				} else if !more {
					break
				}
			}
			if p := s.postings.pending; p != nil && len(p.lasts) > 0 && r.IntN(2) == 0 {
				if err := s.flushPending(p); err != nil {
					t.Fatal(err)
				}
			}
		case n < 80:
			if err := s.saveQueues(); err != nil {
				t.Fatal(err)
			}
		case n < 88:
			if gone := s.index.oldest(1 + r.IntN(30)); len(gone) > 0 && len(gone) <= trimBlocks {
				trims++
				if err := s.remove(gone, m.tail); err != nil {
					t.Fatal(err)
				}
			}
		case n < 94:
			for _, lost := range queued(r, m.tail, r.IntN(200)) { // nobody commits them
				if err := s.Append(t.Context(), &lost, nil, 0); err != nil {
					t.Fatal(err)
				}
			}
			kills++
			s = killed(t, s)
		default:
			reopened++
			closed(t, s)
			if r.IntN(3) == 0 {
				sound(t, s.opts.Dir)
			}
			s = openIndexed(t, s.opts.Dir)
		}
		for key := range m.queues {
			m.agree(t, s, r, key)
			if r.IntN(12) == 0 {
				break
			}
		}
		if t.Failed() {
			t.Fatalf("in step %d", step)
		}
	}
	m.agreeAll(t, s, r)
	closed(t, s)
	sound(t, s.opts.Dir)
	t.Logf("%d messages in %d queues, %d trims, %d kills, reopened %d times, %d runs", m.tail, len(m.queues), trims, kills, reopened, len(s.postings.runs))
}

func inQueue(topic string, queue byte, n int) []message.Message {
	list := make([]message.Message, n)
	for i := range list {
		list[i] = message.Message{Topic: topic, Queue: queue, Time: int64(i), Payload: []byte("x")}
	}
	return list
}

func wantRange(t *testing.T, s *Store, topic string, queue int, low, next uint64) {
	t.Helper()
	if gotLow, gotNext, err := s.QueueRange(topic, queue); err != nil || gotLow != low || gotNext != next {
		t.Errorf("queue %d of %s has offsets %d to %d, %v, want %d to %d", queue, topic, gotLow, gotNext, err, low, next)
	}
}

// TestQueueThatWasTrimmedGoesOn trims everything that a queue had, in several ways of ending.
func TestQueueThatWasTrimmedGoesOn(t *testing.T) {
	s := openIndexed(t, t.TempDir())
	put(t, s, 10, inQueue("gone/a", 2, 35)...)
	put(t, s, 10, inQueue("other", 0, 20)...)
	if err := s.remove(s.index.oldest(5), 55); err != nil {
		t.Fatal(err)
	}
	check := func(how string) {
		t.Helper()
		wantRange(t, s, "gone", 2, 35, 35)
		wantRange(t, s, "gone", 1, 0, 0)
		wantRange(t, s, "never", 0, 0, 0)
		if records, next, err := s.ReadQueue(nil, "gone", 2, 3, 10); err != nil || len(records) != 0 || next != 3 && next != 35 {
			t.Errorf("%s: reading it gives %d records, then %d, %v", how, len(records), next, err)
		}
	}
	check("trimmed")
	s = killed(t, s)
	check("killed")
	closed(t, s)
	s = openIndexed(t, s.opts.Dir)
	check("closed")
	put(t, s, 10, inQueue("gone/b", 2, 2)...)
	wantRange(t, s, "gone", 2, 35, 37)
	closed(t, s)
	sound(t, s.opts.Dir)
}

// TestOffsetsAreOnlyToldWhenTheyAreDurable: what a kill takes back nobody may have seen.
func TestOffsetsAreOnlyToldWhenTheyAreDurable(t *testing.T) {
	s := openIndexed(t, t.TempDir())
	put(t, s, 10, inQueue("t", 0, 10)...)
	for _, m := range inQueue("t", 0, 5) {
		if err := s.Append(t.Context(), &m, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	wantRange(t, s, "t", 0, 0, 10)
	s = killed(t, s)
	put(t, s, 10, inQueue("t", 0, 1)...)
	wantRange(t, s, "t", 0, 0, 11)
	closed(t, s)
	sound(t, s.opts.Dir)
}

// TestNoOffsetIsGivenOutTwiceAfterDamage damages blocks and what is saved about queues: offsets may
// be left out then, never repeated.
func TestNoOffsetIsGivenOutTwiceAfterDamage(t *testing.T) {
	for name, damage := range map[string]func(txn *badger.Txn, all map[string][]byte) error{
		"newest mark": func(txn *badger.Txn, _ map[string][]byte) error { return flip(txn, queueMarkKey(0)) },
		"older mark":  func(txn *badger.Txn, _ map[string][]byte) error { return flip(txn, queueMarkKey(1)) },
		"both marks": func(txn *badger.Txn, _ map[string][]byte) error {
			if err := flip(txn, queueMarkKey(0)); err != nil {
				return err
			}
			return txn.Delete(queueMarkKey(1))
		},
		"pages": func(txn *badger.Txn, all map[string][]byte) error {
			for key := range all {
				if key[0] == prefixOffset {
					if err := flip(txn, []byte(key)); err != nil {
						return err
					}
				}
			}
			return nil
		},
		"a block": func(txn *badger.Txn, _ map[string][]byte) error { return flip(txn, blockKey(90)) },
		"the end": func(txn *badger.Txn, _ map[string][]byte) error { return flip(txn, blockKey(100)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := openIndexed(t, t.TempDir())
			put(t, s, 10, inQueue("gone", 0, 30)...)
			put(t, s, 10, inQueue("t", 0, 40)...)
			if err := s.remove(s.index.oldest(3), 70); err != nil {
				t.Fatal(err)
			}
			put(t, s, 10, inQueue("u", 0, 10)...)
			if err := s.saveQueues(); err != nil {
				t.Fatal(err)
			}
			put(t, s, 10, inQueue("t", 0, 10)...)
			put(t, s, 10, inQueue("u", 0, 10)...)
			s = killed(t, s)
			if err := s.db.Close(); err != nil {
				t.Fatal(err)
			}
			s.lock.Close()
			dir := s.opts.Dir
			all := dump(t, dir)
			alter(t, dir, func(txn *badger.Txn) error { return damage(txn, all) })
			for range 2 { // once the damage is seen, once it is known
				s = openIndexed(t, dir)
				for topic, had := range map[string]uint64{"gone": 30, "t": 50, "u": 20} {
					before := s.queues.topics[topic]
					put(t, s, 1, message.Message{Topic: topic})
					records, err := s.Read(nil, s.index.tail, 1)
					if err != nil || len(records) != 1 || records[0].QueueOffset < had {
						t.Errorf("the next message of %s is %+v, %v, which had %d before (%v)", topic, records, err, had, before != nil)
					}
				}
				for _, name := range []string{"t", "u"} {
					low, next, err := s.QueueRange(name, 0)
					if err != nil || low > next {
						t.Errorf("%s has offsets %d to %d, %v", name, low, next, err)
					}
					for offset := low; offset < next; {
						records, after, err := s.ReadQueue(nil, name, 0, offset, 7)
						if err != nil || after <= offset {
							t.Fatalf("%s from %d to %d: %d records, then %d, %v", name, offset, next, len(records), after, err)
						}
						offset = after
					}
				}
				tended(t, s)
				if err := s.recordHoles(); err != nil {
					t.Fatal(err)
				}
				closed(t, s)
			}
			sound(t, dir)
		})
	}
}

// TestQueuesSurviveARestore exports a log of which some queues are trimmed, while it is open and when
// it is closed.
func TestQueuesSurviveARestore(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 0))
	s, m := openIndexed(t, t.TempDir()), newQueueModel()
	list := append(inQueue("gone", 7, 30), queued(r, 30, 2000)...)
	put(t, s, 30, list...)
	m.take(list)
	if err := s.remove(s.index.oldest(10), m.tail); err != nil {
		t.Fatal(err)
	}
	var online, offline bytes.Buffer
	if _, err := s.Backup(t.Context(), &online, nil); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	c, err := OpenClosed(s.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Export(t.Context(), &offline, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for name, stream := range map[string]*bytes.Buffer{"online": &online, "offline": &offline} {
		dir := filepath.Join(t.TempDir(), name)
		if _, err := Restore(t.Context(), dir, stream, nil); err != nil {
			t.Fatal(name, err)
		}
		s := openIndexed(t, dir)
		m.agreeAll(t, s, r)
		wantRange(t, s, "gone", 7, 30, 30)
		put(t, s, 1, inQueue("gone", 7, 1)...)
		wantRange(t, s, "gone", 7, 30, 31)
		closed(t, s)
		sound(t, dir)
	}
}

// TestTopicsBeyondTheBoundHaveNoQueue: a stranger who makes up topics costs no memory, and his
// messages are kept.
func TestTopicsBeyondTheBoundHaveNoQueue(t *testing.T) {
	s := openIndexed(t, t.TempDir())
	s.queues.bound = 10 * (queueTopicCost + 4*queueCost)
	for i := range 100 {
		put(t, s, 100, message.Message{Topic: fmt.Sprint("made-up-", i)})
	}
	list := s.QueueTopics()
	if len(list) == 0 || len(list) > 10 || s.queues.memory > s.queues.bound+4*queueCost {
		t.Errorf("%d topics have queues, in %d bytes of %d", len(list), s.queues.memory, s.queues.bound)
	}
	records, err := s.Read(nil, 1, 200)
	if err != nil || len(records) != 100 || records[99].Queue != message.NoQueue || records[0].Queue != 0 {
		t.Errorf("%d records, %v, the last in queue %d", len(records), err, records[len(records)-1].Queue)
	}
	refused := message.Message{Topic: "t", Queue: message.MaxQueues}
	if err := s.Append(t.Context(), &refused, nil, 0); err == nil {
		t.Errorf("a message for queue %d was taken", refused.Queue)
	}
	closed(t, s)
	sound(t, s.opts.Dir)
}

func FuzzSavedQueues(f *testing.F) {
	f.Add(appendQueueTopic(appendQueueTopic(nil, "a", []savedQueue{{0, 5, 9}, {15, 1 << 60, 10}}, 10), "b", []savedQueue{{3, 1, 1}}, 10))
	f.Fuzz(func(t *testing.T, in []byte) {
		var again []byte
		err := decodeQueueTopics(in, 10, func(name string, queues []savedQueue) { again = appendQueueTopic(again, name, queues, 10) })
		if err != nil {
			return
		}
		var once, twice []any
		collect := func(to *[]any) func(string, []savedQueue) {
			return func(name string, queues []savedQueue) { *to = append(*to, name, queues) }
		}
		decodeQueueTopics(in, 10, collect(&once))
		if err := decodeQueueTopics(again, 10, collect(&twice)); err != nil || !reflect.DeepEqual(once, twice) {
			t.Errorf("%x does not survive a round trip: %v", in, err)
		}
	})
}

func FuzzQueueMark(f *testing.F) {
	key := queueMarkKey(1)
	f.Add(queueMark{1, 70, 2, 9, 3, 4000}.value())
	f.Fuzz(func(t *testing.T, value []byte) {
		m, err := decodeQueueMark(key, appendKeySum(key, value))
		if err != nil {
			return
		}
		if again, err := decodeQueueMark(key, m.value()); err != nil || again != m {
			t.Errorf("%+v does not survive a round trip: %+v, %v", m, again, err)
		}
	})
}

func FuzzExportedQueues(f *testing.F) {
	f.Add(appendQueues(queueMark{at: 10, start: 3}, appendQueueTopic(nil, "a", []savedQueue{{0, 5, 9}}, 10)))
	f.Fuzz(func(t *testing.T, body []byte) {
		var e exportedQueues
		e.decode(body)
	})
}
