package mqtt

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/mqtt/packet"
)

const (
	deliveryRoom = 64 << 10  // bytes waiting to be written, above which messages wait
	answerRoom   = 128 << 10 // and above which answers do, and with them the reading
	keptBuffer   = 256 << 10 // a buffer that one message has stretched beyond this is let go
)

// writer writes to a client, with what waits for it. While a write is on its way packets gather, and
// the next write takes them all. A client that does not read blocks whoever has something for it,
// once there is too much; nobody else. Its goroutine lives while there is something to write and a
// little longer, so that an idle connection has none.
type writer struct {
	socket  net.Conn
	answers *answers
	failed  func(error)    // hears what ended the writing
	sent    *atomic.Uint64 // bytes, of all connections
	running sync.WaitGroup // the goroutine, while there is one
	due     bool           // there is an answer to be let out; the reading goroutine's own

	mu       sync.Mutex // guards what follows; never held during a write
	room     sync.Cond  // pending was taken, or closed
	wake     sync.Cond  // for the goroutine: look again
	pending  []byte
	look     bool // the goroutine has something to do
	alive    bool // there is a goroutine
	busy     bool // it wrote since the last call of rest
	resting  bool // it shall leave unless there is something to do
	closed   bool // nothing more is taken
	finished bool // and all has been written, or cannot be
}

type appender interface {
	Append(b []byte, version byte) []byte
}

func newWriter(socket net.Conn, answers *answers, sent *atomic.Uint64, failed func(error)) *writer {
	w := &writer{socket: socket, answers: answers, sent: sent, failed: failed}
	w.room.L, w.wake.L = &w.mu, &w.mu
	return w
}

// signal makes the writer look. It never blocks.
func (w *writer) signal() {
	w.mu.Lock()
	w.signalLocked()
	w.mu.Unlock()
}

func (w *writer) signalLocked() {
	if w.look || w.finished {
		return
	}
	w.look = true
	if w.alive {
		w.wake.Signal()
		return
	}
	w.alive = true
	w.running.Go(w.run)
}

// answer puts a packet that the reading goroutine owes. It goes out with the next flush, so that a
// client which sends many requests at once gets its answers at once.
func (w *writer) answer(p appender, version byte) {
	w.put(p, version, answerRoom, 0)
	w.due = true
}

// flush lets the answers out.
func (w *writer) flush() {
	if w.due {
		w.due = false
		w.signal()
	}
}

// deliver puts a message and says whether it had to wait for the client, and whether it was small
// enough; most 0 is any size. What is put goes out with the next signal.
func (w *writer) deliver(p *packet.Publish, version byte, most int) (waited, fits bool) {
	return w.put(p, version, deliveryRoom, most)
}

func (w *writer) put(p appender, version byte, room, most int) (waited, fits bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pending) >= room && !w.closed {
		w.signalLocked()
		w.room.Wait()
		waited = true
	}
	if w.closed {
		return waited, true
	}
	before := len(w.pending)
	w.pending = p.Append(w.pending, version)
	if most > 0 && len(w.pending)-before > most {
		w.pending = w.pending[:before]
		return waited, false
	}
	return waited, true
}

// close takes nothing more but last, and makes everybody who waits leave: the goroutine once it has
// written what is there, within lingerTimeout. Only the first call counts.
func (w *writer) close(last []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.pending = append(w.answers.append(w.pending), last...) // nothing follows a DISCONNECT [MQTT-3.14.4-1]
	w.closed = true
	w.room.Broadcast()
	w.signalLocked()
	w.socket.SetWriteDeadline(time.Now().Add(lingerTimeout)) // it fails on a closed socket, which is as good
}

// wait returns once everything has been written after close, or cannot be.
func (w *writer) wait() { w.running.Wait() }

// rest lets the goroutine of a writer go that had nothing to do since the last call.
func (w *writer) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.alive && !w.busy && !w.look {
		w.resting = true
		w.wake.Signal()
	}
	w.busy = false
}

// run writes until there is nothing to do for a while, the writer is closed, or the client can no
// longer be written to. Whoever waits for room leaves with it.
func (w *writer) run() {
	var out []byte
	for {
		w.mu.Lock()
		for !w.look && !w.resting && !w.closed {
			w.wake.Wait()
		}
		rests := w.resting && !w.look && !w.closed
		w.look, w.resting = false, false
		if rests {
			w.alive = false
			if len(w.pending) == 0 {
				w.pending = nil // an idle connection holds no buffer
			}
			w.mu.Unlock()
			return
		}
		w.busy = true
		timeout := writeTimeout
		if w.closed {
			timeout = lingerTimeout
		}
		out, w.pending = w.pending, out[:0]
		if cap(w.pending) > keptBuffer {
			w.pending = nil
		}
		if len(out) > 0 {
			w.room.Broadcast()
		}
		closed := w.closed
		w.mu.Unlock()

		if !closed {
			out = w.answers.append(out)
		}
		if len(out) > 0 {
			if err := w.write(out, timeout); err != nil {
				w.finish()
				w.failed(err)
				return
			}
			if !closed {
				continue
			}
		}
		if closed {
			w.finish()
			return
		}
	}
}

func (w *writer) write(out []byte, timeout time.Duration) error {
	if err := w.socket.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("write to client: %w", err)
	}
	n, err := w.socket.Write(out)
	w.sent.Add(uint64(n))
	if err != nil {
		return fmt.Errorf("write to client: %w", err)
	}
	return nil
}

// finish takes nothing any more and lets everybody go who waits for room.
func (w *writer) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed, w.finished, w.alive = true, true, false
	w.pending = nil
	w.room.Broadcast()
}
