package bus

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestExchangeBringsTheAnswer(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	serve(t, line, exclaim)
	for _, text := range []string{"a", "bb", "\x00\x03\x11\x13\xff\n\r"} { // nothing is a control character on a bus
		want(t, c, text+"?", text+"!")
	}
}

func TestExchangeThrowsStaleInputAway(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	serve(t, line, exclaim)
	want(t, c, "first?", "first!")
	if _, err := line.Write([]byte("late!")); err != nil {
		t.Fatal(err)
	}
	want(t, c, "second?", "second!")
	var thrown string
	for _, f := range c.Port().Recent(0) {
		if f.Verdict != "" {
			thrown += string(f.Bytes)
		}
	}
	if thrown != "late!" {
		t.Errorf("the monitor calls %q unasked for, want %q", thrown, "late!")
	}
}

func TestSilenceIsATimeoutThatCarriesWhatCame(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	serve(t, line, func(request string) []byte {
		if request == "nobody" {
			return nil
		}
		return []byte("not the en")
	})
	started := time.Now()
	_, err := c.Exchange(t.Context(), brief("half?", time.Minute))
	noReply, ok := errors.AsType[*NoReplyError](err)
	if !ok || errors.Is(err, ErrHungUp) || string(noReply.Received) != "not the en" || errors.Is(err, ErrNotSent) {
		t.Errorf("got %v, want a NoReplyError with what came", err)
	}
	// A pause longer than the gap ends the answer.
	if took := time.Since(started); took < DefaultGap || took > 20*time.Second {
		t.Errorf("gave up after %v, want a little more than %v", took, DefaultGap)
	}
	started = time.Now()
	q := brief("nobody?", 60*time.Millisecond)
	_, err = c.Exchange(t.Context(), q)
	if err == nil || !strings.HasSuffix(err.Error(), "bus line: no answer within 60ms") {
		t.Errorf("got %v, want no answer within 60ms", err)
	}
	if took := time.Since(started); took < q.Timeout {
		t.Errorf("gave up after %v, want %v", took, q.Timeout)
	}
}

// One or two bytes are what a transceiver does when it turns round, and no answer yet.
func TestADisturbanceBeforeTheAnswerIsWaitedOut(t *testing.T) {
	line := newLine(t)
	settings := fast(line.Path())
	settings.Gap = 5 * time.Millisecond
	c := on(t, settings)
	serve(t, line, func(request string) []byte {
		if _, err := line.Write([]byte{0}); err != nil {
			t.Error(err)
		}
		time.Sleep(100 * time.Millisecond) // the device's own pace: the line is real
		return exclaim(request)
	})
	want(t, c, "a?", "\x00a!")
}

func TestContextBoundsTheExchange(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	q := brief("x?", time.Hour)
	q.Late = -1
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Exchange(ctx, q)
	if _, ok := errors.AsType[*NoReplyError](err); !ok {
		t.Errorf("got %v, want a NoReplyError", err)
	}
	if _, err := c.Exchange(ctx, q); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrNotSent) {
		t.Errorf("with a spent context: got %v, want %v and that nothing was sent", err, context.DeadlineExceeded)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := c.Exchange(ctx, q); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNotSent) {
		t.Errorf("cancelled: got %v, want %v, and not that nothing was sent", err, context.Canceled)
	}
}

func TestHangUpIsToldFromATimeout(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	heard, ended := make(chan struct{}), make(chan struct{})
	serve(t, line, func(string) []byte { close(heard); return nil })
	var pulled sync.WaitGroup
	pulled.Go(func() {
		select {
		case <-heard: // the exchange is on its way
			if err := line.Pull(); err != nil {
				t.Error(err)
			}
		case <-ended:
		}
	})
	_, err := c.Exchange(t.Context(), brief("x?", time.Minute))
	close(ended)
	pulled.Wait()
	if !errors.Is(err, ErrHungUp) {
		t.Errorf("adapter pulled while waiting: got %v, want %v", err, ErrHungUp)
	}
}

func TestPortIsReopenedAfterTheAdapterWasPulled(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	serve(t, line, exclaim)
	want(t, c, "a?", "a!")
	must(t, line.Pull())
	if _, err := c.Exchange(t.Context(), ask("b?")); !errors.Is(err, ErrHungUp) || !errors.Is(err, ErrNotSent) {
		t.Errorf("while the adapter is out: got %v, want %v and that nothing was sent", err, ErrHungUp)
	}
	if _, err := c.Exchange(t.Context(), ask("b?")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("while the adapter is out, again: got %v, want %v", err, os.ErrNotExist)
	}
	if s := c.Port().Stats(); s.Open || !strings.Contains(s.LastError, "no such file") {
		t.Errorf("while the adapter is out: %+v", s)
	}
	must(t, line.Replug())
	want(t, c, "c?", "c!")

	// Pulled and put back between two exchanges: nothing is lost at all.
	must(t, errors.Join(line.Pull(), line.Replug()))
	want(t, c, "d?", "d!")
	if s := c.Port().Stats(); !s.Open || s.LastError != "" || s.Exchanges != 5 || s.Failures != 2 {
		t.Errorf("adapter back: %+v", s)
	}
}

func TestCloseEndsAnExchangeThatWaits(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	sent := make(chan struct{}, 1)
	serve(t, line, func(string) []byte { sent <- struct{}{}; return nil })
	failed := make(chan error, 3)
	for range cap(failed) { // one on the line, two waiting for their turn
		go func() {
			_, err := c.Exchange(context.Background(), brief("x?", time.Hour))
			failed <- err
		}()
	}
	<-sent
	must(t, c.Port().Close())
	for range cap(failed) {
		if err := <-failed; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want %v", err, ErrClosed)
		}
	}
	if _, err := c.Exchange(t.Context(), ask("x?")); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: got %v, want %v", err, ErrClosed)
	}
}

func TestAFarEndThatNeverReadsBlocksNobody(t *testing.T) {
	line := newLine(t)
	c := on(t, Settings{Serial: line.Path(), Character: Character{Baud: 4_000_000}})
	q := Request{Frame: make([]byte, maxRequest), Timeout: time.Millisecond, Answer: until('!'), Late: -1}
	for range 200 { // 100 KB: more than any queue holds
		if _, err := c.Exchange(t.Context(), q); err == nil {
			t.Fatal("got an answer from nobody")
		}
	}
}

func TestANoisyLineIsGivenUp(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	stop := make(chan struct{})
	var babble sync.WaitGroup
	babble.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond):
				if _, err := line.Write([]byte("zzzzzzzzzzzzzzzz")); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	defer babble.Wait()
	defer close(stop)
	_, err := c.Exchange(t.Context(), brief("x?", 100*time.Millisecond))
	if _, timeout := errors.AsType[*NoReplyError](err); err == nil || !timeout && !errors.Is(err, ErrNoise) {
		t.Errorf("got %v, want noise or no answer", err)
	}
}

func TestPortInUseIsRefused(t *testing.T) {
	line := newLine(t)
	serve(t, line, exclaim)
	first, second := on(t, fast(line.Path())), on(t, fast(line.Path()))
	want(t, first, "a?", "a!")
	if _, err := second.Exchange(t.Context(), ask("b?")); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second owner: got %v, want that the port is in use", err)
	}
	must(t, first.Port().Close())
	want(t, second, "b?", "b!")
}

func TestUpdateReopensWhatChangedAndClosesWhatHasGone(t *testing.T) {
	a, b := newLine(t), newLine(t)
	serve(t, a, exclaim)
	serve(t, b, exclaim)
	set := newSet(t, map[string]Settings{"one": {Serial: a.Path()}, "two": {Serial: b.Path(), Character: Character{Parity: "even"}}})
	one, two := client(t, set, "bus://one", "d"), client(t, set, "bus://two", "d")
	want(t, one, "x?", "x!")
	want(t, two, "x?", "x!")
	if got := termios(t, b.Path()).Iflag & unix.INPCK; got == 0 {
		t.Errorf("even parity is not checked")
	}
	before := one.Port().line
	if err := set.Update(map[string]Settings{"one": {Serial: a.Path(), Character: Character{Baud: 1234}}}); err == nil {
		t.Error("an impossible rate was accepted")
	}
	want(t, one, "x?", "x!")
	if one.Port().line != before {
		t.Error("a refused update disturbed the line")
	}
	must(t, set.Update(map[string]Settings{"one": {Serial: a.Path(), Character: Character{Baud: 2400}}}))
	want(t, one, "x?", "x!")
	if got := termios(t, a.Path()).Cflag & unix.CBAUD; got != unix.B2400 {
		t.Errorf("speed is %#o, want 2400 bit/s, %#o", got, unix.B2400)
	}
	if _, err := two.Exchange(t.Context(), ask("x?")); !errors.Is(err, ErrClosed) {
		t.Errorf("a line that has gone: got %v, want %v", err, ErrClosed)
	}
	if _, err := set.Port("two"); err == nil {
		t.Error("a line that has gone is still found")
	}
	// A configuration that was taken back: the device is still there, and so is its line again.
	must(t, set.Update(map[string]Settings{"two": {Serial: b.Path()}}))
	want(t, two, "y?", "y!")
}

func TestOpenErrorsNameThePort(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plain")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{file, file + "-missing"} {
		_, err := on(t, fast(path)).Exchange(t.Context(), ask("x?"))
		if err == nil || !strings.Contains(err.Error(), "bus line: open "+path+": ") || !errors.Is(err, ErrNotSent) {
			t.Errorf("open %s: got %v", path, err)
		}
	}
}

// A wait ends when its time is over, never before, and at once when something comes.
func TestWaitsAreAsLongAsTheyShouldBe(t *testing.T) {
	line := newLine(t)
	settings := fast(line.Path()).withDefaults()
	port, err := openTTY(&settings)
	must(t, err)
	defer port.close()
	for _, d := range []time.Duration{-time.Second, 0, 300 * time.Microsecond, 1750 * time.Microsecond, 4 * time.Millisecond} {
		for range 5 {
			until := time.Now().Add(d)
			readable, err := port.wait(until)
			if now := time.Now(); readable || err != nil || now.Before(until) {
				t.Errorf("waited %v for nothing: %v, %v, %v too early", d, readable, err, until.Sub(now))
			}
		}
	}
	if _, err := line.WriteFrom([]byte("x"), time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{time.Millisecond, time.Hour} { // by the first it may not have arrived
		readable, err := port.wait(time.Now().Add(d))
		must(t, err)
		if readable {
			return
		}
	}
	t.Error("what came was not noticed")
}
