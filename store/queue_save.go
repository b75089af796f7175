package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"sluice/gateway/message"
)

// The table of queues as of one position is saved in pages, which a mark lists. The last two savings
// are kept, in two slots, so that one damaged value costs no offsets.

// queueMark lists the pages of one saving.
type queueMark struct {
	slot   byte
	at     message.Position // what was durable up to here is in it
	pages  uint32
	topics uint64
	start  uint64
	size   int64
}

const (
	queueSlots     = 2
	queuePagePlain = 256 << 10

	// What was appended since the last saving is read at open, so it is bounded.
	queueReplayBytes  = 8 << 20
	queueReplayBlocks = 1024
)

func queueMarkKey(slot byte) []byte { return []byte{prefixQueue, slot} }

func queuePageKey(at message.Position, page uint32) []byte {
	return binary.BigEndian.AppendUint32(positionKey(prefixOffset, at), page)
}

func (m queueMark) value() []byte {
	return sealWords(queueMarkKey(m.slot), present, uint64(m.at), uint64(m.pages), m.topics, m.start, uint64(m.size))
}

func decodeQueueMark(key, value []byte) (queueMark, error) {
	_, f, err := unseal(key, value, 5)
	if err != nil {
		return queueMark{}, err
	}
	m := queueMark{at: message.Position(f[0]), pages: uint32(f[1]), topics: f[2], start: f[3], size: int64(f[4])}
	if len(key) != 2 || key[1] >= queueSlots || f[1] > 1<<16 || m.size < 0 {
		return queueMark{}, fmt.Errorf("%w under key %q: a table of queues in %d pages", errValue, key, f[1])
	}
	m.slot = key[1]
	return m, nil
}

func (f *found) queue(key, value []byte) error {
	m, err := decodeQueueMark(key, value)
	if err != nil {
		return err
	}
	f.claim(m.at)
	f.queues = append(f.queues, m)
	slices.SortFunc(f.queues, func(a, b queueMark) int { return cmp.Compare(b.at, a.at) })
	return nil
}

// savedQueue is one queue in a page, or in an export.
type savedQueue struct {
	queue byte
	next  uint64
	last  message.Position // 0: it never had a message
}

func appendQueueTopic(b []byte, name string, queues []savedQueue, at message.Position) []byte {
	b = appendText(b, name)
	b = binary.AppendUvarint(b, uint64(len(queues)))
	for _, q := range queues {
		b = append(b, q.queue)
		b = binary.AppendUvarint(b, q.next)
		b = binary.AppendUvarint(b, uint64(at-q.last))
	}
	return b
}

// decodeQueueTopics visits the topics in a page.
func decodeQueueTopics(plain []byte, at message.Position, visit func(name string, queues []savedQueue)) error {
	in := input{rest: plain}
	for len(in.rest) > 0 {
		name := string(in.bytes())
		n := in.uvarint()
		if in.short || name == "" || len(name) > message.MaxQueueTopicBytes || n == 0 || n > message.MaxQueues {
			return fmt.Errorf("%w: a topic %.40q in the table of queues", errValue, name)
		}
		queues := make([]savedQueue, n)
		for i := range queues {
			q := &queues[i]
			q.queue, q.next = in.byte(), in.uvarint()
			before := in.uvarint()
			if in.short || before >= uint64(at) || q.queue >= message.MaxQueues || i > 0 && q.queue <= queues[i-1].queue {
				return fmt.Errorf("%w: the queues of %.40q in the table of queues", errValue, name)
			}
			q.last = at - message.Position(before)
		}
		visit(name, queues)
	}
	return nil
}

// snapshot gives the pages of what is durable now, and what they are about.
func (q *queueTable) snapshot() (pages [][]byte, m queueMark) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	m = queueMark{at: q.published, start: q.start}
	page := []byte(nil)
	queues := make([]savedQueue, 0, message.MaxQueues)
	for _, t := range q.byID {
		if queues = t.saved(queues[:0]); len(queues) == 0 {
			continue
		}
		m.topics++
		page = appendQueueTopic(page, t.name, queues, m.at)
		if len(page) >= queuePagePlain {
			pages, page = append(pages, page), nil
		}
	}
	if len(page) > 0 {
		pages = append(pages, page)
	}
	m.pages = uint32(len(pages))
	return pages, m
}

func (t *queueTopic) saved(list []savedQueue) []savedQueue {
	for i := range t.queues {
		if c := &t.queues[i]; c.at != 0 {
			list = append(list, savedQueue{byte(i), c.durable, c.at})
		}
	}
	return list
}

// saveQueues makes the table durable as it is after the last durable message.
func (s *Store) saveQueues() error {
	q := s.queues
	q.saving.Lock()
	defer q.saving.Unlock()
	pages, m := q.snapshot()
	if m.at == q.saved {
		return nil
	}
	m.slot = (q.slot + 1) % queueSlots
	b := newBatch(s.db)
	set := func(key, value []byte) error {
		if b.set(key, value) {
			return nil
		}
		if err := s.write(b); err != nil {
			return err
		}
		b = newBatch(s.db)
		b.set(key, value)
		return nil
	}
	var err error
	for i, page := range pages {
		key := queuePageKey(m.at, uint32(i))
		value := sealPage(key, page)
		m.size += int64(len(value))
		if err = set(key, value); err != nil {
			break
		}
	}
	if err == nil {
		err = set(queueMarkKey(m.slot), m.value()) // with the last page or behind it
	}
	if err == nil {
		err = s.write(b)
	}
	if err != nil {
		return fmt.Errorf("save the offsets of the queues: %w", err)
	}
	if failure := s.queue.failed(); failure != nil {
		return failure
	}
	q.older, q.saved, q.slot, q.size = q.saved, m.at, m.slot, m.size
	s.space.wrote(m.size)
	return s.sweepQueues()
}

// sweepQueues deletes the pages of all savings but the last two. The caller holds saving.
func (s *Store) sweepQueues() error {
	q := s.queues
	var stray [][]byte
	err := s.each(prefixOffset, false, func(key, _ []byte) {
		if len(key) == 13 {
			if at := message.Position(binary.BigEndian.Uint64(key[1:])); at == q.saved || at == q.older {
				return
			}
		}
		stray = append(stray, key)
	})
	if err != nil {
		return err
	}
	return s.removeKeys(stray)
}

// saveQueuesBefore makes sure that the offsets of what is trimmed below head are not forgotten.
func (s *Store) saveQueuesBefore(head message.Position) error {
	s.queues.saving.Lock()
	saved := s.queues.saved
	s.queues.saving.Unlock()
	if saved+1 >= head {
		return nil
	}
	return s.saveQueues()
}

// saveQueuesAtEnd lets the next open read no blocks.
func (s *Store) saveQueuesAtEnd() {
	if s.queue.failed() == nil && s.space.admits(0) {
		s.must(s.saveQueues())
	}
}

// queuesDue says whether open would have to read too much.
func (s *Store) queuesDue() bool {
	q := s.queues
	q.saving.Lock()
	saved, size := q.saved, q.size
	q.saving.Unlock()
	bytes, blocks := s.index.since(saved + 1)
	return bytes >= queueReplayBytes || blocks >= queueReplayBlocks && bytes >= 2*size
}

// since counts the blocks that hold something at or behind from.
func (ix *index) since(from message.Position) (bytes int64, blocks int) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	list := ix.blocks[ix.searchLocked(from):]
	for i := range list {
		bytes += int64(list[i].bytes)
	}
	return bytes, len(list)
}

// recoverQueues makes the table as it was after the last durable message.
func (s *Store) recoverQueues(f *found) error {
	jumped := s.loadQueues(f)
	if jumped == 0 {
		return nil
	}
	s.log.Warn("queues go on at later offsets, since messages cannot be read that may have had those between", "skipped", jumped)
	return s.saveQueues() // so that they do not jump again
}

// loadQueues takes the last saving and what was appended since. What of that cannot be read may have
// been in any queue: all of them leave out so many offsets as there are such messages, for an offset
// that was given out must not mean another message.
func (s *Store) loadQueues(f *found) (jumped uint64) {
	q := s.queues
	for _, m := range f.queues {
		if err := s.loadSaved(m); err != nil {
			s.log.Warn("the saved offsets of the queues are damaged, older ones are used", "err", err)
			continue
		}
		q.saved, q.slot, q.size = m.at, m.slot, m.size
		break
	}
	for _, m := range f.queues {
		if m.at < q.saved {
			q.older = max(q.older, m.at)
		}
	}
	next := q.saved + 1
	skip := func(to message.Position) {
		if to > next {
			jumped += uint64(to - next)
			q.jump(uint64(to - next))
			next = to
		}
	}
	for _, h := range s.index.blocks[s.index.searchLocked(next):] {
		skip(h.first)
		records, _, err := s.load(h)
		if err != nil {
			skip(h.last() + 1) // whoever reads it will report it
			continue
		}
		q.replay(records, next)
		next = h.last() + 1
	}
	skip(s.index.tail + 1)
	q.published = s.index.tail
	return jumped
}

func (q *queueTable) replay(records []message.Record, from message.Position) {
	for i := range records {
		r := &records[i]
		if topic := message.QueueTopic(r.Topic); r.Position >= from && r.Queue != message.NoQueue && topic != "" {
			q.place(topic, r.Queue, add(r.QueueOffset, 1), r.Position)
		}
	}
}

func (s *Store) loadSaved(m queueMark) error {
	loaded := newQueueTable(s.queues.bound)
	loaded.start = m.start // of the numbers that were not used
	for n := range m.pages {
		key := queuePageKey(m.at, n)
		value, err := s.value(key)
		if err != nil {
			return err
		}
		plain, err := openPage(key, value)
		if err != nil {
			return err
		}
		err = decodeQueueTopics(plain, m.at, func(name string, queues []savedQueue) {
			for _, saved := range queues {
				loaded.place(name, saved.queue, saved.next, saved.last)
			}
		})
		if err != nil {
			return err
		}
	}
	if uint64(len(loaded.byID)) != m.topics {
		return fmt.Errorf("%w: %d topics in the table of queues, %d were saved", errValue, len(loaded.byID), m.topics)
	}
	s.queues.topics, s.queues.byID, s.queues.memory, s.queues.start = loaded.topics, loaded.byID, loaded.memory, m.start
	return nil
}
