package modbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sluice/collectors/bus"
)

// serving is what a Server and a Rack have in common.
type serving interface {
	Serve(ctx context.Context, line io.ReadWriter)
}

// pipes is a line of net.Pipes in the place of a bus.Port, whose sockets and terminals know no
// simulated time. It keeps to what bus.Request says.
type pipes struct {
	server serving
	ctx    context.Context
	far    sync.WaitGroup
	turn   chan struct{}

	refuse error // of the next connections
	dials  int

	conn  net.Conn
	heard chan []byte // closed when the connection has ended
	left  []byte      // behind the last answer
	rests int         // how often nobody used the line any more

	silences int // in a row

	turns     int
	exchanges []exchangeSeen
}

type exchangeSeen struct {
	at     time.Time
	frame  string
	urgent bool
}

const quiet = 5 * time.Millisecond // a line that needs flushing is quiet after this

func newPipes(t *testing.T, server serving) *pipes {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pipes{server: server, ctx: ctx, turn: make(chan struct{}, 1)}
	t.Cleanup(func() {
		cancel()
		p.turn <- struct{}{}
		p.hangUp()
		p.far.Wait()
	})
	return p
}

func (p *pipes) take(ctx context.Context, urgent bool) (turn, error) {
	select {
	case p.turn <- struct{}{}:
		p.turns++
		return &pipeTurn{pipes: p, urgent: urgent}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) rest()                { p.rests++ }
func (p *pipes) refused(byte, string) {}

type pipeTurn struct {
	*pipes
	urgent bool
}

func (p *pipeTurn) Release()                  { <-p.pipes.turn }
func (p *pipeTurn) Verdict(bus.Fault, string) {}

func (p *pipeTurn) Exchange(ctx context.Context, q bus.Request) ([]byte, error) {
	if err := p.connect(); err != nil {
		return nil, fmt.Errorf("pipe: %w", errors.Join(err, bus.ErrNotSent))
	}
	if !q.Matched {
		p.flush()
	}
	if len(p.exchanges) < 1000 {
		p.exchanges = append(p.exchanges, exchangeSeen{time.Now(), string(q.Frame), p.urgent})
	}
	p.conn.SetWriteDeadline(time.Now().Add(q.Timeout))
	if _, err := p.conn.Write(q.Frame); err != nil {
		p.hangUp()
		return nil, hungUp(err.Error())
	}
	return p.receive(ctx, q)
}

func hungUp(why string) error {
	return fmt.Errorf("pipe: %w", fmt.Errorf("%w: %s", bus.ErrHungUp, why))
}

func (p *pipes) receive(ctx context.Context, q bus.Request) ([]byte, error) {
	received := append([]byte(nil), p.left...)
	p.left = nil
	first := time.Now().Add(q.Timeout)
	until := first
	for {
		wait := time.NewTimer(time.Until(until))
		select {
		case b, open := <-p.heard:
			wait.Stop()
			if !open {
				p.hangUp()
				return nil, hungUp("the other end closed the connection")
			}
			received = append(received, b...)
			p.silences = 0
			if frame, complete := q.Answer(received); complete {
				if q.Matched {
					end := cap(received) - cap(frame) + len(frame)
					p.left = append(p.left, received[end:]...)
				}
				return frame, nil
			}
			if until = time.Now().Add(250 * time.Millisecond); q.Matched || len(received) < 3 {
				until = first
			}
		case <-wait.C:
			if len(received) == 0 {
				p.silences++
			}
			if q.Matched && len(received) > 0 || p.silences >= 2 {
				p.hangUp()
			}
			return nil, fmt.Errorf("pipe: %w", &bus.NoReplyError{Waited: q.Timeout, Received: received})
		case <-ctx.Done():
			wait.Stop()
			if q.Matched && len(received) > 0 {
				p.hangUp()
			}
			return nil, fmt.Errorf("pipe: %w", ctx.Err())
		}
	}
}

func (p *pipes) connect() error {
	if p.conn != nil || p.refuse != nil {
		return p.refuse
	}
	p.dials++
	near, far := net.Pipe()
	p.far.Go(func() { p.server.Serve(p.ctx, far) })
	heard := make(chan []byte, 1024)
	p.far.Go(func() {
		defer close(heard)
		for {
			b := make([]byte, 512)
			n, err := near.Read(b)
			if n > 0 {
				heard <- b[:n]
			}
			if err != nil {
				return
			}
		}
	})
	p.conn, p.heard, p.left, p.silences = near, heard, nil, 0
	return nil
}

func (p *pipes) hangUp() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

// flush throws away what comes until the line is quiet.
func (p *pipes) flush() {
	p.left = nil
	for {
		select {
		case _, open := <-p.heard:
			if !open {
				p.hangUp()
				p.connect()
			}
		case <-time.After(quiet):
			return
		}
	}
}
