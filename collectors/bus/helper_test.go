package bus

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"sluice/collectors/bus/pty"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newLine(t testing.TB) *pty.Line {
	t.Helper()
	line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := line.Close(); err != nil {
			t.Errorf("close the line: %v", err)
		}
	})
	return line
}

// serve lets a device on the line answer every request that ends in '?'. An answer of nil is none.
func serve(t testing.TB, line io.ReadWriter, answer func(request string) []byte) {
	t.Helper()
	var device sync.WaitGroup
	device.Go(func() {
		var pending []byte
		b := make([]byte, 512)
		for {
			n, err := line.Read(b)
			if err != nil {
				return
			}
			pending = append(pending, b[:n]...)
			for {
				request, rest, ok := bytes.Cut(pending, []byte("?"))
				if !ok {
					break
				}
				pending = rest
				if reply := answer(string(request)); reply != nil {
					if _, err := line.Write(reply); err != nil && !errors.Is(err, io.ErrClosedPipe) {
						t.Errorf("the device answers %q: %v", reply, err)
					}
				}
			}
		}
	})
	t.Cleanup(func() {
		if c, ok := line.(io.Closer); ok {
			c.Close()
		}
		device.Wait()
	})
}

// exclaim answers a request with its own text and an exclamation mark.
func exclaim(request string) []byte { return []byte(request + "!") }

// until ends an answer at mark.
func until(mark byte) FrameReader {
	return func(received []byte) ([]byte, bool) {
		i := bytes.IndexByte(received, mark)
		return received[:i+1], i >= 0
	}
}

func ask(text string) Request {
	return Request{Frame: []byte(text), Timeout: 2 * time.Second, Answer: until('!'), Protocol: "custom"}
}

func brief(text string, timeout time.Duration) Request {
	q := ask(text)
	q.Timeout = timeout
	return q
}

func fast(path string) Settings {
	return Settings{Serial: path, Character: Character{Baud: 115200}, Silence: 2 * time.Millisecond}
}

func newSet(t testing.TB, lines map[string]Settings) *Set {
	t.Helper()
	set, err := NewSet(lines)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return set
}

func client(t testing.TB, set *Set, address, device string) *Client {
	t.Helper()
	c, err := set.Client(address, device)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// on gives a client of the only line.
func on(t testing.TB, settings Settings) *Client {
	t.Helper()
	return client(t, newSet(t, map[string]Settings{"line": settings}), "bus://line", "meter")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want asks and compares the answer.
func want(t testing.TB, c *Client, request, answer string) {
	t.Helper()
	if got, err := c.Exchange(t.Context(), ask(request)); err != nil || string(got) != answer {
		t.Errorf("asked %q: got %q, %v; want %q", request, got, err, answer)
	}
}

func termios(t *testing.T, path string) *unix.Termios {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	must(t, err)
	defer unix.Close(fd)
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	must(t, err)
	return settings
}
