package store

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
)

// standing opens a log that commits only when drained, so that a test owns the log clock.
func standing(t *testing.T, dir string, log *slog.Logger) *Store {
	t.Helper()
	s, err := Open(Options{youngBytes: -1, Dir: dir, FileSize: 1 << 20, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// appendNow appends texts as one block each, timed by their positions, and makes them durable.
func appendNow(t *testing.T, s *Store, texts ...string) {
	t.Helper()
	for _, text := range texts {
		_, tail := s.index.ends()
		m := message.Message{Topic: "t", Payload: []byte(text), Time: int64(tail) + 1}
		if err := s.Append(context.Background(), &m, nil, 0); err != nil {
			t.Fatal(err)
		}
		for s.commitNext() {
		}
	}
}

// pass lets the log clock run on.
func pass(s *Store, d time.Duration) { s.writer.clockBase += d.Milliseconds() }

func names(list []CursorStatus) string {
	var all []string
	for _, c := range list {
		all = append(all, c.Name)
	}
	return strings.Join(all, " ")
}

func TestCursorsTellWhatTheyPin(t *testing.T) {
	s := standing(t, t.TempDir(), nil)
	appendNow(t, s, "1", "2", "3", "4")
	for name, at := range map[string]message.Position{"all": 0, "half": 2, "none": 4} {
		if _, err := s.OpenCursor(name, at+1); err != nil {
			t.Fatal(err)
		}
	}
	for s.cursors.dirtyCount() > 0 {
		s.commit(nil)
	}
	bytes, _ := s.index.size()
	got := s.Cursors()
	if names(got) != "all half none" {
		t.Fatalf("got %s", names(got))
	}
	if got[0].Messages != 4 || got[0].Bytes != bytes || got[1].Messages != 2 || got[1].Bytes*2 != bytes || got[2].Messages != 0 || got[2].Bytes != 0 {
		t.Errorf("got %+v, of %d bytes in 4 blocks", got, bytes)
	}
	if got[0].Oldest != 1 || got[1].Oldest != 3 || got[2].Oldest != 0 {
		t.Errorf("the oldest that they pin are from %d, %d and %d, want 1, 3 and 0", got[0].Oldest, got[1].Oldest, got[2].Oldest)
	}
	appendNow(t, s, "5")
	if got := s.Cursors()[2]; got.Messages != 1 || got.Bytes == 0 || got.Oldest != 5 {
		t.Errorf("a cursor that passed all but one pins %+v", got)
	}
}

func (c *cursors) dirtyCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cleanLocked()
	return len(c.dirty)
}

func TestCursorsExpireWhenNobodyUsesThem(t *testing.T) {
	dir := t.TempDir()
	var text bytes.Buffer
	s := standing(t, dir, slog.New(slog.NewTextHandler(&text, nil)))
	appendNow(t, s, "1", "2", "3")
	const week = 7 * 24 * time.Hour
	uplink, err := s.OpenCursor("uplink", 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.OpenExpiringCursor("connected", 1, week)
	if err != nil {
		t.Fatal(err)
	}
	away, err := s.OpenExpiringCursor("away", 2, week)
	if err != nil {
		t.Fatal(err)
	}
	uplink.Close()
	away.Close()
	pass(s, week-time.Hour)
	s.expireCursors()
	if got := names(s.Cursors()); got != "away connected uplink" {
		t.Fatalf("an hour before the end there are %s", got)
	}
	if idle := s.Cursors()[0].Idle.Round(time.Minute); idle != week-time.Hour {
		t.Errorf("away is idle for %v, want a week less one hour", idle)
	}

	// Neither a restart nor the time without power counts as use, nor does being connected end.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = standing(t, dir, slog.New(slog.NewTextHandler(&text, nil)))
	connected, err := s.OpenExpiringCursor("connected", 1, week)
	if err != nil {
		t.Fatal(err)
	}
	pass(s, 2*time.Hour)
	s.expireCursors()
	if got := names(s.Cursors()); got != "connected uplink" || s.Stats().Expired != 1 {
		t.Fatalf("an hour behind the end there are %s, %d expired", got, s.Stats().Expired)
	}
	if !strings.Contains(text.String(), "expired") || !strings.Contains(text.String(), "cursor=away") || !strings.Contains(text.String(), "messages=2") {
		t.Errorf("the log says %q", text.String())
	}

	// An open cursor does not expire; what is on disk says so even if no message ever moved it.
	pass(s, 3*week)
	s.expireCursors()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = standing(t, dir, nil)
	pass(s, week-time.Hour)
	s.expireCursors()
	if got := names(s.Cursors()); got != "connected uplink" {
		t.Fatalf("after a kill there are %s", got)
	}
	pass(s, 2*time.Hour)
	s.expireCursors()
	if got := names(s.Cursors()); got != "uplink" {
		t.Errorf("there are %s, want the uplink alone: it never expires", got)
	}
	connected.Move(3) // what has expired does not come back
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := Check(dir)
	if err != nil || len(report.Findings) > 0 || report.Cursors != 1 {
		t.Errorf("check: %+v, %v", report, err)
	}
}

func TestTrimmingIsNoUseOfACursor(t *testing.T) {
	s := standing(t, t.TempDir(), nil)
	appendNow(t, s, "1", "2", "3")
	c, err := s.OpenExpiringCursor("away", 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	s.commit(nil)
	pass(s, 59*time.Minute)
	if err := s.remove(s.index.oldest(2), 0); err != nil {
		t.Fatal(err)
	}
	if c.Position() != 2 {
		t.Errorf("the cursor stands at %d, want 2", c.Position())
	}
	pass(s, 2*time.Minute)
	s.expireCursors()
	if got := s.Cursors(); len(got) != 0 {
		t.Errorf("got %+v, want none", got)
	}
}

func TestOpenCursorsAreNotDropped(t *testing.T) {
	s := standing(t, t.TempDir(), nil)
	c, err := s.OpenCursor("c", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DropIdleCursor("c"); err == nil || !strings.Contains(err.Error(), ErrCursorInUse.Error()) {
		t.Errorf("dropping it gives %v", err)
	}
	c.Close()
	if err := s.DropIdleCursor("c"); err != nil {
		t.Error(err)
	}
	if err := s.DropIdleCursor("c"); err == nil || !strings.Contains(err.Error(), ErrNoCursor.Error()) {
		t.Errorf("dropping it again gives %v", err)
	}
}

func TestCursorsOfOlderLogsAreUnderstood(t *testing.T) {
	key := cursorKey("uplink")
	c, mark, err := decodeCursor(key, sealWords(key, present, 7))
	if err != nil || mark != present || c.at != 7 || c.used != 0 || c.idle != 0 || c.done != nil {
		t.Errorf("got %+v, %d, %v", c, mark, err)
	}
}
