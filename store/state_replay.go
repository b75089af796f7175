package store

import (
	"encoding/binary"
	"time"

	"sluice/gateway/message"
)

// replay keeps what follows from the log, retained messages and received packet ids, in step with it.
// Both change in memory in the moment that their message is durable, and cost the message no write: a
// checkpoint writes now and then what has changed, and behind that up to where the log is in it. After
// a kill the log is read again from there.
type replay struct {
	tracked
	small   *small
	at      message.Position // the database knows what follows from the log up to here
	touched map[*tracked]struct{}
	began   time.Time // of the last checkpoint
	running bool
	read    uint64 // messages at open
}

const (
	replayEvery  = 10 * time.Second // between checkpoints when there is something to write
	replayBehind = 1 << 16          // positions, when there is nothing
)

// note is what a message in a group means for the small state.
type note struct {
	index   uint32 // of the message in its group
	retain  bool
	empty   bool // a retained message without payload takes the one before away
	topic   string
	keep    time.Duration // 0: for ever
	inbound bool
	session string
	id      uint16
}

// noteOf gives what m means for the small state; ok is false for nearly all messages.
func (o *Options) noteOf(m *message.Message) (n note, ok bool) {
	if !m.Retain && m.QoS != 2 {
		return n, false
	}
	if m.Retain {
		n.retain, n.topic, n.empty = true, m.Topic, len(m.Payload) == 0
		if o.RetainFor != nil && !n.empty {
			n.keep = max(0, o.RetainFor(m))
		}
	}
	if m.QoS == 2 && o.Inbound != nil {
		n.session, n.id, n.inbound = o.Inbound(m)
	}
	return n, n.retain || n.inbound
}

// hear takes what a group means for the small state, once it is durable and before anybody is told.
func (m *small) hear(notes []note, first message.Position, clock int64) {
	if len(notes) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range notes {
		n := &notes[i]
		at := first + message.Position(n.index)
		if n.retain {
			m.replay.touchLocked(m.retained.noteLocked(n, at, clock))
		}
		if x := m.sessions.byID[n.session]; n.inbound && x != nil && x.received.noteLocked(n.id, at) {
			m.replay.touchLocked(&x.received.tracked)
		}
	}
}

func (r *replay) touchLocked(t *tracked) {
	if t == nil {
		return
	}
	if r.touched == nil {
		r.touched = make(map[*tracked]struct{})
	}
	r.touched[t] = struct{}{}
}

// due says whether it is time for a checkpoint.
func (r *replay) due(now time.Time) bool {
	_, tail := r.small.store.index.ends()
	r.small.mu.Lock()
	defer r.small.mu.Unlock()
	return !r.small.off && !r.running && (len(r.touched) > 0 && now.Sub(r.began) >= replayEvery || tail > r.at+replayBehind)
}

// begin has everything written that changed. It runs on the committing goroutine, between two
// transactions: whatever is durable has been heard of.
func (r *replay) begin(now time.Time) {
	_, tail := r.small.store.index.ends()
	r.small.mu.Lock()
	r.running, r.began = true, now
	values := make([]*tracked, 0, len(r.touched))
	for t := range r.touched {
		r.small.soilLocked(t)
		values = append(values, t)
	}
	r.touched = nil
	r.small.mu.Unlock()
	r.small.afterwards(func(err error) {
		r.small.mu.Lock()
		defer r.small.mu.Unlock()
		r.running = false
		if err == nil && tail > r.at {
			r.at = tail
			r.small.soilLocked(&r.tracked)
		}
	}, values...)
}

// settleSmall makes a checkpoint before the log is trimmed, unless none is needed. It runs on the
// committing goroutine.
func (s *Store) settleSmall() error {
	r := &s.small.replay
	state := func() (running, needed bool) {
		s.small.mu.Lock()
		defer s.small.mu.Unlock()
		return r.running, len(r.touched) > 0
	}
	wait := func() error {
		for running, _ := state(); running && s.queue.failed() == nil; running, _ = state() {
			s.commit(nil)
		}
		return s.queue.failed()
	}
	running, needed := state()
	if !running && !needed {
		return nil
	}
	if err := wait(); err != nil {
		return err
	}
	if needed {
		r.begin(time.Now())
		if err := wait(); err != nil {
			return err
		}
	}
	return s.flushSmall(&r.tracked)
}

// run reads what the checkpoint does not have. The head may have passed it: then nothing between
// them meant anything, see settleSmall.
func (r *replay) run() error {
	s := r.small.store
	head, tail := s.index.ends()
	from := max(r.at+1, head)
	for from <= tail {
		h, found := s.index.find(from)
		if !found {
			break
		}
		records, err := s.records(h)
		if err != nil {
			if err := s.skip(h, err); err != nil {
				return err
			}
			continue
		}
		var notes []note
		for i := range records {
			if records[i].Position < from {
				continue
			}
			if n, ok := s.opts.noteOf(&records[i].Message); ok {
				n.index = uint32(i)
				notes = append(notes, n)
			}
			r.read++
		}
		r.small.hear(notes, h.first, h.clock)
		from = h.last() + 1
	}
	return nil
}

func (r *replay) entriesLocked() ([]entry, func()) {
	key := smallKey(smallReplay, 0)
	return []entry{{key, sealSmall(key, present, binary.AppendUvarint(nil, uint64(r.at)))}}, nil
}

func decodeReplay(body []byte) (at message.Position, err error) {
	in := input{rest: body}
	at = position(&in)
	return at, in.end("the checkpoint of the small state")
}

// recoverLocked takes the checkpoint. When values are damaged, what they said is found in the log, as
// far as it reaches.
func (r *replay) recoverLocked(values []smallValue, damaged bool) {
	_, tail := r.small.store.index.ends()
	for _, v := range values {
		if at, err := decodeReplay(v.body); v.kind == smallReplay && v.mark == present && err == nil && !damaged {
			r.at = min(at, tail)
		}
	}
}
