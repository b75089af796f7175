package bus

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// far is the far end of a pseudo-terminal: the adapter, the wire and what is on it.
type far struct {
	t      *testing.T
	master *os.File
	slave  string // what the port opens
}

func newFar(t *testing.T) *far {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open /dev/ptmx: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatalf("unlock the pseudo-terminal: %v", err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatalf("number of the pseudo-terminal: %v", err)
	}
	f := &far{t: t, master: os.NewFile(uintptr(fd), "ptmx"), slave: "/dev/pts/" + strconv.Itoa(int(n))}
	// As long as somebody has the near end open, the far end outlives a close of the port.
	hold, err := unix.Open(f.slave, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open %s: %v", f.slave, err)
	}
	t.Cleanup(func() { f.master.Close(); unix.Close(hold) })
	return f
}

// hear reads exactly n bytes.
func (f *far) hear(n int) []byte {
	f.t.Helper()
	if err := f.master.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		f.t.Fatal(err)
	}
	var heard []byte
	b := make([]byte, n)
	for len(heard) < n {
		got, err := f.master.Read(b[:n-len(heard)])
		if err != nil {
			f.t.Errorf("far end heard %q, then: %v", heard, err)
			return heard
		}
		heard = append(heard, b[:got]...)
	}
	return heard
}

func (f *far) say(text string) {
	f.t.Helper()
	if _, err := f.master.WriteString(text); err != nil {
		f.t.Errorf("far end says %q: %v", text, err)
	}
}

// serve answers every request that ends in '?' with the same text ending in '!'.
func (f *far) serve(replies chan<- string) (stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var pending []byte
		b := make([]byte, 64)
		for {
			n, err := f.master.Read(b)
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
				if replies != nil {
					replies <- string(request)
				}
				fmt.Fprintf(f.master, "%s!", request)
			}
		}
	}()
	return func() { f.master.Close(); <-done }
}

// until ends an answer at mark.
func until(mark byte) FrameReader {
	return func(received []byte) ([]byte, bool) {
		i := bytes.IndexByte(received, mark)
		return received[:i+1], i >= 0
	}
}

func ask(text string) Request {
	return Request{Frame: []byte(text), Timeout: 2 * time.Second, Answer: until('!')}
}

func portOn(t *testing.T, path string) *Port {
	t.Helper()
	set, err := NewSet(map[string]Settings{"line": {Serial: path, Baud: 115200, Silence: 2 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	p, err := set.Port("line")
	if err != nil {
		t.Fatal(err)
	}
	return p
}
