package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxRequest = 512  // fits any output queue, so that writing cannot block
	maxReply   = 4096 // far above any frame: more is noise
	glance     = 20 * time.Millisecond
)

// What an exchange may end with beside a reply. Compare with errors.Is.
var (
	ErrHungUp = errors.New("the serial port hung up") // the adapter was pulled or its far end closed
	ErrClosed = errors.New("the bus is closed")
	ErrNoise  = errors.New("the line is never quiet")
)

// NoReplyError says that the time for an answer ran out. Received is what came without being one,
// so that the caller can say what was wrong with it.
type NoReplyError struct {
	Waited   time.Duration
	Received []byte
}

// Error implements error.
func (e *NoReplyError) Error() string {
	if len(e.Received) == 0 {
		return fmt.Sprintf("no answer within %v", e.Waited)
	}
	return fmt.Sprintf("no valid answer within %v, but %d bytes that are none", e.Waited, len(e.Received))
}

// Direction tells a tap which way bytes went.
type Direction bool

// Out is from the gateway to the devices, In the other way.
const (
	Out Direction = true
	In  Direction = false
)

// Tap is shown all bytes on the line. It runs inside the exchange, must not block, and may not
// keep b.
type Tap func(dir Direction, at time.Time, b []byte)

// FrameReader looks at all that has arrived since the request and says whether the answer is
// complete. It then returns the part that is the answer.
type FrameReader func(received []byte) (frame []byte, complete bool)

// Request is one question and how to know its answer.
type Request struct {
	Frame []byte
	// Timeout runs from the moment at which the last character of Frame is on the wire.
	Timeout time.Duration
	Answer  FrameReader
}

// Port is one serial line and its only owner. Its methods may be called at any time from anywhere.
type Port struct {
	name   string
	turns  turns
	tap    atomic.Pointer[Tap]
	closed chan struct{}

	mu       sync.Mutex // guards what follows
	settings Settings
	isClosed bool

	// Who has the turn owns the rest.
	line     *tty
	opened   Settings // what line was opened with
	lastByte time.Time
}

func newPort(name string, s Settings) *Port {
	return &Port{name: name, settings: s, closed: make(chan struct{})}
}

// Name is the name that the configuration gives the line.
func (p *Port) Name() string { return p.name }

// SetTap lets tap see all bytes from now on; nil ends that.
func (p *Port) SetTap(tap Tap) {
	if tap == nil {
		p.tap.Store(nil)
		return
	}
	p.tap.Store(&tap)
}

func (p *Port) configure(s Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settings = s
}

func (p *Port) current() Settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settings
}

// Close ends the exchange under way with ErrClosed, refuses later ones and closes the port.
func (p *Port) Close() error {
	p.mu.Lock()
	if !p.isClosed {
		p.isClosed = true
		close(p.closed)
	}
	p.mu.Unlock()
	// Who has the turn notices at its next glance, who waits leaves at once.
	if err := p.turns.take(context.Background(), nil); err != nil {
		return err
	}
	defer p.turns.give()
	return p.hangUp()
}

// Exchange takes its turn, keeps the silence, sends the request and waits for its answer. ctx
// bounds all of it, the wait for the turn included. The port is opened when it is not; after a
// hang-up it is opened anew by the next exchange, or by this one when nothing has been sent yet.
func (p *Port) Exchange(ctx context.Context, q Request) ([]byte, error) {
	if len(q.Frame) > maxRequest {
		return nil, fmt.Errorf("bus %s: a request of %d bytes is longer than %d", p.name, len(q.Frame), maxRequest)
	}
	if err := p.turns.take(ctx, p.closed); err != nil {
		return nil, fmt.Errorf("bus %s: wait for the turn: %w", p.name, err)
	}
	defer p.turns.give()

	reply, err := p.exchange(ctx, q)
	if err == nil {
		return reply, nil
	}
	if errors.Is(err, ErrHungUp) {
		err = errors.Join(err, p.hangUp())
	}
	return nil, fmt.Errorf("bus %s: %w", p.name, err)
}

func (p *Port) exchange(ctx context.Context, q Request) ([]byte, error) {
	if err := p.ready(ctx, q.Timeout); err != nil {
		return nil, err
	}
	p.show(Out, q.Frame)
	if err := p.line.write(q.Frame); err != nil {
		return nil, err
	}
	sending := p.opened.wireTime(len(q.Frame))
	p.lastByte = time.Now().Add(sending)
	return p.receive(ctx, q, p.lastByte.Add(q.Timeout))
}

// ready makes the line open and quiet.
func (p *Port) ready(ctx context.Context, patience time.Duration) error {
	fresh, err := p.open()
	if err != nil {
		return err
	}
	err = p.settle(ctx, patience)
	if fresh || !errors.Is(err, ErrHungUp) {
		return err
	}
	// The adapter went away since the last exchange; perhaps it is back.
	if err := p.hangUp(); err != nil {
		return err
	}
	if _, err := p.open(); err != nil {
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return p.settle(ctx, patience)
}

// open makes sure that line is open with the current settings.
func (p *Port) open() (fresh bool, err error) {
	select {
	case <-p.closed:
		return false, ErrClosed
	default:
	}
	wanted := p.current()
	if p.line != nil && p.opened == wanted {
		return false, nil
	}
	if err := p.hangUp(); err != nil {
		return false, err
	}
	line, err := openTTY(wanted)
	if err != nil {
		return false, err
	}
	p.line, p.opened, p.lastByte = line, wanted, time.Now()
	return true, nil
}

func (p *Port) hangUp() error {
	if p.line == nil {
		return nil
	}
	line := p.line
	p.line = nil
	if err := line.close(); err != nil {
		return fmt.Errorf("close %s: %w", p.opened.Serial, err)
	}
	return nil
}

// settle waits until the line has been quiet for the silence, and throws away what arrives until
// then: an answer that came too late for its request.
func (p *Port) settle(ctx context.Context, patience time.Duration) error {
	giveUp := time.Now().Add(p.opened.silence() + patience)
	buffer := make([]byte, 256)
	for {
		// Waiting comes before the clock: what lies in the queue already must be thrown away
		// even when the silence is long over.
		rest := max(0, time.Until(p.lastByte.Add(p.opened.silence())))
		n, err := p.read(ctx, buffer, rest)
		if err != nil {
			return err
		}
		if n == 0 && time.Since(p.lastByte) >= p.opened.silence() {
			return nil
		}
		if n > 0 && time.Now().After(giveUp) {
			return fmt.Errorf("%w: bytes kept coming for %v", ErrNoise, patience)
		}
	}
}

func (p *Port) receive(ctx context.Context, q Request, deadline time.Time) ([]byte, error) {
	received := make([]byte, 0, 256)
	buffer := make([]byte, 256)
	started := time.Now()
	for {
		rest := time.Until(deadline)
		if rest <= 0 {
			return nil, &NoReplyError{Waited: q.Timeout, Received: received}
		}
		n, err := p.read(ctx, buffer, rest)
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, &NoReplyError{Waited: time.Since(started).Round(time.Millisecond), Received: received}
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		received = append(received, buffer[:n]...)
		if frame, complete := q.Answer(received); complete {
			return frame, nil
		}
		if len(received) > maxReply {
			return nil, fmt.Errorf("%w: %d bytes without an answer among them", ErrNoise, len(received))
		}
	}
}

// read waits at most d, and never long without looking at ctx and at Close. It returns 0 when
// nothing came.
func (p *Port) read(ctx context.Context, b []byte, d time.Duration) (int, error) {
	select {
	case <-p.closed:
		return 0, ErrClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	default:
	}
	if end, ok := ctx.Deadline(); ok {
		d = min(d, max(0, time.Until(end)))
	}
	readable, err := p.line.wait(min(d, glance))
	if err != nil || !readable {
		return 0, err
	}
	n, err := p.line.read(b)
	if errors.Is(err, errSpurious) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	p.lastByte = time.Now()
	p.show(In, b[:n])
	return n, nil
}

func (p *Port) show(dir Direction, b []byte) {
	if tap := p.tap.Load(); tap != nil {
		(*tap)(dir, time.Now(), b)
	}
}
