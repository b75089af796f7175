package cloudsim

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// lineBuffer is how many bytes are under way in one direction before a writer has to wait.
const lineBuffer = 64 << 10

// Line is a way to a cloud in memory, for tests in simulated time: a listener at one end, Dial at
// the other, and a cable between that can be cut without either side being told.
type Line struct {
	calls  chan *wire
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex // guards what follows, and what is in the wires
	cut     bool
	refuse  bool
	dials   int
	changed chan struct{} // closed and made anew whenever something has changed
}

// NewLine gives a line that is whole.
func NewLine() *Line {
	return &Line{calls: make(chan *wire), closed: make(chan struct{}), changed: make(chan struct{})}
}

// SetCut drops everything from now on, or lets through again what has waited.
func (l *Line) SetCut(cut bool) { l.change(func() { l.cut = cut }) }

// SetRefuse lets Dial find nobody.
func (l *Line) SetRefuse(refuse bool) { l.change(func() { l.refuse = refuse }) }

func (l *Line) change(how func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	how()
	l.changedLocked()
}

func (l *Line) changedLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Dials counts the tries to connect.
func (l *Line) Dials() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dials
}

// Dial opens a connection to whoever accepts at the other end. On a cut line it waits for ctx.
func (l *Line) Dial(ctx context.Context, _ string) (net.Conn, error) {
	l.mu.Lock()
	l.dials++
	cut, refuse := l.cut, l.refuse
	l.mu.Unlock()
	if refuse {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	calls := l.calls
	if cut {
		calls = nil
	}
	near, far := &wire{line: l}, &wire{line: l}
	near.peer, far.peer = far, near
	select {
	case calls <- far:
		return near, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept gives the next connection.
func (l *Line) Accept() (net.Conn, error) {
	select {
	case w := <-l.calls:
		return w, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends the listener.
func (l *Line) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is no address of any network.
func (l *Line) Addr() net.Addr { return lineAddr{} }

type lineAddr struct{}

func (lineAddr) Network() string { return "memory" }
func (lineAddr) String() string  { return "memory" }

// wire is one end of a connection. line.mu guards what is in it.
type wire struct {
	line          *Line
	peer          *wire
	arriving      []byte // from the other end
	closed        bool
	reset         bool // the other end closed while the line was cut: what was under way is lost
	readBy, until time.Time
}

// Read waits until something has come through.
func (w *wire) Read(b []byte) (n int, err error) {
	err = w.wait(func() time.Time { return w.readBy }, func() (bool, error) {
		switch {
		case w.closed:
			return true, net.ErrClosed
		case w.line.cut:
			return false, nil
		case w.reset:
			return true, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
		case len(w.arriving) > 0:
			n = copy(b, w.arriving)
			w.arriving = w.arriving[n:]
			w.line.changedLocked() // there is room
			return true, nil
		case w.peer.closed:
			return true, io.EOF
		}
		return len(b) == 0, nil
	})
	return n, err
}

// Write waits while too much is under way.
func (w *wire) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		err = w.wait(func() time.Time { return w.until }, func() (bool, error) {
			room := lineBuffer - len(w.peer.arriving)
			switch {
			case w.closed:
				return true, net.ErrClosed
			case w.peer.closed && !w.line.cut:
				return true, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
			case room == 0:
				return false, nil
			}
			step := min(room, len(b)-n)
			w.peer.arriving = append(w.peer.arriving, b[n:n+step]...)
			n += step
			w.line.changedLocked()
			return true, nil
		})
	}
	return n, err
}

// wait tries until it is done or the deadline has come. Both are called with the lock held.
func (w *wire) wait(deadline func() time.Time, try func() (done bool, err error)) error {
	for {
		w.line.mu.Lock()
		done, err := try()
		by, changed := deadline(), w.line.changed
		w.line.mu.Unlock()
		if done {
			return err
		}
		if by.IsZero() {
			<-changed
			continue
		}
		left := time.Until(by)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Close ends both ends, once the news has got through.
func (w *wire) Close() error {
	w.line.change(func() {
		w.peer.reset = w.peer.reset || w.line.cut && !w.closed
		w.closed = true
	})
	return nil
}

// SetDeadline is for reading and writing.
func (w *wire) SetDeadline(t time.Time) error {
	w.line.change(func() { w.readBy, w.until = t, t })
	return nil
}

// SetReadDeadline ends waiting for bytes at t.
func (w *wire) SetReadDeadline(t time.Time) error {
	w.line.change(func() { w.readBy = t })
	return nil
}

// SetWriteDeadline ends waiting for room at t.
func (w *wire) SetWriteDeadline(t time.Time) error {
	w.line.change(func() { w.until = t })
	return nil
}

// LocalAddr is no address of any network.
func (w *wire) LocalAddr() net.Addr { return lineAddr{} }

// RemoteAddr is no address of any network.
func (w *wire) RemoteAddr() net.Addr { return lineAddr{} }
