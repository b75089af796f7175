// Package smlsim plays electricity meters that speak SML: real bytes on a pseudo-terminal in their
// real time, which the gateway opens like any serial port. The meter pushes telegrams or answers
// requests, and misbehaves when told to.
package smlsim

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"sluice/collectors/bus/pty"
)

// Fault is a way in which the meter misbehaves.
type Fault string

// The faults. Healthy meters have none.
const (
	Healthy     Fault = ""
	Silence     Fault = "silence"
	BadChecksum Fault = "bad-checksum" // of the telegram
	BadMessage  Fault = "bad-message"  // of the message with the values; the telegram's is right
	Flipped     Fault = "flipped"      // one bit of one value is wrong
	Dropped     Fault = "dropped"      // a byte is missing
	Short       Fault = "short"        // telegrams break off
	Garbage     Fault = "garbage"      // noise with start sequences in it before each telegram
	Refuse      Fault = "refuse"       // a request is refused
	NoList      Fault = "no-list"      // the telegram holds no values
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{Silence, BadChecksum, BadMessage, Flipped, Dropped, Short, Garbage, Refuse, NoList}
}

// DefaultServer is the id of the meter when Options names none.
const DefaultServer = "0A01534C430000BC614E"

// Options say what meter is on the line.
type Options struct {
	Server         string           // its id, in hex digits
	Every          time.Duration    // how often it pushes; 0: a second
	Asked          bool             // it sends only when asked
	Kermit         bool             // its telegrams have the other checksum
	KermitMessages bool             // its messages have it
	Locked         bool             // no PIN was entered: it tells energies alone
	NoEscapes      bool             // no value looks like the end of a telegram, which some readers trip over
	OldDZG         bool             // it is one of those that send positive power as negative
	Baud           int              // 0: 9600
	Link           string           // a symbolic link to the port, which changes its name with every start
	Clock          func() time.Time // nil: the system's
}

// Counts is what the meter did.
type Counts struct {
	Telegrams int // sent, well or ill
	Requests  int
}

// Line is a serial line with one meter on it.
type Line struct {
	options Options
	pty     *pty.Line
	hangUp  func() error  // once
	hungUp  chan struct{} // closed by it

	mu     sync.Mutex // guards what follows
	fault  Fault
	counts Counts
}

// Open makes the pseudo-terminal. The meter sends once Run runs.
func Open(o Options) (*Line, error) {
	if o.Server == "" {
		o.Server = DefaultServer
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Baud == 0 {
		o.Baud = 9600
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	open := pty.Open
	if o.Link != "" {
		open = func() (*pty.Line, error) { return pty.OpenAt(o.Link) }
	}
	terminal, err := open()
	if err != nil {
		return nil, err
	}
	terminal.Pace(o.Baud, 10)
	l := &Line{options: o, pty: terminal, hungUp: make(chan struct{})}
	l.hangUp = sync.OnceValue(func() error {
		close(l.hungUp)
		return l.pty.Close()
	})
	return l, nil
}

// Path is what the gateway opens.
func (l *Line) Path() string { return l.pty.Path() }

// Terminal is the far end itself, for its noise and its plug.
func (l *Line) Terminal() *pty.Line { return l.pty }

// Telegram gives what the meter sends at t, for those who want it without a line.
func Telegram(o Options, t time.Time) []byte {
	if o.Server == "" {
		o.Server = DefaultServer
	}
	return o.telegram(t, []byte{0, 0, 0, 1})
}

// Misbehave makes the meter do so until it is told otherwise; Healthy ends it.
func (l *Line) Misbehave(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
}

func (l *Line) current() Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

// Seen says what the meter did so far.
func (l *Line) Seen() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

func (l *Line) count(change func(*Counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.counts)
}

// Close hangs the line up, as pulling the adapter would. A Run under way then returns.
func (l *Line) Close() error { return l.hangUp() }

// Run lets the meter push, or answer, until ctx ends or Close is called, and hangs up.
func (l *Line) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.hangUp() })
	defer stop()
	defer func() { _ = l.hangUp() }() // the outcome is in the error of the read
	if l.options.Asked {
		return l.ended(l.answerOn())
	}
	return l.ended(l.pushOn())
}

// ended tells a line that was hung up on purpose from one that broke.
func (l *Line) ended(err error) error {
	select {
	case <-l.hungUp:
		return nil
	default:
		return fmt.Errorf("line %s: %w", l.Path(), err)
	}
}

// pushOn sends a telegram at every tick.
func (l *Line) pushOn() error {
	tick := time.NewTicker(l.options.Every)
	defer tick.Stop()
	for number := byte(1); ; number++ {
		select {
		case <-tick.C:
		case <-l.hungUp:
			return nil
		}
		if err := l.send(l.options.telegram(l.options.Clock(), []byte{0, 0, 0, number})); err != nil {
			return err
		}
	}
}

func (l *Line) answerOn() error {
	var heard []byte
	b := make([]byte, 512)
	for {
		n, err := l.pty.Read(b)
		if err != nil {
			return err
		}
		heard = append(heard, b[:n]...)
		transaction, rest, ok := asked(heard)
		heard = rest
		if !ok || len(transaction) < 2 {
			continue
		}
		l.count(func(c *Counts) { c.Requests++ })
		transaction = transaction[:len(transaction)-1]
		message := l.options.telegram(l.options.Clock(), transaction)
		if l.current() == Refuse {
			message = l.options.refusal(transaction)
		}
		if err := l.send(message); err != nil {
			return err
		}
	}
}

// send sends a telegram, well or ill.
func (l *Line) send(message []byte) error {
	fault := l.current()
	if fault == Silence {
		return nil
	}
	l.count(func(c *Counts) { c.Telegrams++ })
	_, err := l.pty.Write(l.options.spoil(message, fault))
	return err
}

// spoil does to a telegram what the fault asks for.
func (o *Options) spoil(message []byte, fault Fault) []byte {
	n := len(message)
	switch fault {
	case BadChecksum:
		message[n-1] ^= 0x10
	case BadMessage:
		at := bytes.LastIndex(message, []byte{0x00, 0x76}) // the message before the last one ends there
		message[at-1] ^= 0x10
		copy(message[n-2:], crc(message[:n-2], o.Kermit))
	case Flipped:
		at := bytes.Index(message, unhex("070100010801FF"))
		message[at+14] ^= 0x04
	case Dropped:
		return append(message[:n/2:n/2], message[n/2+1:]...)
	case Short:
		return message[:n*2/3]
	case Garbage:
		noise := unhex("001B1B1B1B01010101760500FF1B1B1B1B0101")
		return append(noise, message...)
	case NoList:
		return o.wrap(o.message([]byte{1}, 0x0201, list(omitted)))
	}
	return message
}
