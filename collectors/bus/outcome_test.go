package bus

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// overhearMarks takes every r for a request and every a for an answer.
func overhearMarks(b []byte) (heard Overheard) {
	for _, c := range b {
		switch c {
		case 'r':
			heard.Request()
		case 'a':
			heard.Answer()
		}
	}
	return heard
}

// Each exchange is counted as what it came to, and as something else once its driver has looked at it.
func TestExchangesAreCountedByWhatTheyCameTo(t *testing.T) {
	line := newLine(t)
	settings := fast(line.Path())
	settings.Gap = 10 * time.Millisecond
	c := on(t, settings)
	serve(t, line, func(request string) []byte {
		if request == "silence" {
			return nil
		}
		if request == "noise" {
			return []byte("zzzz")
		}
		return exclaim(request)
	})
	for _, step := range []struct {
		request string
		judge   func()
	}{
		{"good?", func() {}},
		{"no?", func() { c.RefusedWith(2, "exception 2") }},
		{"no?", func() { c.RefusedWith(1, "exception 1") }},
		{"no?", func() { c.RefusedWith(2, "exception 2") }},
		{"no?", func() { c.Refused("no such data") }},
		{"noise?", func() {}},
		{"noise?", func() { c.Verdict(Damaged, "a wrong checksum") }},
		{"noise?", func() { c.Verdict(WrongUnit, "unit 9") }},
		{"noise?", func() { c.Verdict(Unrelated, "another's") }},
		{"good?", func() { c.Verdict(AsTCP, "another dialect") }},
		{"silence?", func() { c.Verdict(Damaged, "nothing came, so nothing is damaged") }},
	} {
		q := brief(step.request, 300*time.Millisecond)
		q.Late = -1
		_, _ = c.Exchange(t.Context(), q) // which of them fail is what is counted
		step.judge()
	}
	s := c.Port().Stats().Clients[0]
	if s.Exchanges != 11 || s.Answers != 5 || s.Refused != 4 || s.Garbled != 1 || s.Damaged != 1 || s.WrongUnit != 1 || s.Unrelated != 1 || s.AsTCP != 1 || s.NoReply != 1 {
		t.Errorf("got %+v", s)
	}
	if len(s.Refusals) != 2 || s.Refusals[0] != (Refusals{1, 1}) || s.Refusals[1] != (Refusals{2, 2}) {
		t.Errorf("refusals %+v, want one with 1 and two with 2", s.Refusals)
	}
	if s.Timeout != 300*time.Millisecond || s.Timed == 0 {
		t.Errorf("a time-out of %v, %d answers timed", s.Timeout, s.Timed)
	}
}

// An answer that only a pause ends is one, and the line is none the worse for it.
func TestAPauseMayEndAnAnswer(t *testing.T) {
	line := newLine(t)
	settings := fast(line.Path())
	settings.Gap = 20 * time.Millisecond
	c := on(t, settings)
	serve(t, line, func(request string) []byte { return []byte("no end to " + request) })
	q := brief("a?", time.Second)
	q.AtPause = func(received []byte) ([]byte, bool) { return received, bytes.HasPrefix(received, []byte("no")) }
	for range 2 {
		if got, err := c.Exchange(t.Context(), q); err != nil || string(got) != "no end to a" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	stats := c.Port().Stats()
	if s := stats.Clients[0]; s.Answers != 2 || s.NoReply+s.Garbled != 0 || stats.Failures != 0 || stats.LastError != "" {
		t.Errorf("got %+v", stats)
	}
}

// The echo of a request that nobody answers is no answer, whatever would be one.
func TestALoneEchoIsNoAnswerAtAPause(t *testing.T) {
	line := newLine(t)
	line.Echo(true)
	c := on(t, fast(line.Path()))
	serve(t, line, func(string) []byte { return nil })
	q := brief("a?", 200*time.Millisecond)
	q.Late, q.AtPause = -1, func(received []byte) ([]byte, bool) { return received, true }
	got, err := c.Exchange(t.Context(), q)
	if noReply, ok := errors.AsType[*NoReplyError](err); !ok || !noReply.Echo {
		t.Errorf("got %q, %v; want nothing but the echo", got, err)
	}
	if s := c.Port().Stats(); s.EchoOnly != 1 || s.Clients[0].NoReply != 1 {
		t.Errorf("got %+v", s)
	}
}

// What nobody has to answer is no failure of the line, nor of the device.
func TestQuietRequestsNeedNoAnswer(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	serve(t, line, func(string) []byte { return nil })
	q := brief("all?", 20*time.Millisecond)
	q.Late, q.Quiet = -1, true
	if _, err := c.Exchange(t.Context(), q); err == nil {
		t.Error("an answer to a broadcast")
	}
	if s := c.Port().Stats(); s.Failures != 0 || s.LastError != "" || s.Clients[0].Exchanges != 0 || s.Clients[0].Timeout != 0 {
		t.Errorf("got %+v", s)
	}
}

// What nobody has asked for is told apart: somebody else's requests, answers that are late, and bytes of
// which nobody knows whence they come.
func TestBytesThatAnswerNothingAreToldApart(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	heard := make(chan string, 16)
	serve(t, line, func(request string) []byte {
		heard <- request
		if request == "late" {
			return nil
		}
		return exclaim(request)
	})
	exchange := func(request string) {
		t.Helper()
		q := brief(request, 300*time.Millisecond)
		q.Late, q.Overhear = -1, overhearMarks
		_, err := c.Exchange(t.Context(), q)
		if (err == nil) != (request != "late?") {
			t.Errorf("%s: %v", request, err)
		}
		<-heard
	}
	say := func(text string) {
		t.Helper()
		if _, err := line.Write([]byte(text)); err != nil {
			t.Error(err)
		}
	}
	exchange("x?")
	say("zzzzz")
	exchange("x?")
	say("rara") // another master with its device
	exchange("x?")
	exchange("late?")
	say("a")
	exchange("x?")
	s := c.Port().Stats()
	if s.Unasked != 5 || s.Foreign != 2 || s.Clients[0].Late != 1 {
		t.Errorf("%d bytes unasked, %d requests of others, %d answers late; want 5, 2, 1", s.Unasked, s.Foreign, s.Clients[0].Late)
	}
}

// Before a request the line waits for the answer that another master has asked for.
func TestAnotherMastersAnswerIsWaitedFor(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	serve(t, line, exclaim)
	want(t, c, "x?", "x!")
	if _, err := line.Write([]byte("r")); err != nil {
		t.Fatal(err)
	}
	q := brief("y?", 400*time.Millisecond)
	q.Overhear = overhearMarks
	started := time.Now()
	if _, err := c.Exchange(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took < q.Timeout {
		t.Errorf("asked after %v, though another master waits for an answer as long as %v", took, q.Timeout)
	}
}
