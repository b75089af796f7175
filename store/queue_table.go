package store

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"sluice/gateway/message"
)

// queueTable knows every queue that ever was: the offset that its next message gets, and where its
// last one is. Offsets are given out in the order of the log, without gaps and never twice, so the
// table outlives the messages: it is saved now and then (queue_save.go), and always before a block
// leaves the log that was not there at the last saving. What was appended since is read at open.
type queueTable struct {
	bound int // bytes of memory; topics beyond it have no queues

	// The map, the slices and the names are written under the mutex of the queue of groups and mu
	// together, and read under either.
	topics map[string]*queueTopic
	byID   []*queueTopic
	memory int
	last   *queueTopic // of the message before, under the mutex of the queue of groups

	mu        sync.RWMutex // guards what follows
	published message.Position
	start     uint64 // the first offset of a queue that nobody knows

	hints  queueHints
	firsts queueFirsts

	saving sync.Mutex // guards what follows
	saved  message.Position
	older  message.Position // what was saved before that
	slot   byte             // that saved is in
	size   int64            // bytes of it
}

// queueTopic is a RocketMQ topic with its queues, as far as they were used.
type queueTopic struct {
	name   string
	id     uint32
	queues []queueCounter
}

// queueCounter is one queue. What is durable is what others may be told.
type queueCounter struct {
	next uint64           // guarded by the mutex of the queue of groups
	last message.Position // likewise; 0: it never had a message
	slot int32            // likewise; in touched of the group that last is in

	durable uint64 // next and last as of queueTable.published; guarded by queueTable.mu
	at      message.Position
}

// touched is a queue that has messages in a group, and what it will be when that is durable.
type touched struct {
	topic *queueTopic
	next  uint64
	last  message.Position
	queue byte
}

// queueID names a queue in memory: the number of its topic and its own.
type queueID uint32

func (t *queueTopic) queue(n byte) queueID { return queueID(t.id<<queueBits | uint32(n)) }

const (
	queueMemory    = 8 << 20 // about 50,000 topics of 4 queues
	queueTopicCost = 144     // of a topic in memory, beside its name and queues
	queueCost      = int(unsafe.Sizeof(queueCounter{}))
)

func newQueueTable(bound int) *queueTable {
	return &queueTable{bound: bound, topics: make(map[string]*queueTopic)}
}

// checkQueue refuses what cannot be the number of a queue.
func checkQueue(m *message.Message) error {
	if m.Queue >= message.MaxQueues && m.Queue != message.NoQueue {
		return fmt.Errorf("%w: queue %d of %q, there are at most %d", message.ErrTopic, m.Queue, m.Topic, message.MaxQueues)
	}
	return nil
}

// assign gives the message that joins g at a position its place. The caller holds the mutex of the
// queue of groups.
func (q *queueTable) assign(m *message.Message, g *group, at message.Position) queuePlace {
	if m.Queue == message.NoQueue {
		return nowhere
	}
	topic := q.topic(message.QueueTopic(m.Topic))
	if topic == nil {
		return nowhere
	}
	if int(m.Queue) >= len(topic.queues) {
		q.mu.Lock()
		q.growLocked(topic, m.Queue)
		q.mu.Unlock()
	}
	c := &topic.queues[m.Queue]
	place := queuePlace{m.Queue, c.next}
	c.next++
	if c.last >= g.first {
		t := &g.touched[c.slot]
		t.next, t.last = c.next, at
	} else {
		c.slot = int32(len(g.touched))
		g.touched = append(g.touched, touched{topic, c.next, at, m.Queue})
	}
	c.last = at
	return place
}

// topic finds a topic or makes it; nil when it can have no queues. The caller holds the mutex of the
// queue of groups.
func (q *queueTable) topic(name string) *queueTopic {
	if q.last != nil && q.last.name == name {
		return q.last
	}
	found := q.topics[name]
	if found == nil {
		if name == "" || q.memory+queueTopicCost+len(name) > q.bound {
			return nil
		}
		q.mu.Lock()
		found = q.makeLocked(name)
		q.mu.Unlock()
	}
	q.last = found
	return found
}

func (q *queueTable) makeLocked(name string) *queueTopic {
	// The name is a part of a message's topic, which must not stay in memory for it.
	made := &queueTopic{name: string([]byte(name)), id: uint32(len(q.byID))}
	q.topics[made.name] = made
	q.byID = append(q.byID, made)
	q.memory += queueTopicCost + len(name)
	return made
}

// growLocked makes a topic's queues up to number n.
func (q *queueTable) growLocked(t *queueTopic, n byte) {
	room := max(int(n)+1, message.DefaultQueues)
	if n >= message.DefaultQueues {
		room = message.MaxQueues
	}
	queues := make([]queueCounter, room)
	for i := copy(queues, t.queues); i < room; i++ {
		queues[i] = queueCounter{next: q.start, durable: q.start}
	}
	q.memory += (room - len(t.queues)) * queueCost
	t.queues = queues
}

// publish tells everybody what a group that is durable now has changed. Groups come in their order. grow lets
// the index have it: until then nobody hears of offsets that cannot be read yet.
func (q *queueTable) publish(g *group, grow func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	grow()
	for i := range g.touched {
		t := &g.touched[i]
		c := &t.topic.queues[t.queue]
		c.durable, c.at = t.next, t.last
	}
	q.published = g.last()
	g.touched = nil
}

// place sets what is known of a queue: while the log is opened or restored, when nothing is appended.
func (q *queueTable) place(topic string, n byte, next uint64, at message.Position) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.topics[topic]
	if t == nil {
		t = q.makeLocked(topic) // whatever the bound: its offsets were given out
	}
	if int(n) >= len(t.queues) {
		q.growLocked(t, n)
	}
	c := &t.queues[n]
	c.next, c.durable = next, next
	c.last, c.at = at, at
}

// resume lets the next message of a queue have this offset: the log that is restored had it there. It
// refuses to go back. The caller holds the mutex of the queue of groups.
func (q *queueTable) resume(topic string, n byte, next uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.topics[topic]
	if t == nil {
		t = q.makeLocked(topic)
	}
	if int(n) >= len(t.queues) {
		q.growLocked(t, n)
	}
	c := &t.queues[n]
	if next < c.next || next == math.MaxUint64 {
		return false
	}
	c.next = next
	return true
}

// jump lets every queue leave out so many offsets: messages that cannot be read may have had them.
func (q *queueTable) jump(n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.start = add(q.start, n)
	for _, t := range q.byID {
		for i := range t.queues {
			c := &t.queues[i]
			c.next = add(c.next, n)
			c.durable = c.next
		}
	}
}

func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// known gives what is durable of a queue: the offset of its next message and the position of its
// last. ok is false when it never had one.
func (q *queueTable) known(topic string, n byte) (id queueID, c queueCounter, ok bool) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	t := q.topics[topic]
	if t == nil || int(n) >= len(t.queues) {
		return 0, queueCounter{durable: q.start}, false
	}
	// Of the counter only what mu guards is read.
	return t.queue(n), queueCounter{durable: t.queues[n].durable, at: t.queues[n].at}, true
}

// id names the queue of a record; ok is false when it belongs to none.
func (q *queueTable) id(r *message.Record) (queueID, bool) {
	if r.Queue == message.NoQueue {
		return 0, false
	}
	name := message.QueueTopic(r.Topic)
	q.mu.RLock()
	t := q.topics[name]
	q.mu.RUnlock()
	if t == nil {
		return 0, false
	}
	return t.queue(r.Queue), true
}

// key gives a queue's key in the index: its topic, a zero byte, which no topic has, and its number.
func (q *queueTable) key(id queueID) string {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return queueKey(q.byID[id>>queueBits].name, byte(id&queueMask))
}

// keyed is a queue with its key.
type keyed struct {
	key   string
	queue queueID
}

// inOrder gives queues with their keys, in the order of these.
func (q *queueTable) inOrder(queues []queueID) []keyed {
	list := make([]keyed, len(queues))
	q.mu.RLock()
	for i, queue := range queues {
		list[i] = keyed{queueKey(q.byID[queue>>queueBits].name, byte(queue&queueMask)), queue}
	}
	q.mu.RUnlock()
	slices.SortFunc(list, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	return list
}

func queueKey(topic string, queue byte) string { return topic + "\x00" + string(rune(queue)) }

// QueueStat is one queue of a topic.
type QueueStat struct {
	Queue int
	Next  uint64 // the offset of its next message: so many it has had
}

// QueueTopicStat is a RocketMQ topic and its queues, as far as they were ever used.
type QueueTopicStat struct {
	Topic  string
	Queues []QueueStat
}

// QueueTopics gives the RocketMQ topics that ever had a message, in the order of their first, with what is
// durable of their queues.
func (s *Store) QueueTopics() []QueueTopicStat {
	q := s.queues
	q.mu.RLock()
	defer q.mu.RUnlock()
	list := make([]QueueTopicStat, 0, len(q.byID))
	for _, t := range q.byID {
		if stat := t.stat(); len(stat.Queues) > 0 {
			list = append(list, stat)
		}
	}
	return list
}

// Queues gives one more than the largest number of a RocketMQ topic's queues that ever had a message, 0 for a
// topic that had none. It costs nothing to ask with every message.
func (s *Store) Queues(topic string) int {
	q := s.queues
	q.mu.RLock()
	defer q.mu.RUnlock()
	t := q.topics[topic]
	if t == nil {
		return 0
	}
	for i := len(t.queues) - 1; i >= 0; i-- {
		if t.queues[i].at != 0 {
			return i + 1
		}
	}
	return 0
}

func (t *queueTopic) stat() QueueTopicStat {
	stat := QueueTopicStat{Topic: t.name}
	for i := range t.queues {
		if c := &t.queues[i]; c.at != 0 {
			stat.Queues = append(stat.Queues, QueueStat{i, c.durable})
		}
	}
	return stat
}
