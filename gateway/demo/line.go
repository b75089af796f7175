package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// Line is a line to the cloud that can be cut: a TCP proxy that, while cut, breaks what is
// connected and answers nobody.
type Line struct {
	listener net.Listener
	to       string

	mu    sync.Mutex // guards what follows
	up    bool
	conns map[net.Conn]struct{}
}

// NewLine opens a line that leads to the address to and is up.
func NewLine(to string) (*Line, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the demo's line: %w", err)
	}
	return &Line{listener: listener, to: to, up: true, conns: map[net.Conn]struct{}{}}, nil
}

// Addr is where the near end listens.
func (l *Line) Addr() string { return l.listener.Addr().String() }

// Up says whether bytes flow.
func (l *Line) Up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// SetUp cuts or restores the line.
func (l *Line) SetUp(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = up
	if !up {
		for c := range l.conns {
			c.Close()
		}
	}
}

// Run carries bytes until ctx ends and returns once the last connection has gone.
func (l *Line) Run(ctx context.Context) error {
	var carriers sync.WaitGroup
	defer carriers.Wait()
	stop := context.AfterFunc(ctx, func() {
		l.listener.Close()
		l.SetUp(false)
	})
	defer stop()
	for {
		near, err := l.listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept on the demo's line: %w", err)
		}
		carriers.Go(func() { l.carry(near) })
	}
}

func (l *Line) carry(near net.Conn) {
	defer near.Close()
	if !l.Up() {
		return
	}
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		return // the cloud is not there: the near end sees a closed connection
	}
	defer far.Close()
	defer l.release(near, far)
	if !l.hold(near, far) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { pump(near, far) })
	pump(far, near)
	back.Wait()
}

// pump copies until one end is gone and then takes the other with it.
func pump(to, from net.Conn) {
	io.Copy(to, from) //nolint:errcheck // why it ended does not matter: a line has no memory
	to.Close()
	from.Close()
}

func (l *Line) hold(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		l.conns[c] = struct{}{}
	}
	return l.up
}

func (l *Line) release(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		delete(l.conns, c)
	}
}
