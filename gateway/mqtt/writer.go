package mqtt

import (
	"fmt"
	"net"
	"sync"
	"time"

	"sluice/gateway/mqtt/packet"
)

const (
	deliveryRoom = 64 << 10  // bytes waiting to be written, above which messages wait
	answerRoom   = 128 << 10 // and above which answers do, and with them the reading
	keptBuffer   = 256 << 10 // a buffer that one message has stretched beyond this is let go
)

// writer is the one goroutine that writes to a client, with what waits for it. While a write is on
// its way packets gather, and the next write takes them all. A client that does not read blocks
// whoever has something for it, once there is too much; nobody else.
type writer struct {
	socket  net.Conn
	answers *answers
	wake    chan struct{} // holds one: there is something to do
	done    chan struct{} // closed when run has left
	due     bool          // there is an answer to be let out; the reading goroutine's own

	mu      sync.Mutex // guards what follows; never held during a write
	room    sync.Cond  // pending was taken, or closed
	pending []byte
	closed  bool
}

type appender interface {
	Append(b []byte, version byte) []byte
}

func newWriter(socket net.Conn, answers *answers) *writer {
	w := &writer{socket: socket, answers: answers, wake: make(chan struct{}, 1), done: make(chan struct{})}
	w.room.L = &w.mu
	return w
}

// signal makes the writer look. It never blocks.
func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// answer puts a packet that the reading goroutine owes. It goes out with the next flush, so that a
// client which sends many requests at once gets its answers at once.
func (w *writer) answer(p appender, version byte) {
	w.put(p, version, answerRoom)
	w.due = true
}

// flush lets the answers out.
func (w *writer) flush() {
	if w.due {
		w.due = false
		w.signal()
	}
}

// deliver puts a message and says whether it had to wait for the client.
func (w *writer) deliver(p *packet.Publish, version byte) (waited bool) {
	return w.put(p, version, deliveryRoom)
}

func (w *writer) put(p appender, version byte, room int) (waited bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pending) >= room && !w.closed {
		w.signal()
		w.room.Wait()
		waited = true
	}
	if !w.closed {
		w.pending = p.Append(w.pending, version)
	}
	return waited
}

// close takes nothing more and makes everybody who waits leave: run once it has written what is
// there, within lingerTimeout.
func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.room.Broadcast()
	w.signal()
	w.socket.SetWriteDeadline(time.Now().Add(lingerTimeout)) // it fails on a closed socket, which is as good
}

// run writes until close, or until the client can no longer be written to. Whoever waits for room
// leaves with it.
func (w *writer) run() error {
	defer close(w.done)
	defer w.close()
	var out []byte
	for range w.wake {
		for {
			var timeout time.Duration
			out, timeout = w.take(out)
			if len(out) == 0 && timeout == lingerTimeout {
				return nil
			}
			if len(out) == 0 {
				break
			}
			if err := w.socket.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
				return fmt.Errorf("write to client: %w", err)
			}
			if _, err := w.socket.Write(out); err != nil {
				return fmt.Errorf("write to client: %w", err)
			}
		}
	}
	return nil
}

// take gives what is to be written now, and how long that may take: less, once the writer is closed.
// It puts last, which was written, in its place.
func (w *writer) take(last []byte) (out []byte, timeout time.Duration) {
	if cap(last) > keptBuffer {
		last = nil
	}
	w.mu.Lock()
	out, w.pending = w.pending, last[:0]
	timeout = writeTimeout
	if w.closed {
		timeout = lingerTimeout
	}
	w.room.Broadcast()
	w.mu.Unlock()
	return w.answers.append(out), timeout
}
