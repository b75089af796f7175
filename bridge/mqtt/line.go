package mqtt

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"sluice/bridge/dial"
)

// maxWaiting is how many bytes may wait for the line before Send makes its caller wait.
const maxWaiting = 256 << 10

var errLineClosed = errors.New("the line is closed")

// line is the connection as paho sees it. Writing never blocks: bytes wait in memory, and one
// goroutine sends all that have gathered in one piece. So paho's goroutines always move, a Publish
// never sits in its time-out, and a window of small messages costs a few system calls.
type line struct {
	conn    net.Conn
	raw     *dial.Patient
	inbound *inbound
	// broken is told why the line ended, before paho is. It is not called after close.
	broken func(error)

	mu       sync.Mutex // guards what follows
	waiting  []byte
	spare    []byte
	taken    int64 // bytes that were ever written to the line
	sent     int64 // those that the connection has taken
	closing  bool
	progress chan struct{} // closed when sent grows, if somebody asked
	wake     chan struct{}
	done     chan struct{} // closed when the sending goroutine has ended
}

func newLine(conn net.Conn, raw *dial.Patient, broken func(error)) *line {
	return &line{
		conn: conn, raw: raw, inbound: newInbound(conn), broken: broken,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// Read hands checked packets to paho.
func (l *line) Read(b []byte) (int, error) {
	n, err := l.inbound.Read(b)
	if err == nil {
		return n, nil
	}
	if !l.isClosing() {
		l.broken(err)
	}
	// Paho takes an error that speaks of a closed connection for its own doing and then forgets to
	// clean up, so it never sees the real one.
	return n, errLineClosed
}

func (l *line) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}

// Write takes b and returns at once.
func (l *line) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return 0, errLineClosed
	}
	l.waiting = append(l.waiting, b...)
	l.taken += int64(len(b))
	l.wakeLocked()
	return len(b), nil
}

func (l *line) wakeLocked() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

// Close ends the line after what waits has been sent, if that goes quickly.
func (l *line) Close() error {
	l.finish(nil)
	return nil
}

func (l *line) finish(lastWords []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return
	}
	l.closing = true
	l.waiting = append(l.waiting, lastWords...)
	l.raw.HurryUp()
	l.wakeLocked()
}

// send is the goroutine that writes. It ends with the connection, which it closes.
func (l *line) send() {
	defer close(l.done)
	for {
		batch, closing := l.take()
		if len(batch) > 0 {
			if _, err := l.conn.Write(batch); err != nil {
				if !closing {
					l.broken(err)
				}
				l.finish(nil)
				break
			}
			l.sentMore(len(batch))
			continue
		}
		if closing {
			break
		}
		<-l.wake
	}
	l.conn.Close()
	l.raw.Conn.Close()
}

// take gives what waits. The memory of the batch before goes on to gather the next.
func (l *line) take() (batch []byte, closing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch = l.waiting
	if cap(l.spare) > 4*maxWaiting {
		l.spare = nil // one huge message shall not keep its memory for ever
	}
	l.waiting, l.spare = l.spare[:0], batch
	return batch, l.closing
}

func (l *line) sentMore(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent += int64(n)
	if l.progress != nil {
		close(l.progress)
		l.progress = nil
	}
}

// room waits until few enough bytes wait for the line.
func (l *line) room(ctx context.Context, lost <-chan struct{}) error {
	return l.await(ctx, lost, func() bool { return l.taken-l.sent < maxWaiting })
}

// flush waits until everything written before has been sent.
func (l *line) flush(ctx context.Context, lost <-chan struct{}) error {
	l.mu.Lock()
	upTo := l.taken
	l.mu.Unlock()
	return l.await(ctx, lost, func() bool { return l.sent >= upTo })
}

func (l *line) await(ctx context.Context, lost <-chan struct{}, fulfilled func() bool) error {
	for {
		l.mu.Lock()
		if fulfilled() {
			l.mu.Unlock()
			return nil
		}
		if l.progress == nil {
			l.progress = make(chan struct{})
		}
		progress := l.progress
		l.mu.Unlock()
		select {
		case <-progress:
		case <-lost:
			return errLineClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// LocalAddr is the connection's.
func (l *line) LocalAddr() net.Addr { return l.conn.LocalAddr() }

// RemoteAddr is the connection's.
func (l *line) RemoteAddr() net.Addr { return l.conn.RemoteAddr() }

// SetDeadline does nothing: reading ends with the line, and writing never waits.
func (l *line) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (l *line) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (l *line) SetWriteDeadline(time.Time) error { return nil }
