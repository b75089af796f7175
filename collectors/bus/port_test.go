package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestExchangeBringsTheAnswer(t *testing.T) {
	f := newFar(t)
	p := portOn(t, f.slave)
	defer f.serve(nil)()
	for _, text := range []string{"a", "bb", "\x00\x03\x11\x13\xff\n\r"} { // nothing is a control character on a bus
		got, err := p.Exchange(t.Context(), ask(text+"?"))
		if err != nil || string(got) != text+"!" {
			t.Errorf("asked %q: got %q, %v", text, got, err)
		}
	}
}

func TestExchangeThrowsStaleInputAway(t *testing.T) {
	f := newFar(t)
	p := portOn(t, f.slave)
	stop := f.serve(nil)
	defer stop()
	if _, err := p.Exchange(t.Context(), ask("first?")); err != nil {
		t.Fatal(err)
	}
	f.say("late!")
	if got, err := p.Exchange(t.Context(), ask("second?")); err != nil || string(got) != "second!" {
		t.Errorf("after a late answer: got %q, %v; want the answer to the request", got, err)
	}
}

func TestSilenceIsATimeoutThatCarriesWhatCame(t *testing.T) {
	f := newFar(t)
	p := portOn(t, f.slave)
	q := ask("x?")
	q.Timeout = 60 * time.Millisecond
	var heard sync.WaitGroup
	heard.Go(func() {
		f.hear(2)
		f.say("not the en")
	})
	started := time.Now()
	_, err := p.Exchange(t.Context(), q)
	heard.Wait()
	noReply, ok := errors.AsType[*NoReplyError](err)
	if !ok || errors.Is(err, ErrHungUp) || string(noReply.Received) != "not the en" {
		t.Errorf("got %v, want a NoReplyError with what came", err)
	}
	if took := time.Since(started); took < q.Timeout || took > 3*time.Second {
		t.Errorf("gave up after %v, want %v", took, q.Timeout)
	}
}

func TestContextDeadlineBoundsTheExchange(t *testing.T) {
	f := newFar(t)
	p := portOn(t, f.slave)
	q := ask("x?")
	q.Timeout = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Exchange(ctx, q)
	if _, ok := errors.AsType[*NoReplyError](err); !ok {
		t.Errorf("got %v, want a NoReplyError", err)
	}
	if _, err := p.Exchange(ctx, q); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a spent context: got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestHangUpIsToldFromATimeout(t *testing.T) {
	f := newFar(t)
	p := portOn(t, f.slave)
	var pulled sync.WaitGroup
	pulled.Go(func() {
		f.hear(2)
		f.master.Close()
	})
	_, err := p.Exchange(t.Context(), ask("x?"))
	pulled.Wait()
	if !errors.Is(err, ErrHungUp) {
		t.Errorf("adapter pulled while waiting: got %v, want %v", err, ErrHungUp)
	}
}

func TestPortIsReopenedAfterAHangUp(t *testing.T) {
	link := filepath.Join(t.TempDir(), "adapter")
	first := newFar(t)
	if err := os.Symlink(first.slave, link); err != nil {
		t.Fatal(err)
	}
	p := portOn(t, link)
	stop := first.serve(nil)
	if _, err := p.Exchange(t.Context(), ask("a?")); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Exchange(t.Context(), ask("b?")); !errors.Is(err, ErrHungUp) {
		t.Errorf("while the adapter is out: got %v, want %v", err, ErrHungUp)
	}
	if _, err := p.Exchange(t.Context(), ask("b?")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("while the adapter is out, again: got %v, want %v", err, os.ErrNotExist)
	}

	second := newFar(t)
	if err := os.Symlink(second.slave, link); err != nil {
		t.Fatal(err)
	}
	stop = second.serve(nil)
	if got, err := p.Exchange(t.Context(), ask("c?")); err != nil || string(got) != "c!" {
		t.Errorf("adapter back: got %q, %v", got, err)
	}
	stop()

	// Pulled and put back between two exchanges: nothing is lost at all.
	third := newFar(t)
	if err := errors.Join(os.Remove(link), os.Symlink(third.slave, link)); err != nil {
		t.Fatal(err)
	}
	defer third.serve(nil)()
	if got, err := p.Exchange(t.Context(), ask("d?")); err != nil || string(got) != "d!" {
		t.Errorf("adapter swapped between exchanges: got %q, %v", got, err)
	}
}

func TestCloseEndsAnExchangeThatWaits(t *testing.T) {
	f := newFar(t)
	p := portOn(t, f.slave)
	failed := make(chan error, 3)
	for range cap(failed) { // one on the line, two waiting for their turn
		go func() {
			q := ask("x?")
			q.Timeout = time.Hour
			_, err := p.Exchange(context.Background(), q)
			failed <- err
		}()
	}
	f.hear(2)
	if err := p.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	for range cap(failed) {
		if err := <-failed; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want %v", err, ErrClosed)
		}
	}
	if _, err := p.Exchange(t.Context(), ask("x?")); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: got %v, want %v", err, ErrClosed)
	}
}

func TestAFarEndThatNeverReadsBlocksNobody(t *testing.T) {
	f := newFar(t)
	p := portOn(t, f.slave)
	p.configure(Settings{Serial: f.slave, Baud: 4_000_000}.withDefaults())
	q := Request{Frame: make([]byte, maxRequest), Timeout: time.Millisecond, Answer: until('!')}
	for range 200 { // 100 KB: more than any queue holds
		if _, err := p.Exchange(t.Context(), q); err == nil {
			t.Fatal("got an answer from nobody")
		}
	}
}

func TestANoisyLineIsGivenUp(t *testing.T) {
	f := newFar(t)
	p := portOn(t, f.slave)
	stop := make(chan struct{})
	var babble sync.WaitGroup
	babble.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond):
				f.say("zz")
			}
		}
	})
	defer babble.Wait()
	defer close(stop)
	q := ask("x?")
	q.Timeout = 100 * time.Millisecond
	_, err := p.Exchange(t.Context(), q)
	if _, timeout := errors.AsType[*NoReplyError](err); err == nil || !timeout && !errors.Is(err, ErrNoise) {
		t.Errorf("got %v, want noise or no answer", err)
	}
}

func TestPortInUseIsRefused(t *testing.T) {
	f := newFar(t)
	stop := f.serve(nil)
	defer stop()
	first, second := portOn(t, f.slave), portOn(t, f.slave)
	if _, err := first.Exchange(t.Context(), ask("a?")); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Exchange(t.Context(), ask("b?")); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second owner: got %v, want that the port is in use", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := second.Exchange(t.Context(), ask("b?")); err != nil || string(got) != "b!" {
		t.Errorf("after the first let go: got %q, %v", got, err)
	}
}

func TestUpdateReopensWhatChangedAndClosesWhatHasGone(t *testing.T) {
	a, b := newFar(t), newFar(t)
	defer a.serve(nil)()
	defer b.serve(nil)()
	set, err := NewSet(map[string]Settings{"one": {Serial: a.slave}, "two": {Serial: b.slave, Parity: "even"}})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	one, _ := set.Port("one")
	two, _ := set.Port("two")
	for _, p := range []*Port{one, two} {
		if _, err := p.Exchange(t.Context(), ask("x?")); err != nil {
			t.Fatal(err)
		}
	}
	if got := termios(t, b.slave).Iflag & unix.INPCK; got == 0 {
		t.Errorf("even parity is not checked")
	}
	before := one.line
	if err := set.Update(map[string]Settings{"one": {Serial: a.slave, Baud: 1234}}); err == nil {
		t.Error("an impossible rate was accepted")
	}
	if _, err := one.Exchange(t.Context(), ask("x?")); err != nil || one.line != before {
		t.Errorf("a refused update disturbed the line: %v", err)
	}
	if err := set.Update(map[string]Settings{"one": {Serial: a.slave, Baud: 2400}}); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Exchange(t.Context(), ask("x?")); err != nil {
		t.Errorf("after a change: %v", err)
	}
	if got := termios(t, a.slave).Cflag & unix.CBAUD; got != unix.B2400 {
		t.Errorf("speed is %#o, want 2400 bit/s, %#o", got, unix.B2400)
	}
	if _, err := two.Exchange(t.Context(), ask("x?")); !errors.Is(err, ErrClosed) {
		t.Errorf("a line that has gone: got %v, want %v", err, ErrClosed)
	}
	if _, err := set.Port("two"); err == nil {
		t.Error("a line that has gone is still found")
	}
}

func termios(t *testing.T, path string) *unix.Termios {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func TestTapSeesBothDirections(t *testing.T) {
	f := newFar(t)
	p := portOn(t, f.slave)
	defer f.serve(nil)()
	seen := map[Direction]string{}
	p.SetTap(func(dir Direction, at time.Time, b []byte) {
		if at.IsZero() {
			t.Error("a frame without a time")
		}
		seen[dir] += string(b)
	})
	if _, err := p.Exchange(t.Context(), ask("a?")); err != nil {
		t.Fatal(err)
	}
	p.SetTap(nil)
	if _, err := p.Exchange(t.Context(), ask("b?")); err != nil {
		t.Fatal(err)
	}
	if seen[Out] != "a?" || seen[In] != "a!" {
		t.Errorf("tap saw out %q and in %q", seen[Out], seen[In])
	}
}

func TestSilenceIsKeptBetweenExchanges(t *testing.T) {
	f := newFar(t)
	defer f.serve(nil)()
	set, err := NewSet(map[string]Settings{"line": {Serial: f.slave, Silence: 30 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	p, _ := set.Port("line")
	var lastIn time.Time
	gap := time.Hour
	p.SetTap(func(dir Direction, at time.Time, _ []byte) {
		if dir == Out && !lastIn.IsZero() {
			gap = min(gap, at.Sub(lastIn))
		}
		if dir == In {
			lastIn = at
		}
	})
	for range 4 {
		if _, err := p.Exchange(t.Context(), ask("x?")); err != nil {
			t.Fatal(err)
		}
	}
	// The tap's clock is read a moment after the port's own.
	if gap < 29*time.Millisecond || gap == time.Hour {
		t.Errorf("shortest gap %v, want 30ms", gap)
	}
}

func TestOpenErrorsNameThePort(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + "-missing"} {
		_, err := portOn(t, path).Exchange(t.Context(), ask("x?"))
		if err == nil || !strings.Contains(err.Error(), "bus line: open "+path+": ") {
			t.Errorf("open %s: got %v", path, err)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, c := range []struct {
		settings Settings
		want     string // the keys that are wrong
	}{
		{Settings{Serial: "/dev/x"}, ""},
		{Settings{Serial: "/dev/x", Baud: 2400, DataBits: 8, Parity: "even", StopBits: 1, Silence: time.Millisecond}, ""},
		{Settings{}, "serial"},
		{Settings{Serial: "/dev/x", Baud: 14400}, "baud"},
		{Settings{Serial: "/dev/x", Baud: -1, DataBits: 9, Parity: "mark", StopBits: 3, Silence: -1}, "baud data_bits parity stop_bits silence"},
	} {
		var got []string
		c.settings.Validate(func(path, _ string) { got = append(got, path) })
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: got mistakes at %v, want %q", c.settings, got, c.want)
		}
	}
	_, err := NewSet(map[string]Settings{"a": {Serial: "/dev/x"}, "b": {Serial: "/dev/x"}})
	if err == nil || !strings.Contains(err.Error(), "belongs to bus a") {
		t.Errorf("one port, two buses: got %v", err)
	}
}

func TestEveryRateOfTheTableOpens(t *testing.T) {
	f := newFar(t)
	for _, baud := range bauds {
		s := Settings{Serial: f.slave, Baud: baud}
		line, err := openTTY(s.withDefaults())
		if err != nil {
			t.Errorf("%d: %v", baud, err)
			continue
		}
		if err := line.close(); err != nil {
			t.Errorf("%d: close: %v", baud, err)
		}
	}
}

func TestDefaultSilence(t *testing.T) {
	for _, c := range []struct {
		baud int
		want time.Duration
	}{{9600, 3645833 * time.Nanosecond}, {2400, 14583333 * time.Nanosecond}, {115200, 1750 * time.Microsecond}} {
		if got := (Settings{Baud: c.baud}).withDefaults().silence(); got != c.want {
			t.Errorf("%d baud: got %v, want %v", c.baud, got, c.want)
		}
	}
	if got := fmt.Sprint((&NoReplyError{Waited: time.Second})); got != "no answer within 1s" {
		t.Errorf("got %q", got)
	}
}
