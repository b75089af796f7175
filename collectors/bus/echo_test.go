package bus

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestEchoIsLearnedAndCutOff(t *testing.T) {
	line := newLine(t)
	line.Echo(true)
	c := on(t, fast(line.Path()))
	serve(t, line, exclaim)
	for range 3 {
		want(t, c, "ab?", "ab!")
		if !c.Port().Stats().Echo {
			t.Error("the echo was not noticed")
		}
	}
	var verdicts []string
	for _, f := range c.Port().Recent(0) {
		verdicts = append(verdicts, f.Direction.String()+" "+string(f.Bytes)+" "+f.Verdict)
	}
	if got := verdicts[:3]; got[0] != "out ab? " || got[1] != "in ab? echo of the request" || got[2] != "in ab! " {
		t.Errorf("the monitor has %q", got)
	}
	// Another adapter: what does not come is not waited for.
	line.Echo(false)
	for range 1 + surePlain {
		want(t, c, "cd?", "cd!")
	}
	if c.Port().Stats().Echo {
		t.Error("the echo has gone, and this was not noticed")
	}
}

// mirror is a request whose answer equals it, as with Modbus function 6.
func mirror(timeout time.Duration) Request {
	return Request{Frame: []byte("w1?"), Timeout: timeout, Late: -1, Answer: func(received []byte) ([]byte, bool) {
		return received[:min(3, len(received))], bytes.HasPrefix(received, []byte("w1?"))
	}}
}

func TestAnAnswerThatEqualsItsRequestIsNoEcho(t *testing.T) {
	for _, c := range []struct {
		name              string
		mode              string
		echo, read, alive bool // the adapter echoes; something was read before; the device answers
		answered          bool
	}{
		{"plain line, first of all a write", "auto", false, false, true, true},
		{"plain line, a write after a read", "auto", false, true, true, true},
		{"echo, first of all a write", "auto", true, false, true, true},
		{"echo, a write after a read", "auto", true, true, true, true},
		{"echo known, device gone", "auto", true, true, false, false},
		{"echo by configuration, device gone", "on", true, false, false, false},
		{"echo by configuration", "on", true, false, true, true},
		{"no echo by configuration", "off", false, false, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := newLine(t)
			line.Echo(c.echo)
			settings := fast(line.Path())
			settings.Echo = c.mode
			meter := on(t, settings)
			serve(t, line, func(request string) []byte {
				if request == "w1" {
					if !c.alive {
						return nil
					}
					time.Sleep(5 * time.Millisecond) // the meter comes behind the echo of a real line
					return []byte("w1?")
				}
				return exclaim(request)
			})
			for i := 0; c.read && i < surePlain; i++ {
				want(t, meter, "r?", "r!")
			}
			answer, err := meter.Exchange(t.Context(), mirror(300*time.Millisecond))
			noReply, silent := errors.AsType[*NoReplyError](err)
			switch {
			case c.answered && (err != nil || string(answer) != "w1?"):
				t.Errorf("got %q, %v; want the device's answer", answer, err)
			case !c.answered && (!silent || !noReply.Echo):
				t.Errorf("got %q, %v; want that only the request was heard", answer, err)
			}
			// Nothing that was learned stands in the way of the next.
			want(t, meter, "z?", "z!")
		})
	}
}

func TestEchoCutter(t *testing.T) {
	for _, c := range []struct {
		state    echoState
		received string
		rest     string
		hold     bool
	}{
		{echoUnknown, "ab", "", true},       // perhaps the beginning of an echo
		{echoUnknown, "abc", "", true},      // an echo, or an answer that equals the request
		{echoUnknown, "abcX", "X", false},   // an echo and the beginning of an answer
		{echoUnknown, "aX", "aX", false},    // no echo
		{echoHeard, "abc", "", false},       // certainly the echo
		{echoHeard, "abcabc", "abc", false}, // the echo, and an answer that equals the request
		{echoHeard, "aX", "aX", false},      // another adapter
		{echoHeard, "ab", "", true},
		{echoAbsent, "ab", "ab", false},
		{echoAbsent, "abcX", "abcX", false},
	} {
		e := echo{mode: "auto", state: c.state}
		rest, hold := e.cut([]byte("abc"), []byte(c.received))
		if string(rest) != c.rest || hold != c.hold {
			t.Errorf("state %d, %q: got %q, %v; want %q, %v", c.state, c.received, rest, hold, c.rest, c.hold)
		}
	}
}

func TestWhatAnEchoTeaches(t *testing.T) {
	for _, c := range []struct {
		mode     string
		before   echoState
		received string
		good     bool
		after    echoState
	}{
		{"auto", echoUnknown, "abcX", true, echoHeard},
		{"auto", echoUnknown, "abc", true, echoUnknown},
		{"auto", echoUnknown, "X", true, echoUnknown}, // perhaps behind an echo that was damaged
		{"auto", echoUnknown, "abcX", false, echoUnknown},
		{"auto", echoUnknown, "X", false, echoUnknown},
		{"auto", echoAbsent, "abc", true, echoAbsent},
		{"auto", echoAbsent, "abcX", true, echoAbsent},
		{"auto", echoAbsent, "abcX", false, echoUnknown},
		{"auto", echoHeard, "X", true, echoUnknown},
		{"auto", echoHeard, "", false, echoHeard},
		{"on", echoHeard, "X", true, echoHeard},
		{"off", echoAbsent, "abcX", false, echoAbsent},
	} {
		e := echo{mode: c.mode, state: c.before}
		e.learn([]byte("abc"), []byte(c.received), c.good)
		if e.state != c.after {
			t.Errorf("%+v: got state %d", c, e.state)
		}
	}
	e := newEcho("auto")
	for i := range surePlain {
		if e.state != echoUnknown {
			t.Errorf("sure after %d answers", i)
		}
		e.learn([]byte("abc"), []byte("X"), true)
	}
	if e.state != echoAbsent {
		t.Error("not sure after three answers without a copy")
	}
	e.tail() // behind an answer that did not equal its request
	e.learn([]byte("abc"), []byte("abc"), true)
	if e.state != echoAbsent {
		t.Error("an answer that equals its request was taken for an echo")
	}
	e.tail()
	if e.state != echoUnknown {
		t.Error("the answer came behind a copy that was taken for one, and nothing was learned")
	}
}

func FuzzEcho(f *testing.F) {
	f.Add([]byte("abc"), []byte("abcabc"), uint8(0), uint8(2))
	f.Add([]byte("abc"), []byte("ab"), uint8(1), uint8(1))
	f.Add([]byte{}, []byte("x"), uint8(2), uint8(0))
	f.Fuzz(func(t *testing.T, request, stream []byte, state, first uint8) {
		e := echo{mode: "auto", state: echoState(state % 3)}
		// However the bytes come in pieces, what is cut off is the request and nothing else, and what
		// was once passed on stays passed on.
		passed := -1
		for n := min(int(first), len(stream)); n <= len(stream); n++ {
			rest, hold := e.cut(request, stream[:n])
			if !bytes.HasSuffix(stream[:n], rest) {
				t.Fatalf("%q is not the end of %q", rest, stream[:n])
			}
			cut := n - len(rest)
			switch {
			case hold:
				if passed >= 0 || len(rest) != 0 {
					t.Fatalf("%q held back after a part was passed on", stream[:n])
				}
				continue
			case e.state == echoAbsent && cut != 0:
				t.Fatalf("cut %d bytes off a line without echo", cut)
			case cut != 0 && !bytes.Equal(stream[:cut], request):
				t.Fatalf("cut off %q, which is not %q", stream[:cut], request)
			case passed >= 0 && passed != cut:
				t.Fatalf("passed on from %d first, now from %d", passed, cut)
			}
			passed = cut
		}
		e.learn(request, stream, state > 100)
		if lone(request, stream) && e.state == echoHeard && state%3 != 1 {
			t.Fatal("a lone copy was taken for an echo")
		}
	})
}
