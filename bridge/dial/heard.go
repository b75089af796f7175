package dial

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// hearing is how long a reader has to hear why the other end broke the connection, before a writer says that it did.
	hearing = time.Second
	// unsent is how many bytes may go nowhere meanwhile.
	unsent = 1 << 20
)

// heard lies under TLS and lets the reader, not the writer, say why a connection has ended. With TLS 1.3 a cloud judges
// our certificate when our side of the handshake is over: it sends an alert and breaks the connection, and the login
// that we write meanwhile meets the break before anybody has read the alert. Such writes seem to succeed, as they
// would have a moment earlier; what the system still has of the other end's words is there to be read.
type heard struct {
	net.Conn

	mu    sync.Mutex // guards what follows
	ended bool       // the reader has come to the end
	broke time.Time  // when a write first met the break
	lost  int        // bytes that went nowhere since
}

// Read notes the end.
func (c *heard) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.mu.Lock()
		c.ended = true
		c.mu.Unlock()
	}
	return n, err
}

// Write leaves it to the reader to tell that the other end has broken the connection.
func (c *heard) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) && c.leaves(len(b)-n) {
		return len(b), nil
	}
	return n, err
}

func (c *heard) leaves(bytes int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broke.IsZero() {
		c.broke = time.Now()
	}
	c.lost += bytes
	return !c.ended && c.lost <= unsent && time.Since(c.broke) < hearing
}
