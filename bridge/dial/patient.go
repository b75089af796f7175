package dial

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A line that takes no bytes at all for writeTimeout is dead. It counts for each chunk, so that
	// a large message may take its time on a slow line.
	writeTimeout = 20 * time.Second
	writeChunk   = 32 << 10
	// HurryTimeout is what remains for last words once the connection shall end.
	HurryTimeout = time.Second
)

// Patient keeps the deadlines of writing in its own hands: MQTT clients, TLS and WebSocket each set
// and clear them as they think fit. It goes directly around what Dial gave.
type Patient struct {
	net.Conn
	written atomic.Int64

	mu    sync.Mutex // guards what follows, and setting the deadline of writing
	hurry bool
}

// Write gives each chunk of b its own time.
func (c *Patient) Write(b []byte) (int, error) {
	written := 0
	for {
		chunk := b[written:min(len(b), written+writeChunk)]
		c.deadline()
		n, err := c.Conn.Write(chunk)
		written += n
		c.written.Add(int64(n))
		if err != nil || written == len(b) {
			return written, err
		}
	}
}

// Written is how many bytes were written so far.
func (c *Patient) Written() int64 { return c.written.Load() }

// Reached is how many of the bytes that were written the other end has, or the proxy in between: all others wait in
// the system or are on the line. Whoever waits for an answer may see by it that a slow line is at work.
func (c *Patient) Reached() int64 {
	written := c.written.Load()
	socket, ok := c.Conn.(syscall.Conn)
	if !ok {
		return written
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return written
	}
	waiting := 0
	_ = raw.Control(func(fd uintptr) { // of a closed connection nothing waits
		waiting, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	})
	if err != nil {
		return written
	}
	return written - int64(waiting)
}

func (c *Patient) deadline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hurry {
		c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
}

// HurryUp gives all further writing together, and one that is under way, HurryTimeout.
func (c *Patient) HurryUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hurry {
		c.hurry = true
		c.Conn.SetWriteDeadline(time.Now().Add(HurryTimeout))
	}
}

// SetWriteDeadline does nothing: see Patient.
func (c *Patient) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is about reading only: see Patient.
func (c *Patient) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }
