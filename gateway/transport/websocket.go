package transport

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	controlTimeout = 5 * time.Second        // for a pong to be written
	goodbyeTimeout = 250 * time.Millisecond // for the close frame of a connection that is closed
	joinedFrame    = 4 << 10                // over TLS, up to here header and payload are one record
)

// joinBuffers are where header and payload meet; connections only borrow one for a write.
var joinBuffers = sync.Pool{New: func() any { return new([joinedFrame]byte) }}

// webSocket makes a stream of the binary frames on another one. Our side of RFC 6455 is its own code
// because nothing may be kept while a connection is idle: frames are decoded in the reader's own buffer.
type webSocket struct {
	net.Conn
	frames frames
	early  []byte // came along with the request
	failed error  // why nothing more is read
	left   atomic.Bool

	out    sync.Mutex // guards what follows; held during a write
	header [10]byte
	parts  [2][]byte
	vector net.Buffers // the parts that are being written
	closed bool        // a close frame went out, behind which nothing may follow
	lost   bool        // or it could not

	limits sync.Mutex // guards what follows
	limit  time.Time  // of the writes, as the user set it
}

func newWebSocket(stream net.Conn, early []byte) *webSocket {
	return &webSocket{Conn: stream, early: early}
}

// Read gives the payload of binary frames, wherever they begin and end.
func (w *webSocket) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for w.failed == nil {
		n, err := w.receive(b)
		var payload int
		payload, w.failed = w.frames.decode(b[:n], w.control)
		if payload > 0 {
			return payload, nil // what comes behind it comes again
		}
		if w.failed == nil && err != nil {
			if w.left.Load() {
				err = net.ErrClosed
			}
			return 0, err
		}
	}
	return 0, w.answer(w.failed)
}

func (w *webSocket) receive(b []byte) (int, error) {
	if len(w.early) > 0 {
		n := copy(b, w.early)
		w.early = w.early[n:]
		return n, nil
	}
	return w.Conn.Read(b)
}

// control answers a control frame.
func (w *webSocket) control(opcode byte, payload []byte) error {
	switch opcode {
	case opPing:
		return w.send(opPong, payload, controlTimeout)
	case opClose:
		return errClosedByClient
	}
	return nil // a pong that nobody asked for
}

var errClosedByClient = errors.New("the client closed the WebSocket")

// answer says goodbye to a client that did or does not go on, and gives the error that Read ends with.
func (w *webSocket) answer(err error) error {
	if errors.Is(err, errClosedByClient) {
		w.goodbye(closeNormal)
		return io.EOF
	}
	if mistake, ok := errors.AsType[*frameError](err); ok {
		w.goodbye(mistake.code)
	}
	return err
}

func (w *webSocket) goodbye(code uint16) {
	w.out.Lock()
	defer w.out.Unlock()
	w.goodbyeLocked(code)
}

func (w *webSocket) goodbyeLocked(code uint16) {
	if !w.closed {
		w.lost = w.sendLocked(opClose, binary.BigEndian.AppendUint16(nil, code), goodbyeTimeout) != nil
		w.closed = true
	}
}

// Write sends b as one frame.
func (w *webSocket) Write(b []byte) (int, error) {
	w.out.Lock()
	defer w.out.Unlock()
	if err := w.writeLocked(opBinary, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// send writes a control frame between two frames of Write. The deadline of those may be long past.
func (w *webSocket) send(opcode byte, payload []byte, timeout time.Duration) error {
	w.out.Lock()
	defer w.out.Unlock()
	return w.sendLocked(opcode, payload, timeout)
}

func (w *webSocket) sendLocked(opcode byte, payload []byte, timeout time.Duration) error {
	w.setLimit(time.Now().Add(timeout))
	defer w.restoreLimit()
	return w.writeLocked(opcode, payload)
}

func (w *webSocket) writeLocked(opcode byte, payload []byte) error {
	if w.closed {
		return net.ErrClosed
	}
	header := appendHeader(w.header[:0], opcode, len(payload))
	if tcp, ok := w.Conn.(*net.TCPConn); ok {
		w.parts = [2][]byte{header, payload}
		w.vector = w.parts[:]
		_, err := w.vector.WriteTo(tcp) // one system call
		w.parts[1] = nil
		return err
	}
	joined := joinBuffers.Get().(*[joinedFrame]byte)
	defer joinBuffers.Put(joined)
	n := copy(joined[:], header)
	first := copy(joined[n:], payload)
	if _, err := w.Conn.Write(joined[:n+first]); err != nil || first == len(payload) {
		return err
	}
	_, err := w.Conn.Write(payload[first:])
	return err
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (w *webSocket) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

// SetWriteDeadline is for Write; control frames have their own.
func (w *webSocket) SetWriteDeadline(t time.Time) error {
	w.limits.Lock()
	defer w.limits.Unlock()
	w.limit = t
	return w.Conn.SetWriteDeadline(t)
}

// setLimit is the deadline of a control frame. A broken connection fails the write behind it.
func (w *webSocket) setLimit(t time.Time) {
	w.limits.Lock()
	defer w.limits.Unlock()
	_ = w.Conn.SetWriteDeadline(t)
}

func (w *webSocket) restoreLimit() {
	w.limits.Lock()
	defer w.limits.Unlock()
	_ = w.Conn.SetWriteDeadline(w.limit)
}

// CloseWrite sends the close frame. The client's, which answers it, is where Read ends.
func (w *webSocket) CloseWrite() error {
	w.goodbye(closeNormal)
	return nil
}

// leave sends the close frame unless that has happened, and says whether the client may have it: a
// write that is stuck cannot be waited for.
func (w *webSocket) leave() bool {
	w.left.Store(true)
	if !w.out.TryLock() {
		return false
	}
	defer w.out.Unlock()
	w.goodbyeLocked(closeNormal)
	return !w.lost
}
