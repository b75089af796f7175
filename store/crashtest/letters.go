package crashtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"sluice/gateway/message"
	"sluice/store"
)

// Letters are messages that are appended together with the move of a cursor, and say what it was. The
// cursor moves in no other way, so what it has done must be what the letters in the log say: no more, no
// less. Since it pins what is behind its position, every letter that speaks of it is still there.
const (
	lettersTopic  = "dead/letters"
	lettersCursor = "letters"
)

func letterOf(r *message.Record) (first, last message.Position, err error) {
	_, err = fmt.Sscanf(string(r.Payload), "%d to %d", &first, &last)
	return first, last, err
}

// bury moves a cursor to the end of the log, and marks ranges on the way, always with a letter.
func bury(s *store.Store, r *rand.Rand, tell func(string, ...any)) error {
	c, err := s.OpenCursor(lettersCursor, 1)
	if err != nil {
		return err
	}
	durable := make(chan error, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { durable <- err })
	for {
		at, done := c.Done()
		tail, grown := s.Tail()
		if tail < at+10 {
			<-grown
			continue
		}
		first, last := message.Position(0), at+1+message.Position(r.Int64N(int64(tail-at)))
		if r.IntN(2) == 0 { // beyond
			first = at + 2 + message.Position(r.Int64N(int64(tail-at-5)))
			last = min(tail, first+message.Position(r.IntN(20)))
		}
		m := message.Message{Topic: lettersTopic, Payload: fmt.Appendf(nil, "%d to %d", first, last), QoS: 1}
		err := c.AppendDone(context.Background(), &m, ack, 0, first, last)
		if errors.Is(err, store.ErrManyRanges) && len(done) > 10 {
			continue
		}
		if err == nil {
			err = <-durable
		}
		if err != nil {
			return fmt.Errorf("letter %d to %d: %w", first, last, err)
		}
		tell("l %d %d\n", first, last)
	}
}

// letter notes one that is durable.
func (m *Model) letter(first, last message.Position) {
	if first <= m.buried+1 {
		m.buried = max(m.buried, last)
	} else {
		for at := first; at <= last; at++ {
			m.burial[at] = true
		}
	}
	for m.burial[m.buried+1] {
		m.buried++
	}
	for at := range m.burial {
		if at <= m.buried {
			delete(m.burial, at)
		}
	}
}

// compareLetters holds the cursor against the letters in the log, and both against what was promised.
func (m *Model) compareLetters(t *testing.T, s *store.Store) {
	t.Helper()
	var status store.CursorStatus
	for _, c := range s.Cursors() {
		if c.Name == lettersCursor {
			status = c
		}
	}
	done := make(map[message.Position]bool)
	for _, r := range status.Done {
		for at := r.First; at <= r.Last; at++ {
			done[at] = true
		}
	}
	for at := range m.burial {
		if at > status.Durable && !done[at] {
			t.Errorf("position %d was done with a durable letter, the cursor does not say so", at)
		}
	}
	if status.Durable < m.buried {
		t.Errorf("the cursor of the letters stands at %d, but %d was durable", status.Durable, m.buried)
	}
	said := make(map[message.Position]bool)
	reached, letters := message.Position(0), 0
	for next := s.Head(); ; {
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
			next = r.Position + 1
			if r.Topic != lettersTopic {
				continue
			}
			letters++
			first, last, err := letterOf(r)
			if err != nil {
				t.Errorf("letter at %d: %v", r.Position, err)
			}
			if last <= status.Durable {
				reached = max(reached, last)
				continue
			}
			if first <= status.Durable+1 {
				t.Errorf("the letter at %d is there without its move up to %d: the cursor stands at %d", r.Position, last, status.Durable)
			}
			for at := first; at <= last; at++ {
				said[at] = true
			}
		}
	}
	for at := range said {
		if !done[at] {
			t.Errorf("a letter is there without its move: %d is not done", at)
		}
	}
	for at := range done {
		if !said[at] {
			t.Errorf("a move is there without its letter: %d is done", at)
		}
	}
	if reached != status.Durable {
		t.Errorf("a move is there without its letter: the cursor stands at %d, the letters in the log lead up to %d", status.Durable, reached)
	}
	m.letters += letters
}
