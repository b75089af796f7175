package bus

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// writePatience bounds a write that the other end does not take. A request fits the socket's
	// buffer, so that only a connection that is long dead meets it.
	writePatience = 10 * time.Second
	// userTimeout is how long sent bytes may stay unacknowledged; keepalives do not run meanwhile.
	userTimeout = 30 * time.Second
)

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// stream is a TCP connection to devices. Beside its owner others may only close the connection.
type stream struct {
	conn     net.Conn
	peek     func(fd uintptr) // what is there already, into buffer
	control  func(func(fd uintptr)) error
	writable time.Time // the deadline for writing that is set
	deadline time.Time // and the one for reading

	buffer []byte // of peek
	flags  int
	got    int
	err    error
}

func newStream(conn net.Conn) *stream {
	s := &stream{conn: conn}
	s.peek = func(fd uintptr) {
		if s.flags == 0 {
			s.got, s.err = unix.Read(int(fd), s.buffer) // the runtime's sockets never block
			return
		}
		s.got, _, s.err = unix.Recvfrom(int(fd), s.buffer, unix.MSG_DONTWAIT|s.flags)
	}
	if c, ok := conn.(*net.TCPConn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			s.control = raw.Control
		}
	}
	return s
}

// tune makes the kernel notice a dead peer of a connection within half a minute.
func tune(conn net.Conn) {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	// A kernel that knows none of this keeps the connection as it is, which is no reason to refuse it.
	_ = c.SetKeepAliveConfig(keepAlive)
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout/time.Millisecond))
		})
	}
}

func (s *stream) read(b []byte, until time.Time) (int, error) {
	if !until.After(time.Now()) {
		return s.there(b, 0)
	}
	if !until.Equal(s.deadline) {
		if err := s.conn.SetReadDeadline(until); err != nil {
			return 0, hungUp(err)
		}
		s.deadline = until
	}
	n, err := s.conn.Read(b)
	if n > 0 {
		return n, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, nil
	}
	return 0, hungUp(err)
}

// there takes what has arrived, without waiting: the runtime refuses to read once a deadline has
// passed.
func (s *stream) there(b []byte, flags int) (int, error) {
	if s.control == nil {
		return s.shortly(b, flags)
	}
	s.buffer, s.flags = b, flags
	err := s.control(s.peek)
	s.buffer = nil
	switch {
	case err != nil:
		return 0, hungUp(err)
	case errors.Is(s.err, unix.EAGAIN) || errors.Is(s.err, unix.EINTR):
		return 0, nil
	case s.err != nil:
		return 0, hungUp(s.err)
	case s.got == 0 && len(b) > 0:
		return 0, hungUp(io.EOF)
	}
	return s.got, nil
}

// shortly is there for a connection without a socket, as tests have them in simulated time: what it has
// shows only in a read that may wait.
func (s *stream) shortly(b []byte, flags int) (int, error) {
	if flags != 0 {
		return 0, nil
	}
	return s.read(b, time.Now().Add(time.Millisecond))
}

// ended says whether the other end has closed the connection, as far as is known here.
func (s *stream) ended() error {
	var b [1]byte
	_, err := s.there(b[:], unix.MSG_PEEK)
	return err
}

func (s *stream) write(b []byte) error {
	if now := time.Now(); s.writable.Before(now.Add(writePatience / 2)) {
		s.writable = now.Add(writePatience)
		if err := s.conn.SetWriteDeadline(s.writable); err != nil {
			return hungUp(err)
		}
	}
	if _, err := s.conn.Write(b); err != nil {
		return hungUp(err)
	}
	return nil
}

func (s *stream) close() error { return s.conn.Close() }

// hungUp tells in plain words how a connection ended.
func hungUp(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: the other end closed the connection", ErrHungUp)
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w: the connection was replaced or given up", ErrHungUp)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: the other end takes no bytes", ErrHungUp)
	}
	return fmt.Errorf("%w: %w", ErrHungUp, plain(err))
}
