package store

import (
	"sluice/gateway/message"
)

// Health is the log's state in one word.
type Health string

// What Stats may say: everything works; producers are refused until there is space; nothing is
// acknowledged any more until a restart.
const (
	OK     Health = "ok"
	Full   Health = "full"
	Failed Health = "failed"
)

// Stats is what the log says about itself.
type Stats struct {
	Epoch       uint64
	First, Last message.Position // the first that is not trimmed, the last that is durable
	Messages    uint64           // between them
	Bytes       int64            // on disk, all files of the log
	BlockBytes  int64            // of that in blocks that are not trimmed
	Limit       int64            // 0: none
	Oldest      int64            // Unix milliseconds of the oldest message, 0 when there is none
	Pending     int              // bytes that wait for the disk
	Dropped     uint64           // messages taken from a cursor that had not passed them, ever
	Health      Health
	Error       string // why it is not ok
	Expired     uint64 // cursors that expired since the log was opened
	Damages     int    // spans of positions that cannot be served
	Damage      []Damage
}

// Stats gives the log's present state. It touches no disk.
func (s *Store) Stats() Stats {
	measured, _ := s.space.snapshot()
	st := Stats{Epoch: s.epoch, Bytes: measured.used, Limit: s.opts.Limit, Dropped: s.dropped.Load(), Health: OK}
	ix := &s.index
	ix.mu.RLock()
	st.First, st.Last, st.Messages, st.BlockBytes = ix.head, ix.tail, ix.messages, ix.bytes
	if len(ix.blocks) > 0 {
		st.Oldest = ix.blocks[0].time
	}
	ix.mu.RUnlock()
	st.Damage, st.Damages = s.damage.list()

	st.Expired = s.cursors.expiredCount()

	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	st.Pending = q.bytes
	switch {
	case q.failure != nil:
		st.Health, st.Error = Failed, q.failure.Error()
	case q.full:
		st.Health, st.Error = Full, message.ErrFull.Error()
	}
	return st
}
