package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Client is one device's access to a line. Its methods may be called from anywhere at any time.
type Client struct {
	set     *Set
	address string
	device  string

	mu     sync.Mutex // guards what follows
	port   *Port
	awake  bool      // it is among the port's clients
	late   time.Time // until when an answer may come that it no longer waits for
	lastIn uint64    // Seq of the frame that came in the last exchange; 0: none did
	stats  clientStats
}

// Port is the line. A client of an address alone may have another one after Rest.
func (c *Client) Port() *Port {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.port
}

// Exchange takes a turn, keeps the silence, sends the request and waits for its answer. ctx bounds all
// of it, the wait for the turn included. The line is opened when it is not; after a hang-up it is opened
// anew by the next exchange, or by this one when nothing has been sent yet.
func (c *Client) Exchange(ctx context.Context, q Request) ([]byte, error) {
	if q.Answer == nil {
		return nil, errNoAnswer
	}
	p, err := c.take(ctx, q.Urgent)
	if err != nil {
		return nil, err
	}
	answer, err := p.exchange(ctx, c, &q)
	p.end(c)
	return answer, err
}

var errNoAnswer = errors.New("a request does not say what its answer looks like")

// Take takes a turn for several exchanges. Nobody else uses the line until it is released.
func (c *Client) Take(ctx context.Context, urgent bool) (*Turn, error) {
	p, err := c.take(ctx, urgent)
	if err != nil {
		return nil, err
	}
	return &Turn{client: c, port: p}, nil
}

func (c *Client) take(ctx context.Context, urgent bool) (*Port, error) {
	p := c.wake()
	if err := c.waitForLate(ctx, p); err != nil {
		return nil, &notSent{fmt.Errorf("%s: wait for an answer that is late: %w", p.label, err)}
	}
	since, err := p.turns.take(ctx, p.closed, urgent)
	if err != nil {
		return nil, &notSent{fmt.Errorf("%s: wait for the turn: %w", p.label, err)}
	}
	p.begin(since)
	return p, nil
}

// wake makes sure that the client counts among those of its line, and gives the line: the one that has
// the client's address now, should its own have been closed.
func (c *Client) wake() *Port {
	c.mu.Lock()
	p, awake := c.port, c.awake
	c.mu.Unlock()
	if awake && !p.isGone() {
		return p
	}
	return c.set.enter(c)
}

// Rest says that the device is closed. A connection that the gateway opened is closed with the last of
// its clients, and opened again by the next exchange. A serial port stays open, and so does what a DTU
// opened.
func (c *Client) Rest() { c.set.exit(c) }

// Verdict says what was wrong with what came in the last exchange, for the monitor and the statistics:
// that it was no answer after all, or why it was none.
func (c *Client) Verdict(fault Fault, text string) {
	c.mu.Lock()
	c.stats.becomeLocked(faulty + outcome(fault))
	c.mu.Unlock()
	c.judge(text)
}

// Refused says that the frame that came last was the device's refusal.
func (c *Client) Refused(text string) {
	c.mu.Lock()
	c.stats.becomeLocked(refused)
	c.mu.Unlock()
	c.judge(text)
}

// RefusedWith is Refused for a protocol that numbers its reasons, as Modbus does its exceptions.
func (c *Client) RefusedWith(code byte, text string) {
	c.mu.Lock()
	c.stats.refusedLocked(code)
	c.mu.Unlock()
	c.Refused(text)
}

func (c *Client) judge(text string) {
	c.mu.Lock()
	p, seq := c.port, c.lastIn
	c.mu.Unlock()
	p.frames.judge(seq, text)
}

func (c *Client) noteIn(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastIn = seq
}

func (c *Client) holdBack(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = until
}

func (c *Client) heldBack() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.late
}

// waitForLate waits, while others have their turns, until no answer can come any more that the client
// has given up.
func (c *Client) waitForLate(ctx context.Context, p *Port) error {
	until := c.heldBack()
	if until.IsZero() {
		return nil
	}
	wait := time.Until(until)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return ErrClosed
	}
}

// Turn is the line in one client's hands. It belongs to one goroutine.
type Turn struct {
	client   *Client
	port     *Port
	released bool
}

// Exchange runs one exchange; Urgent means nothing any more.
func (t *Turn) Exchange(ctx context.Context, q Request) ([]byte, error) {
	switch {
	case t.released:
		return nil, errors.New("the turn is over")
	case q.Answer == nil:
		return nil, errNoAnswer
	}
	return t.port.exchange(ctx, t.client, &q)
}

// Verdict says what was wrong with what came last.
func (t *Turn) Verdict(fault Fault, text string) { t.client.Verdict(fault, text) }

// Refused says that the frame that came last was the device's refusal.
func (t *Turn) Refused(text string) { t.client.Refused(text) }

// Release ends the turn; it may be repeated.
func (t *Turn) Release() {
	if !t.released {
		t.released = true
		t.port.end(t.client)
	}
}
