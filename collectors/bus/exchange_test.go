package bus

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/collectors/bus/pty"
)

// rate is what the port is set to.
func rate(t *testing.T, line *pty.Line) uint32 {
	t.Helper()
	return termios(t, line.Path()).Cflag & unix.CBAUD
}

// A meter at 2400 8E1 and another at 9600 8N1 share a port. A pseudo-terminal has no parity, so the test
// sees the rates alone.
func TestSettingsSwitchBetweenTurns(t *testing.T) {
	line := newLine(t)
	set := newSet(t, map[string]Settings{"line": {Serial: line.Path(), Silence: time.Millisecond}})
	slow, quick := client(t, set, "bus://line", "slow"), client(t, set, "bus://line", "quick")
	serve(t, line, func(request string) []byte {
		if request == "rate" {
			return []byte(map[uint32]string{unix.B2400: "2400!", unix.B9600: "9600!", unix.B300: "300!"}[rate(t, line)])
		}
		return exclaim(request)
	})
	for range 3 {
		q := ask("rate?")
		q.Character = &Character{Baud: 2400, Parity: "even"}
		if got, err := slow.Exchange(t.Context(), q); err != nil || string(got) != "2400!" {
			t.Errorf("got %q, %v; want 2400", got, err)
		}
		want(t, quick, "rate?", "9600!")
	}
	// The answer comes at another rate than the request, and the next request has the line's own again.
	turn, err := slow.Take(t.Context(), false)
	must(t, err)
	defer turn.Release()
	q := ask("x?")
	q.Character, q.After = &Character{Baud: 300, DataBits: 7, Parity: "even"}, &Character{Baud: 2400, Parity: "even"}
	if _, err := turn.Exchange(t.Context(), q); err != nil || rate(t, line) != unix.B2400 {
		t.Errorf("after the request: rate %#o, %v; want 2400", rate(t, line), err)
	}
	if got, err := turn.Exchange(t.Context(), ask("rate?")); err != nil || string(got) != "9600!" {
		t.Errorf("got %q, %v; want 9600", got, err)
	}
}

// The rate changes when the request has left, not before: at 300 bit/s its 5 characters take 167 ms.
func TestTheRateChangesBehindTheRequest(t *testing.T) {
	line := newLine(t)
	c := on(t, Settings{Serial: line.Path(), Silence: time.Millisecond})
	serve(t, line, exclaim)
	q := ask("abcd?")
	q.Character, q.After = &Character{Baud: 300, DataBits: 7, Parity: "even"}, &Character{Baud: 9600}
	started := time.Now()
	if _, err := c.Exchange(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if took, least := time.Since(started), (Character{300, 7, "even", 1}).wireTime(5); took < least {
		t.Errorf("the exchange took %v, less than its request at 300 bit/s, %v", took, least)
	}
}

func TestSilenceAndTurnaroundAreKept(t *testing.T) {
	line := newLine(t)
	set := newSet(t, map[string]Settings{"line": {
		Serial: line.Path(), Character: Character{Baud: 115200}, Silence: 20 * time.Millisecond, Turnaround: 60 * time.Millisecond,
	}})
	a, b := client(t, set, "bus://line", "a"), client(t, set, "bus://line", "b")
	var answered time.Time
	pauses := make(chan time.Duration, 16)
	serve(t, line, func(request string) []byte {
		pauses <- time.Since(answered)
		answered = time.Now()
		return exclaim(request)
	})
	for i, step := range []struct {
		c     *Client
		least time.Duration
	}{{a, 0}, {a, 20 * time.Millisecond}, {a, 20 * time.Millisecond}, {b, 60 * time.Millisecond}, {b, 20 * time.Millisecond}, {a, 60 * time.Millisecond}} {
		want(t, step.c, "x?", "x!")
		// The gateway's clock starts when it has read the answer, after the device's.
		if pause := <-pauses; pause < step.least {
			t.Errorf("request %d came %v after the answer before it, want %v", i, pause, step.least)
		}
	}
}

// However exact its end, the silence before a request is whole: from the moment at which the last character
// of the answer arrived, which the line knows, to that at which the request is written.
func TestTheSilenceIsWholeOnTheWire(t *testing.T) {
	for _, c := range []Character{{9600, 8, "none", 1}, {115200, 8, "none", 1}} {
		line := newLine(t)
		line.Pace(c.Baud, 10)
		settings := Settings{Serial: line.Path(), Character: c}
		asks := on(t, settings)
		silence, text := settings.silence(c), "answer!"
		ends := make(chan time.Time, 32)
		var device sync.WaitGroup
		device.Go(func() {
			request := make([]byte, 4)
			for {
				if _, err := io.ReadFull(line, request); err != nil {
					return
				}
				begin := line.Quiet().Add(silence)
				if now := time.Now(); begin.Before(now) {
					begin = now // it is late, and the line is later still
				}
				ends <- begin.Add(c.wireTime(len(text)))
				if _, err := line.WriteFrom([]byte(text), begin); err != nil {
					return
				}
			}
		})
		for range cap(ends) - 1 {
			want(t, asks, "ask?", text)
		}
		must(t, line.Close())
		device.Wait()
		var end time.Time
		for _, f := range asks.Port().Recent(0) {
			if f.Direction != Out {
				continue
			}
			// What the monitor shows has microseconds at best: clocks that people set are slewed.
			if pause := f.At.Sub(end); !end.IsZero() && pause < silence-5*time.Microsecond {
				t.Errorf("%v: a request came %v after the answer before it, want %v", c, pause, silence)
			}
			end = <-ends
		}
	}
}

// Answers here do not say what they answer, so one that is late must not reach the next request of the
// same device, whatever the next one is.
func TestALateAnswerIsNeverTakenForTheNext(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	serve(t, line, func(request string) []byte {
		if request == "slow" {
			time.Sleep(250 * time.Millisecond) // past the time-out of a real line, which knows no simulated time
		}
		return exclaim(request)
	})
	if _, err := c.Exchange(t.Context(), brief("slow?", 150*time.Millisecond)); err == nil {
		t.Fatal("got an answer before it was given")
	}
	q := ask("quick?")
	q.Urgent = true
	if got, err := c.Exchange(t.Context(), q); err != nil || string(got) != "quick!" {
		t.Errorf("got %q, %v; want quick!", got, err)
	}

	// Within one turn as well.
	turn, err := c.Take(t.Context(), false)
	must(t, err)
	defer turn.Release()
	if _, err := turn.Exchange(t.Context(), brief("slow?", 150*time.Millisecond)); err == nil {
		t.Fatal("got an answer before it was given")
	}
	if got, err := turn.Exchange(t.Context(), ask("quick?")); err != nil || string(got) != "quick!" {
		t.Errorf("within a turn: got %q, %v; want quick!", got, err)
	}
}

// A device that is gone holds back itself, and nobody else.
func TestADeadDeviceCostsItsOwnTimeOnly(t *testing.T) {
	line := newLine(t)
	set := newSet(t, map[string]Settings{"line": fast(line.Path())})
	dead, alive := client(t, set, "bus://line", "dead"), client(t, set, "bus://line", "alive")
	serve(t, line, func(request string) []byte {
		if request == "dead" {
			return nil
		}
		return exclaim(request)
	})
	q := brief("dead?", 50*time.Millisecond)
	q.Late = time.Hour
	if _, err := dead.Exchange(t.Context(), q); err == nil {
		t.Fatal("the dead device answered")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if _, err := dead.Exchange(ctx, q); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrNotSent) {
			t.Errorf("the dead device's next: got %v, want that it was cancelled before it was sent", err)
		}
	})
	for range 5 {
		want(t, alive, "a?", "a!")
	}
	cancel()
	waiting.Wait()
	s := set.Ports()[0].Stats()
	if s.Exchanges != 6 || len(s.Clients) != 2 {
		t.Errorf("got %+v", s)
	}
	for _, c := range s.Clients {
		switch c.Device {
		case "dead":
			if c.NoReply != 1 || c.Exchanges != 1 || !c.LastGood.IsZero() {
				t.Errorf("dead: %+v", c)
			}
		case "alive":
			if c.Exchanges != 5 || c.NoReply != 0 || c.Fastest < 0 || c.Mean < c.Fastest || c.Slowest < c.Mean || c.LastGood.IsZero() {
				t.Errorf("alive: %+v", c)
			}
		}
	}
}

// What is on the line from an answer that was given up goes away before anybody's next request.
func TestAGarbledAnswerIsFlushedToItsEnd(t *testing.T) {
	line := newLine(t)
	settings := fast(line.Path())
	settings.Gap = 200 * time.Millisecond
	set := newSet(t, map[string]Settings{"line": settings})
	a, b := client(t, set, "bus://line", "a"), client(t, set, "bus://line", "b")
	first := true
	serve(t, line, func(request string) []byte {
		if !first {
			return exclaim(request)
		}
		first = false
		if _, err := line.Write([]byte("broken")); err != nil {
			t.Error(err)
		}
		time.Sleep(300 * time.Millisecond) // longer than an answer may pause
		return []byte("tail!")
	})
	_, err := a.Exchange(t.Context(), ask("x?"))
	if noReply, ok := errors.AsType[*NoReplyError](err); !ok || string(noReply.Received) != "broken" {
		t.Fatalf("got %v, want what came first", err)
	}
	want(t, b, "y?", "y!")
}

func TestListeningTakesWhatIsSentUnasked(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	must(t, openFirst(c))
	say := func(text string) {
		t.Helper()
		if _, err := line.Write([]byte(text)); err != nil {
			t.Error(err)
		}
	}
	say("old!")
	time.Sleep(20 * time.Millisecond) // so that it has arrived before anybody listens
	turn, err := c.Take(t.Context(), false)
	must(t, err)
	defer turn.Release()
	listen := Request{Timeout: 5 * time.Second, Answer: until('!')}
	var meter sync.WaitGroup
	meter.Go(func() {
		time.Sleep(50 * time.Millisecond) // somebody listens by then
		say("one!two!thr")
		time.Sleep(5 * time.Millisecond) // a telegram in two pieces, as a real line brings it
		say("ee!")
	})
	for _, telegram := range []string{"one!", "two!", "three!"} {
		if got, err := turn.Exchange(t.Context(), listen); err != nil || string(got) != telegram {
			t.Errorf("got %q, %v; want %q", got, err, telegram)
		}
	}
	meter.Wait()
}

// openFirst makes the port open, so that what comes from then on is there when somebody listens.
func openFirst(c *Client) error {
	_, err := c.Exchange(context.Background(), Request{Timeout: time.Millisecond, Answer: until('!')})
	if _, silent := errors.AsType[*NoReplyError](err); silent {
		return nil
	}
	return err
}

func TestRequestsThatCannotBe(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	if _, err := c.Exchange(t.Context(), Request{Frame: []byte("x")}); err == nil {
		t.Error("a request without a way to know its answer was sent")
	}
	long := ask(strings.Repeat("x", maxRequest+1))
	if _, err := c.Exchange(t.Context(), long); err == nil || !strings.Contains(err.Error(), "longer than 512") {
		t.Errorf("a long request: got %v", err)
	}
	turn, err := c.Take(t.Context(), true)
	must(t, err)
	turn.Release()
	turn.Release()
	if _, err := turn.Exchange(t.Context(), ask("x?")); err == nil {
		t.Error("a turn that was released could be used")
	}
	set := newSet(t, nil)
	for _, address := range []string{"bus://none", "serial:///dev/x", "tcp://", "tcp://host", "line"} {
		if _, err := set.Client(address, "d"); err == nil {
			t.Errorf("there is a client of %q", address)
		}
	}
}

// An answer has the caller's memory when it fits, and never that of another exchange.
func TestAnswersBelongToTheCaller(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	serve(t, line, exclaim)
	first, err := c.Exchange(t.Context(), ask("first?"))
	must(t, err)
	q := ask("other?")
	q.Buffer = make([]byte, 0, 64)
	second, err := c.Exchange(t.Context(), q)
	must(t, err)
	if string(first) != "first!" || string(second) != "other!" || &second[0] != &q.Buffer[:1][0] {
		t.Errorf("got %q and %q", first, second)
	}
}
