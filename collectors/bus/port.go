package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Port is one line and its only owner. Its methods may be called at any time from anywhere.
type Port struct {
	name   string // as the configuration or the address gives it
	label  string // how errors begin
	turns  turns
	frames *ring
	closed chan struct{}
	dial   func(ctx context.Context, address string) (net.Conn, error) // nil: over TCP
	// stale grows when what is open is not what it should be: other settings, another DTU.
	stale atomic.Uint32

	mu       sync.Mutex // guards what follows
	settings Settings
	isClosed bool
	call     *call    // the DTU that has connected and was not asked yet
	called   bool     // one has, at some time
	talking  net.Conn // the connection in use, for others to close
	clients  []*Client
	stats    portStats

	// Who has the turn owns the rest.
	line       line
	serial     *tty    // line, if it is one
	stream     *stream // line, if it is one
	opened     Settings
	openedAs   uint32 // stale at that time
	character  Character
	echo       echo
	beats      heartbeats
	rest       []byte    // behind the answer of a Matched exchange
	thrown     []byte    // what settle threw away
	lastByte   time.Time // on the line, in either direction
	ended      time.Time // of the last exchange
	last       *Client   // whose exchange that was
	dirty      bool      // it left bytes that were no answer, and more may come
	silences   int       // exchanges in a row that nothing came in
	lateUntil  time.Time // until when an answer may come to a request that was given up
	since      time.Time // when the wait for this turn began; zero: there was none
	turnBegan  time.Time
	exchanges  int     // of this turn
	asked      []byte  // the request of the last exchange
	overdue    *Client // whose answer is still to come, for all that is known
	listens    bool    // a driver waits for what comes unasked
	dialFailed time.Time
	dialError  error
	x          progress // of the exchange under way
}

func newPort(name, label string, frames *ring, s Settings) *Port {
	return &Port{name: name, label: label, frames: frames, settings: s, closed: make(chan struct{})}
}

// Name is the name that the configuration gives the line; of one that is nothing but an address, that.
func (p *Port) Name() string { return p.name }

// Settings are those that count, defaults filled in.
func (p *Port) Settings() Settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settings
}

// configure makes s count from the next exchange on.
func (p *Port) configure(s Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.settings.equal(&s) {
		p.settings = s
		p.stale.Add(1)
	}
}

// Close ends the exchange under way with ErrClosed, refuses later ones and closes the line.
func (p *Port) Close() error {
	p.mu.Lock()
	if !p.isClosed {
		p.isClosed = true
		close(p.closed)
	}
	waiting := p.call
	p.call = nil
	p.mu.Unlock()
	if waiting != nil {
		waiting.conn.Close()
	}
	// Who has the turn notices at its next glance, who waits leaves at once. The queue may be full of
	// those, but they leave.
	for {
		_, err := p.turns.take(context.Background(), nil, true)
		if errors.Is(err, ErrFull) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return err
		}
		defer p.turns.give()
		return p.hangUp()
	}
}

func (p *Port) isGone() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// open makes sure that the line is open with the settings that count.
func (p *Port) open(ctx context.Context, patience time.Duration) (fresh bool, err error) {
	if p.isGone() {
		return false, ErrClosed
	}
	if p.line != nil && p.openedAs == p.stale.Load() {
		return false, nil
	}
	if p.line != nil && p.keepsConnection() {
		return false, nil
	}
	if err := p.hangUp(); err != nil {
		return false, err
	}
	call := p.adopt()
	switch {
	case p.opened.Serial != "":
		err = p.openSerial()
	case p.opened.Dial != "":
		err = p.openDial(ctx, patience)
	default:
		err = p.openCall(call)
	}
	if err != nil {
		p.noteOpen(false)
		if ctx.Err() == nil && !errors.Is(err, ErrClosed) {
			p.noteRefused(err.Error())
		}
		return false, err
	}
	p.character = p.opened.Character
	p.lastByte, p.dirty, p.silences = time.Now(), false, 0
	p.noteOpen(true)
	p.noteRefused("")
	return true, nil
}

// adopt makes the settings that count those that the line is opened with, and takes the call that
// waits. Whoever changes either does so under the same lock.
func (p *Port) adopt() *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.openedAs, p.opened = p.stale.Load(), p.settings
	p.echo, p.beats = newEcho(p.opened.Echo), newHeartbeats(&p.opened)
	if p.opened.Listen == "" {
		return nil
	}
	waiting := p.call
	p.call = nil
	return waiting
}

// keepsConnection lets new settings count on a connection that stays: a DTU would need half a minute
// to come back.
func (p *Port) keepsConnection() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := &p.settings
	if p.stream == nil || p.call != nil || next.place() != p.opened.place() || !bytes.Equal(next.Registration, p.opened.Registration) {
		return false
	}
	p.openedAs, p.opened = p.stale.Load(), p.settings
	p.echo, p.beats = newEcho(p.opened.Echo), newHeartbeats(&p.opened)
	return true
}

func (p *Port) openSerial() error {
	t, err := openTTY(&p.opened)
	if err != nil {
		return err
	}
	p.line, p.serial, p.stream = t, t, nil
	return nil
}

// use makes conn the line.
func (p *Port) use(conn net.Conn, sent []byte) {
	s := newStream(conn)
	p.line, p.serial, p.stream = s, nil, s
	p.rest = append(p.rest[:0], sent...)
	p.mu.Lock()
	p.talking = conn
	p.mu.Unlock()
}

func (p *Port) hangUp() error {
	if p.line == nil {
		return nil
	}
	line := p.line
	p.line, p.serial, p.stream, p.rest = nil, nil, nil, p.rest[:0]
	p.mu.Lock()
	p.talking = nil
	p.mu.Unlock()
	p.noteOpen(false)
	if err := line.close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close %s: %w", p.opened.place(), err)
	}
	return nil
}

// join and leave keep the list of clients that use the line.
func (p *Port) join(c *Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.clients, c) {
		p.clients = append(p.clients, c)
	}
}

// leave says whether c was the last.
func (p *Port) leave(c *Client) (alone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.clients, c); i >= 0 {
		p.clients = slices.Delete(p.clients, i, i+1)
	}
	return len(p.clients) == 0
}

// rests closes a connection that the gateway opened and that nobody uses any more.
func (p *Port) rests() {
	if _, err := p.turns.take(context.Background(), p.closed, false); err != nil {
		return // it is being closed altogether, or so many wait that it is in use again
	}
	defer p.turns.give()
	p.mu.Lock()
	used := len(p.clients) > 0
	p.mu.Unlock()
	if !used && p.opened.Dial != "" {
		_ = p.hangUp() // what a socket says at its end is of no interest to who has finished
	}
}
