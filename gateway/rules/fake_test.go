package rules

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/gateway/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLog is a log in memory that is a source and a publisher, and can be killed.
type fakeLog struct {
	mu      sync.Mutex // guards what follows
	records []message.Record
	grown   chan struct{}
	place   message.Position
	shelf   []byte
	budget  int // operations until the kill; 0: none comes
	dead    bool
}

func newLog() *fakeLog { return &fakeLog{grown: make(chan struct{})} }

var errKilled = errors.New("killed")

// spendLocked counts an operation; false: the process is dead.
func (l *fakeLog) spendLocked() bool {
	if l.budget > 0 {
		if l.budget--; l.budget == 0 {
			l.dead = true
		}
	}
	return !l.dead
}

func (l *fakeLog) append(m message.Message) message.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appendLocked(m)
}

func (l *fakeLog) appendLocked(m message.Message) message.Position {
	if m.Time == 0 {
		m.Time = time.Now().UnixMilli()
	}
	at := message.Position(len(l.records) + 1)
	l.records = append(l.records, message.Record{Position: at, Message: m})
	close(l.grown)
	l.grown = make(chan struct{})
	return at
}

func (l *fakeLog) reading(device, values string) {
	now := time.Now().UnixMilli()
	l.append(message.Message{Topic: "readings/g/" + device, Time: now, Payload: fmt.Appendf(nil, `{"gateway":"g","device":%q,"epoch":1,"seq":1,"ts":%d,"values":{%s}}`, device, now, values)})
}

func (l *fakeLog) Publish(_ context.Context, m *message.Message, ack message.Acknowledger, token uint64) error {
	l.mu.Lock()
	if !l.spendLocked() && l.budget == 0 && len(m.Payload)%2 == 0 {
		l.mu.Unlock()
		return errKilled // before it is in the log; else behind that, without an answer
	}
	at := l.appendLocked(*m)
	dead := l.dead
	l.mu.Unlock()
	if dead {
		return errKilled
	}
	ack.Acknowledge(token, at, nil)
	return nil
}

func (l *fakeLog) read(from message.Position, dst []message.Record, max int, filters []string) ([]message.Record, message.Position) {
	next := from
	for _, r := range l.records[min(len(l.records), int(from-1)):] {
		if len(dst) >= max {
			break
		}
		next = r.Position + 1
		for _, f := range filters {
			if message.Match(f, r.Topic) {
				dst = append(dst, r)
				break
			}
		}
	}
	return dst, next
}

// fakeSource is the log under filters.
type fakeSource struct {
	*fakeLog
	filters []string
}

func (l *fakeLog) Open(filters []string) (Source, error) { return fakeSource{l, filters}, nil }

func (s fakeSource) Next(ctx context.Context, from message.Position, dst []message.Record, max int) ([]message.Record, message.Position, error) {
	for {
		if ctx.Err() != nil {
			return dst, from, ctx.Err()
		}
		s.mu.Lock()
		if s.dead {
			s.mu.Unlock()
			return dst, from, errKilled
		}
		records, next := s.read(max1(from), dst, max, s.filters)
		grown := s.grown
		s.mu.Unlock()
		if next > from {
			return records, next, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
		}
	}
}

func max1(p message.Position) message.Position { return max(p, 1) }

func (s fakeSource) Matching(from message.Position, dst []message.Record, max int, filter string) ([]message.Record, message.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	records, next := s.read(max1(from), dst, max, []string{filter})
	return records, next, nil
}

func (s fakeSource) Done(upTo message.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.place = upTo
}

func (s fakeSource) Tail() message.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return message.Position(len(s.records))
}

func (fakeSource) Head() message.Position { return 1 }
func (fakeSource) Epoch() (uint64, error) { return 7, nil }
func (fakeSource) Close()                 {}
func (s fakeSource) Forget() error        { s.Done(s.Tail()); return nil }

// Get and Put make the log's machine the shelf too.
func (l *fakeLog) Get() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shelf, nil
}

func (l *fakeLog) Put(text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.spendLocked() {
		return errKilled
	}
	l.shelf = text
	return nil
}

// events are the alarms that the log has, as "state alarm device point".
func (l *fakeLog) events(t testing.TB) (list []Event) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if !message.Match("alarms/#", r.Topic) {
			continue
		}
		e, err := DecodeEvent(r.Payload)
		if err != nil {
			t.Fatalf("%s: %v", r.Payload, err)
		}
		list = append(list, e)
	}
	return list
}
