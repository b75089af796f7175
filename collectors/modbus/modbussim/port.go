package modbussim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const maxConnections = 64 // one more is closed at once

// port is where gateways connect.
type port struct {
	listener net.Listener

	mu          sync.Mutex // guards what follows
	open        int
	connections uint64
}

// Listen opens the port, for example "127.0.0.1:0".
func (p *port) Listen(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("modbus simulator: %w", err)
	}
	p.listener = listener
	return nil
}

// Addr gives host:port after Listen.
func (p *port) Addr() string { return p.listener.Addr().String() }

// run serves until ctx ends and returns once the last connection has gone.
func (p *port) run(ctx context.Context, serve func(context.Context, net.Conn)) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer p.listener.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { p.listener.Close() })
	defer stop()
	for {
		conn, err := p.listener.Accept()
		if ctx.Err() != nil {
			if conn != nil {
				conn.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("modbus simulator: accept: %w", err)
		}
		if err != nil {
			if !sleep(ctx, 50*time.Millisecond) { // out of file descriptors: they come back
				return nil
			}
			continue
		}
		conns.Go(func() { serve(ctx, conn) })
	}
}

func (p *port) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connections++
	if p.open == maxConnections {
		return false
	}
	p.open++
	return true
}

func (p *port) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
}

func (p *port) seen() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connections
}

// serve speaks on one line until it or ctx ends, and closes it if it can be closed. pick gives the
// device that answers to a unit, nil for none.
func (p *port) serve(ctx context.Context, line io.ReadWriter, dialect Dialect, pick func(unit byte) *Server) {
	closer, closes := line.(io.Closer)
	if closes {
		defer closer.Close()
	}
	if !p.enter() {
		return
	}
	defer p.leave()
	if closes {
		stop := context.AfterFunc(ctx, func() { closer.Close() })
		defer stop()
	}
	requests := reader{from: line, dialect: dialect}
	for ctx.Err() == nil {
		f, err := requests.next()
		if err != nil {
			return
		}
		device := pick(f.unit)
		if device == nil {
			continue // a device on a bus keeps silent when another one is asked
		}
		if !device.send(ctx, line, f, device.answer(f)) && closes {
			return
		}
	}
}

// sleep is false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
