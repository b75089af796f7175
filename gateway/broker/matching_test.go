package broker

import (
	"sync"
	"testing"

	"sluice/gateway/message"
)

// matchLog is a memLog that can pass over what does not match; during, unless nil, runs once within
// a read.
type matchLog struct {
	*memLog
	mu     sync.Mutex
	calls  int
	during func()
}

func (l *matchLog) ReadMatching(dst []message.Record, from message.Position, max int, wanted []string) ([]message.Record, message.Position, error) {
	l.mu.Lock()
	l.calls++
	during := l.during
	l.during = nil
	l.mu.Unlock()
	if during != nil {
		during()
	}
	all, err := l.Read(nil, from, 1<<20)
	for i := range all {
		if max == 0 {
			return dst, all[i].Position, err
		}
		if filters(wanted).match(all[i].Topic) {
			dst = append(dst, all[i])
			max--
		}
		from = all[i].Position + 1
	}
	return dst, from, err
}

func TestConsumerLetsTheLogPassOverWhatDoesNotMatch(t *testing.T) {
	l := &matchLog{memLog: newMemLog()}
	b := New(l)
	for range 1000 {
		l.add("a", "a", "a", "b")
	}
	c, err := b.Consumer("c", []string{"b"}, Oldest)
	if err != nil {
		t.Fatal(err)
	}
	if backlog, err := c.Backlog(t.Context()); err != nil || backlog.Messages != 1000 || backlog.Oldest.UnixMilli() != 4 {
		t.Errorf("the backlog is %+v, %v, want 1000 since 4", backlog, err)
	}
	counted := l.calls
	var got []message.Record
	for len(got) < 1000 {
		if got, err = c.Next(t.Context(), got, 250); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range got {
		if want := message.Position(4 * (i + 1)); r.Position != want {
			t.Fatalf("record %d stands at %d, want %d", i, r.Position, want)
		}
	}
	if n := l.calls - counted; n != 4 {
		t.Errorf("1000 records took %d reads, want 4 of 250", n)
	}
	c.Ack(4000)
	if backlog, err := c.Backlog(t.Context()); err != nil || backlog.Messages != 0 {
		t.Errorf("the backlog is %+v, %v, want none", backlog, err)
	}
}

func TestSubscriptionMissesNothingOfAFilterAddedDuringARead(t *testing.T) {
	l := &matchLog{memLog: newMemLog()}
	s := New(l).Subscribe(0)
	defer s.Close()
	s.Resume("a", 0)
	l.during = func() {
		s.Add("b")
		l.add("b", "a")
	}
	got, err := s.Next(t.Context(), nil, 10)
	if err != nil || len(got) != 2 || got[0].Topic != "b" || got[1].Topic != "a" {
		t.Errorf("got %+v, %v, want b and a", got, err)
	}
	if passed := s.Passed(); passed != 2 {
		t.Errorf("it has passed %d, want 2", passed)
	}
}
