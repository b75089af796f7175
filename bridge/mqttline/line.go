// Package mqttline is what both MQTT uplinks stand on: their addresses, the connection with TLS and
// WebSocket up to where MQTT begins, and a line that takes every byte at once, because no MQTT client
// library is at ease with a connection that blocks.
package mqttline

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"sluice/bridge/dial"
)

// maxWaiting is how many bytes may wait for the line before Room makes its caller wait.
const maxWaiting = 256 << 10

// ErrClosed is what a line says to a client library after its end.
var ErrClosed = errors.New("the line is closed")

// Line is the connection as a client library sees it. Writing never blocks: bytes wait in memory, and
// one goroutine sends all that have gathered in one piece. So the library's goroutines always move,
// and a window of small messages costs a few system calls.
type Line struct {
	// Mutex keeps a packet that is written in pieces together: paho.golang locks what has a Lock.
	sync.Mutex

	conn net.Conn
	raw  *dial.Patient
	in   io.Reader
	// broken is told why the line ended, before the library is. It is not called after Finish.
	broken func(error)

	mu       sync.Mutex // guards what follows
	waiting  []byte
	spare    []byte
	taken    int64 // bytes that were ever written to the line
	sent     int64 // those that the connection has taken
	closing  bool
	progress chan struct{} // closed when sent grows, if somebody asked
	wake     chan struct{}
	done     chan struct{} // closed when Run has returned
}

// New makes a line over conn, which stands on raw. What comes in is read from in, which may look into
// it. Somebody must Run it.
func New(conn net.Conn, raw *dial.Patient, in io.Reader, broken func(error)) *Line {
	return &Line{conn: conn, raw: raw, in: in, broken: broken,
		wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// Read hands bytes to the library.
func (l *Line) Read(b []byte) (int, error) {
	n, err := l.in.Read(b)
	if err == nil {
		return n, nil
	}
	if !l.isClosing() {
		l.broken(err)
	}
	// One library takes an error that speaks of a closed connection for its own doing and then
	// forgets to clean up, so none ever sees the real one.
	return n, ErrClosed
}

func (l *Line) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}

// Write takes b and returns at once.
func (l *Line) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return 0, ErrClosed
	}
	l.waiting = append(l.waiting, b...)
	l.taken += int64(len(b))
	l.wakeLocked()
	return len(b), nil
}

// WritePacket takes a whole packet, which comes neither before nor behind half of another.
func (l *Line) WritePacket(b []byte) error {
	l.Lock()
	defer l.Unlock()
	_, err := l.Write(b)
	return err
}

func (l *Line) wakeLocked() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

// Close ends the line after what waits has been sent, if that goes quickly.
func (l *Line) Close() error {
	l.Finish(nil)
	return nil
}

// Finish ends the line like Close, with some last bytes.
func (l *Line) Finish(lastWords []byte) {
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

// Done is closed when Run has returned.
func (l *Line) Done() <-chan struct{} { return l.done }

// Run sends what was written until the line ends, and closes the connection.
func (l *Line) Run() {
	defer close(l.done)
	for {
		batch, closing := l.take()
		if len(batch) > 0 {
			if _, err := l.conn.Write(batch); err != nil {
				if !closing {
					l.broken(err)
				}
				l.Finish(nil)
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
func (l *Line) take() (batch []byte, closing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch = l.waiting
	if cap(l.spare) > 4*maxWaiting {
		l.spare = nil // one huge message shall not keep its memory for ever
	}
	l.waiting, l.spare = l.spare[:0], batch
	return batch, l.closing
}

func (l *Line) sentMore(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent += int64(n)
	if l.progress != nil {
		close(l.progress)
		l.progress = nil
	}
}

// Room waits until few enough bytes wait for the line.
func (l *Line) Room(ctx context.Context, lost <-chan struct{}) error {
	return l.await(ctx, lost, func() bool { return l.taken-l.sent < maxWaiting })
}

// Flush waits until everything written before has been sent.
func (l *Line) Flush(ctx context.Context, lost <-chan struct{}) error {
	l.mu.Lock()
	upTo := l.taken
	l.mu.Unlock()
	return l.await(ctx, lost, func() bool { return l.sent >= upTo })
}

func (l *Line) await(ctx context.Context, lost <-chan struct{}, fulfilled func() bool) error {
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
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Moved is how many bytes were written on the connection, and how many of them the other end has: see dial.Patient.
func (l *Line) Moved() (written, reached int64) { return l.raw.Written(), l.raw.Reached() }

// LocalAddr is the connection's.
func (l *Line) LocalAddr() net.Addr { return l.conn.LocalAddr() }

// RemoteAddr is the connection's.
func (l *Line) RemoteAddr() net.Addr { return l.conn.RemoteAddr() }

// SetDeadline does nothing: reading ends with the line, and writing never waits.
func (l *Line) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (l *Line) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (l *Line) SetWriteDeadline(time.Time) error { return nil }
