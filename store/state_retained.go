package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice/gateway/message"
)

// retained is the index of retained messages: topic to the position of the record that holds the
// message. What the head is about to pass is carried: kept as a value, in the same slot. The index
// follows the log and is checkpointed now and then, see replay.
type retained struct {
	small *small
	slots
	root     retainedNode
	count    int
	carried  int64            // bytes of carried messages
	lowest   message.Position // no message that is not carried lies below it
	refused  uint64
	leftover map[uint32]bool // slots whose value was damaged: they may have a carried message
}

type retainedTopic struct {
	slotted
	retainedValue
	set     *retained
	content []byte // of the carried message, until it is written
	stale   bool   // the database has a carried message that is not this one's
}

type retainedValue struct {
	topic   string
	at      message.Position
	expires int64 // the log clock; 0: never
	carried uint64
}

// maxRetainedTopic bounds the topic of a retained message: it is in one small value.
const maxRetainedTopic = 3500

func newRetained(m *small) retained {
	return retained{small: m, slots: slots{kind: smallRetained, most: maxRetained}, leftover: make(map[uint32]bool)}
}

// Retained finds the retained message of a topic.
func (s *Store) Retained(topic string) (record message.Record, known bool, err error) {
	r := &s.small.retained
	s.small.mu.Lock()
	t := r.root.find(topic)
	at, ok := r.visibleLocked(t)
	s.small.mu.Unlock()
	if !ok {
		return record, false, nil
	}
	return s.retainedRecord(t, at)
}

// EachRetained visits the retained messages whose topics match a filter, in the order of the log. They
// are read one block at a time; an error of visit ends it.
func (s *Store) EachRetained(filter string, visit func(*message.Record) error) error {
	type place struct {
		topic *retainedTopic
		at    message.Position
	}
	var list []place
	r := &s.small.retained
	s.small.mu.Lock()
	r.root.each(filter, func(t *retainedTopic) {
		if at, ok := r.visibleLocked(t); ok {
			list = append(list, place{t, at})
		}
	})
	s.small.mu.Unlock()
	slices.SortFunc(list, func(a, b place) int { return cmp.Compare(a.at, b.at) })
	for _, p := range list {
		record, known, err := s.retainedRecord(p.topic, p.at)
		if err == nil && known {
			err = visit(&record)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *retained) visibleLocked(t *retainedTopic) (at message.Position, ok bool) {
	if t == nil || t.expires != 0 && t.expires <= r.small.store.clock() {
		return 0, false
	}
	return t.at, true
}

// retainedRecord reads a retained message. It may be replaced, carried or trimmed meanwhile.
func (s *Store) retainedRecord(t *retainedTopic, at message.Position) (record message.Record, known bool, err error) {
	if !s.use.TryRLock() {
		return record, false, message.ErrClosed
	}
	defer s.use.RUnlock()
	if s.gone {
		return record, false, message.ErrClosed
	}
	for range 3 {
		s.small.mu.Lock()
		if t.gone {
			s.small.mu.Unlock()
			return record, false, nil
		}
		carried, content, slot := t.carried > 0, t.content, t.slot
		at = t.at
		s.small.mu.Unlock()
		switch {
		case content != nil:
		case carried:
			content, err = s.latest(carriedKey(slot))
			if err != nil && !errors.Is(err, errAbsent) && !errors.Is(err, errBlock) {
				return record, false, fmt.Errorf("read the retained message of %q: %w", t.topic, err)
			}
			if err != nil {
				continue
			}
		default:
			var found []message.Record
			if found, err = s.Read(nil, at, 1); err != nil {
				return record, false, err
			}
			if len(found) == 1 && found[0].Position == at {
				return found[0], true, nil
			}
			continue // it was trimmed, so it is carried by now; or damaged
		}
		var records []message.Record
		if records, err = decodeCarried(content, t.topic, at); err == nil {
			return records[0], true, nil
		}
	}
	s.loseRetained(t, at, err)
	return record, false, nil
}

// loseRetained takes a retained message out of the index that can be read nowhere.
func (s *Store) loseRetained(t *retainedTopic, at message.Position, cause error) {
	s.small.mu.Lock()
	lost := !t.gone && t.at == at && s.small.final == nil
	if lost {
		s.small.retained.forgetLocked(t)
		s.small.soilLocked(&t.tracked)
	}
	s.small.mu.Unlock()
	if lost {
		s.damage.note(fmt.Errorf("%w: the retained message %d of %q: %v", errValue, at, t.topic, cmp.Or(cause, errAbsent)))
	}
}

func decodeCarried(content []byte, topic string, at message.Position) ([]message.Record, error) {
	records, err := decodeBlock(content)
	if err == nil && (len(records) != 1 || records[0].Position != at || records[0].Topic != topic) {
		err = fmt.Errorf("%w: it is not the retained message %d of %q", errBlock, at, topic)
	}
	return records, err
}

// noteLocked takes a retained message that is durable now; an empty one takes the topic's away.
func (r *retained) noteLocked(n *note, at message.Position, clock int64) (changed *tracked) {
	t := r.root.find(n.topic)
	switch {
	case t != nil && t.at >= at:
		return nil
	case t == nil && n.empty:
		return nil
	case n.empty:
		r.forgetLocked(t)
		return &t.tracked
	case t == nil:
		size := len(n.topic) + 24
		slot, err := uint32(0), error(nil)
		if len(n.topic) > maxRetainedTopic {
			err = ErrTooMany
		} else if err = r.small.roomLocked(size); err == nil {
			slot, err = r.takeLocked()
		}
		if err != nil {
			r.refused++
			return nil
		}
		t = r.addLocked(slot, strings.Clone(n.topic))
		t.stale = r.leftover[slot]
		delete(r.leftover, slot)
		r.small.sizeLocked(&t.slotted, size)
	}
	r.uncarryLocked(t)
	t.at, t.expires = at, 0
	r.lowest = min(r.lowest, at)
	if n.keep > 0 {
		t.expires = clock + n.keep.Milliseconds()
	}
	return &t.tracked
}

func (r *retained) addLocked(slot uint32, topic string) *retainedTopic {
	t := &retainedTopic{slotted: slotted{slot: slot}, set: r, retainedValue: retainedValue{topic: topic}}
	t.item = t
	r.root.put(topic, t)
	r.count++
	return t
}

// forgetLocked takes a topic out of the index. The caller has it written.
func (r *retained) forgetLocked(t *retainedTopic) {
	r.uncarryLocked(t)
	r.root.remove(t.topic)
	r.count--
	t.gone = true
	r.small.sizeLocked(&t.slotted, 0)
}

func (r *retained) uncarryLocked(t *retainedTopic) {
	if t.carried > 0 {
		r.carried -= int64(t.carried)
		t.carried, t.content, t.stale = 0, nil, true
	}
}

// expireLocked forgets what is too old: nobody sees it any more.
func (r *retained) expireLocked(now int64) {
	if r.small.final != nil {
		return
	}
	var old []*retainedTopic
	r.root.all(func(t *retainedTopic) {
		if t.expires != 0 && t.expires <= now {
			old = append(old, t)
		}
	})
	for _, t := range old {
		r.forgetLocked(t)
		r.small.soilLocked(&t.tracked)
	}
}

func (t *retainedTopic) entriesLocked() (list []entry, saved func()) {
	key := carriedKey(t.slot)
	if t.gone {
		list, saved = t.set.goneLocked(&t.slotted)
		if t.stale && len(list) > 0 {
			list = append(list, entry{key, sealSmall(key, absent, nil)})
		}
		return list, saved
	}
	content, stale := t.content, t.stale
	switch {
	case content != nil:
		list = append(list, entry{key, content})
	case stale:
		list = append(list, entry{key, sealSmall(key, absent, nil)})
	}
	return append(list, t.set.entry(t.slot, t.append(nil))), func() {
		if content == nil && stale {
			t.stale = false
		}
		if content != nil && len(t.content) == len(content) && &t.content[0] == &content[0] {
			t.content, t.stale = nil, false // from now on it is read from the database
		}
	}
}

func (v retainedValue) append(b []byte) []byte {
	b = appendText(b, v.topic)
	b = appendTime(appendPosition(b, v.at), v.expires)
	return binary.AppendUvarint(b, v.carried)
}

func decodeRetained(body []byte) (v retainedValue, err error) {
	in := input{rest: body}
	v.topic, v.at, v.expires, v.carried = string(in.bytes()), position(&in), in.time(), in.uvarint()
	if v.topic == "" || len(v.topic) > maxRetainedTopic || v.at == 0 || v.carried > maxFrame {
		in.short = true
	}
	return v, in.end("a retained message")
}

func (r *retained) recoverLocked(values []smallValue) {
	for _, v := range values {
		if v.kind != smallRetained {
			continue
		}
		r.slots.recoverLocked(v.slot)
		body, err := decodeRetained(v.body)
		if v.mark == absent || err != nil {
			r.giveLocked(v.slot)
			if v.broken {
				r.leftover[v.slot] = true
			}
			continue
		}
		// A kill may leave the value of a topic that was emptied beside that of the same topic, new.
		if other := r.root.find(body.topic); other != nil {
			older := &retainedTopic{slotted: slotted{slot: v.slot, gone: true}, set: r, stale: body.carried > 0}
			if other.at < body.at {
				older.slot, older.stale = other.slot, other.carried > 0
				r.carried += int64(body.carried) - int64(other.carried)
				other.slot, other.retainedValue = v.slot, body
			}
			older.item = older
			r.small.soilLocked(&older.tracked)
			continue
		}
		t := r.addLocked(v.slot, body.topic)
		t.retainedValue = body
		r.carried += int64(body.carried)
		r.small.sizeLocked(&t.slotted, len(v.body))
	}
}
