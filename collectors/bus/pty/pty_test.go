package pty

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T) *Line {
	t.Helper()
	l, err := Open()
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

// near opens what the gateway would.
func near(t *testing.T, l *Line) *os.File {
	t.Helper()
	f, err := os.OpenFile(l.Path(), os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func read(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("read %q, then %v", b[:got], err)
	}
	return string(b)
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(w, text); err != nil || n != len(text) {
		t.Fatalf("wrote %d of %q: %v", n, text, err)
	}
}

func TestBothDirectionsCarryEveryByte(t *testing.T) {
	l := open(t)
	gateway := near(t, l)
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
	}
	write(t, gateway, string(all))
	if got := read(t, l, 256); got != string(all) {
		t.Errorf("the far end heard %x", got)
	}
	write(t, l, string(all))
	if got := read(t, gateway, 256); got != string(all) {
		t.Errorf("the gateway heard %x", got)
	}
}

// 40 characters at 2400 8E1 take 183 ms, in either direction, however they are read.
func TestCharactersTakeTheirTime(t *testing.T) {
	l := open(t)
	l.Pace(2400, 11)
	gateway := near(t, l)
	const wire = 40 * 11 * time.Second / 2400
	text := string(bytes.Repeat([]byte("0123456789"), 4))
	for _, c := range []struct {
		name     string
		from, to io.ReadWriter
	}{{"to the far end", gateway, l}, {"to the gateway", l, gateway}} {
		started := time.Now()
		var sending sync.WaitGroup
		sending.Go(func() { write(t, c.from, text) })
		var half time.Duration
		got := read(t, c.to, 20)
		half = time.Since(started)
		got += read(t, c.to, 20)
		took := time.Since(started)
		sending.Wait()
		if got != text || took < wire || half < wire/2 || half > took-wire/4 {
			t.Errorf("%s: %q, half after %v and all after %v; want %v", c.name, got, half, took, wire)
		}
	}
}

// Late wake-ups do not add up: a long burst takes what its characters take.
func TestPaceDoesNotDrift(t *testing.T) {
	var w wire
	start := time.Now()
	w.put(make([]byte, 100), start, time.Millisecond)
	if got := len(w.take(start)); got != 0 {
		t.Errorf("%d characters are there before the first can be", got)
	}
	heard := 0
	for ms := 7; ms <= 105; ms += 7 { // whoever listens comes now and then only
		heard += len(w.take(start.Add(time.Duration(ms) * time.Millisecond)))
		if want := min(ms, 100); heard != want {
			t.Errorf("after %d ms %d characters are there, want %d", ms, heard, want)
		}
	}
	// The next burst begins when the wire is free, or later.
	w.put([]byte("x"), start.Add(99*time.Millisecond), time.Millisecond)
	if len(w.take(start.Add(100*time.Millisecond))) != 0 || len(w.take(start.Add(101*time.Millisecond))) != 1 {
		t.Error("a character overtook the one before it")
	}
}

// A device counts its silence from the moment at which the request had arrived, however late it read it.
func TestADeviceKnowsWhenTheLineFellQuietAndBeginsWhenItWants(t *testing.T) {
	var w wire
	start := time.Now()
	w.put([]byte("abc"), start, time.Millisecond)
	w.take(start.Add(2500 * time.Microsecond))
	if got := w.fellQuiet().Sub(start); got != 2*time.Millisecond {
		t.Errorf("after two of three characters: quiet since %v, want 2ms", got)
	}
	w.take(start.Add(time.Second))
	if got := w.fellQuiet().Sub(start); got != 3*time.Millisecond {
		t.Errorf("after all: quiet since %v, want 3ms", got)
	}

	l := open(t)
	l.Pace(9600, 10)
	gateway := near(t, l)
	const character = 10 * time.Second / 9600
	start = time.Now()
	write(t, gateway, "12345678")
	read(t, l, 8)
	quiet := l.Quiet()
	if took := quiet.Sub(start); took < 8*character || quiet.After(time.Now()) {
		t.Errorf("8 characters fell quiet after %v, want %v or a little more, and not after now", took, 8*character)
	}
	begin := quiet.Add(20 * time.Millisecond)
	var answering sync.WaitGroup
	answering.Go(func() {
		if _, err := l.WriteFrom([]byte("abcd"), begin); err != nil {
			t.Error(err)
		}
	})
	read(t, gateway, 1)
	first := time.Since(begin)
	read(t, gateway, 3)
	last := time.Since(begin)
	answering.Wait()
	if first < character || last < 4*character {
		t.Errorf("the first character came after %v, the last after %v; want %v and %v at least", first, last, character, 4*character)
	}
}

func TestEchoComesBackToTheGateway(t *testing.T) {
	l := open(t)
	gateway := near(t, l)
	l.Echo(true)
	write(t, gateway, "abc")
	if got := read(t, l, 3); got != "abc" {
		t.Errorf("the far end heard %q", got)
	}
	write(t, l, "xyz")
	if got := read(t, gateway, 6); got != "abcxyz" {
		t.Errorf("the gateway heard %q", got)
	}
}

func TestNoiseDoesItsShareOfDamage(t *testing.T) {
	clean := make([]byte, 100_000)
	for i := range clean {
		clean[i] = byte(i)
	}
	damaged := func(n Noise, direction uint64) []byte {
		var d damage
		d.use(noiseSetting{n, 1}, direction)
		return d.of(bytes.Clone(clean))
	}
	if got := damaged(Noise{Seed: 1}, 1); !bytes.Equal(got, clean) {
		t.Error("a good line did damage")
	}
	flipped := damaged(Noise{FlipBits: 0.01, Seed: 1}, 1)
	wrong := 0
	for i := range flipped {
		if flipped[i] != clean[i] {
			wrong++
		}
	}
	if len(flipped) != len(clean) || wrong < 900 || wrong > 1100 {
		t.Errorf("%d of 100000 characters are wrong, want about 1000", wrong)
	}
	if got := len(damaged(Noise{DropBytes: 0.01, Seed: 1}, 1)); got < 98_900 || got > 99_100 {
		t.Errorf("%d of 100000 characters are left, want about 99000", got)
	}
	if got := len(damaged(Noise{RandomBytes: 0.01, Seed: 1}, 1)); got < 100_900 || got > 101_100 {
		t.Errorf("100000 characters became %d, want about 101000", got)
	}
	n := Noise{FlipBits: 0.1, DropBytes: 0.1, RandomBytes: 0.1, Seed: 7}
	if !bytes.Equal(damaged(n, 1), damaged(n, 1)) || bytes.Equal(damaged(n, 1), damaged(n, 2)) {
		t.Error("the same seed does other damage, or both directions the same")
	}
}

func TestNoiseIsOnTheLine(t *testing.T) {
	l := open(t)
	gateway := near(t, l)
	l.Noise(Noise{FlipBits: 1, Seed: 3})
	write(t, gateway, "aaaa")
	write(t, l, "aaaa")
	for _, end := range []io.Reader{l, gateway} {
		if got := read(t, end, 4); bytes.ContainsRune([]byte(got), 'a') {
			t.Errorf("got %q, want that no character is right", got)
		}
	}
	l.Noise(Noise{})
	write(t, gateway, "aaaa")
	if got := read(t, l, 4); got != "aaaa" {
		t.Errorf("after the noise: got %q", got)
	}
}

func TestPullAndReplug(t *testing.T) {
	l := open(t)
	gateway := near(t, l)
	heard := make(chan string)
	go func() { heard <- read(t, l, 2) }()
	must(t, l.Pull())
	if _, err := gateway.Read(make([]byte, 1)); err == nil {
		t.Error("the gateway's port did not hang up")
	}
	if _, err := os.Stat(l.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the path is still there: %v", err)
	}
	write(t, l, "lost")
	if err := l.Pull(); !errors.Is(err, ErrPulled) {
		t.Errorf("pulled twice: got %v, want %v", err, ErrPulled)
	}
	must(t, l.Replug())
	if err := l.Replug(); !errors.Is(err, ErrPlugged) {
		t.Errorf("plugged in twice: got %v, want %v", err, ErrPlugged)
	}
	gateway = near(t, l)
	write(t, gateway, "on")
	if got := <-heard; got != "on" {
		t.Errorf("the far end heard %q", got)
	}
}

func TestCloseEndsAReaderAndRemovesThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "port")
	for range 2 { // an older link is no obstacle
		l, err := OpenAt(path)
		must(t, err)
		ended := make(chan error)
		go func() {
			_, err := l.Read(make([]byte, 1))
			ended <- err
		}()
		must(t, l.Close())
		must(t, l.Close())
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want %v", err, io.EOF)
		}
		if _, err := l.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
		}
		if err := l.Replug(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v, want %v", err, os.ErrClosed)
		}
		must(t, os.Symlink("nowhere", path))
	}
	must(t, errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)))
	if _, err := OpenAt(path); err == nil {
		t.Error("a file was taken for an older link")
	}
}
