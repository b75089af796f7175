// Package iec62056sim plays meters that speak IEC 62056-21 in its modes A to D, and DSMR meters that
// push telegrams: real characters on a pseudo-terminal in their real time, which the gateway opens
// like any serial port. The meters notice when the port is set to another rate than theirs, count
// what they hear, and misbehave when told to.
package iec62056sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"sluice/collectors/bus/pty"
)

// Fault is a way in which the meters misbehave.
type Fault string

// The faults. Healthy meters have none.
const (
	Healthy      Fault = ""
	Silence      Fault = "silence"        // no answer
	Mute         Fault = "mute"           // an identification, and then nothing
	BadCheck     Fault = "bad-check"      // one bit of every block check is wrong
	BadCheckOnce Fault = "bad-check-once" // of the first only; the repetition is good
	Flipped      Fault = "flipped"        // one bit of one character is wrong
	Short        Fault = "short"          // the readout breaks off
	Garbage      Fault = "garbage"        // noise before every answer
	Echo         Fault = "echo"           // the optical head hears its own request
	EchoOnly     Fault = "echo-only"      // and there is no answer
	NoSwitch     Fault = "no-switch"      // the meter stays at the first rate
	Refuse       Fault = "refuse"         // single registers are refused
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{Silence, Mute, BadCheck, BadCheckOnce, Flipped, Short, Garbage, Echo, EchoOnly, NoSwitch, Refuse}
}

// Options say what meter is on the line.
type Options struct {
	Mode      string            // a, b, c, d or p1; empty: c
	Device    string            // its address; sign-ons to others are not answered
	Model     string            // behind maker and rate
	Start     int               // rate of the sign-on, or of a pushing meter; 0: 300, 2400 in mode d, 115200 in p1
	Rate      int               // that it offers in modes b and c; 0: 9600
	Delay     time.Duration     // before an answer; 0: 200 ms, the shortest that the standard allows
	Every     time.Duration     // how often it pushes; 0: a second
	Full      bool              // codes as 1-0:1.8.0*255 instead of 1.8.0
	Registers map[string]string // further ones: code and values in parentheses
	Link      string            // a symbolic link to the port, which changes its name with every start
	Clock     func() time.Time  // nil: the system's
}

// Counts is what the meter saw.
type Counts struct {
	SignOns  int // to this meter
	Foreign  int // to others
	Readouts int // that were sent, repetitions included
	Repeats  int // that were asked for
	Commands int // in programming mode
	Breaks   int
	Damaged  int // bytes that belonged to no request
}

// Line is a serial line with one meter on it.
type Line struct {
	options Options
	wire    io.ReadWriter
	pty     *pty.Line     // wire, if it is one
	hangUp  func() error  // once
	hungUp  chan struct{} // closed by it

	mu     sync.Mutex // guards what follows
	fault  Fault
	counts Counts

	// Run owns the rest.
	rate    int
	parity  bool // the gateway sends characters of eight bits with the parity in the top one
	last    []byte
	damaged bool // a BadCheckOnce has had its damaged readout
}

// Open makes the pseudo-terminal. The meter answers once Run runs.
func Open(o Options) (*Line, error) {
	l, err := makeLine(o)
	if err != nil {
		return nil, err
	}
	if o.Link != "" {
		l.pty, err = pty.OpenAt(o.Link)
	} else {
		l.pty, err = pty.Open()
	}
	if err != nil {
		return nil, err
	}
	l.put(l.pty, l.pty.Close)
	return l, nil
}

// OpenOn puts the meter on a line that is there and always at the meter's rate.
func OpenOn(wire io.ReadWriteCloser, o Options) (*Line, error) {
	l, err := makeLine(o)
	if err != nil {
		return nil, err
	}
	l.put(wire, wire.Close)
	return l, nil
}

// put lets the line be wire, until it is hung up.
func (l *Line) put(wire io.ReadWriter, hangUp func() error) {
	l.wire = wire
	l.change(l.options.Start)
	l.hangUp = sync.OnceValue(func() error {
		close(l.hungUp)
		return hangUp()
	})
}

func makeLine(o Options) (*Line, error) {
	if o.Mode == "" {
		o.Mode = "c"
	}
	if o.Start == 0 {
		o.Start = map[string]int{"d": 2400, "p1": 115200}[o.Mode]
	}
	if o.Start == 0 {
		o.Start = 300
	}
	if o.Rate == 0 {
		o.Rate = 9600
	}
	if o.Delay == 0 {
		o.Delay = 200 * time.Millisecond
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Model == "" {
		o.Model = "SIM-7"
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.identification() == "" {
		return nil, fmt.Errorf("a meter of mode %q at %d baud is not one that this simulator knows", o.Mode, o.Rate)
	}
	return &Line{options: o, hungUp: make(chan struct{})}, nil
}

// identification is the line that the meter introduces itself with; empty: it has none.
func (o *Options) identification() string {
	code := map[string]string{"a": "x", "d": "x", "p1": "5"}[o.Mode]
	for i, rate := range []int{300, 600, 1200, 2400, 4800, 9600, 19200} {
		switch {
		case rate != o.Rate:
		case o.Mode == "c":
			code = string(rune('0' + i))
		case o.Mode == "b" && i > 0:
			code = string(rune('A' + i - 1))
		}
	}
	if code == "" {
		return ""
	}
	return "/SLC" + code + o.Model + "\r\n"
}

// Path is what the gateway opens.
func (l *Line) Path() string { return l.pty.Path() }

// Terminal is the far end itself, for its echo, its noise and its plug.
func (l *Line) Terminal() *pty.Line { return l.pty }

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

// Seen says what the meter saw so far.
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

// Run lets the meter answer, or push, until ctx ends or Close is called, and hangs up.
func (l *Line) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.hangUp() })
	defer stop()
	defer func() { _ = l.hangUp() }() // the outcome is in the error of the read
	if l.options.Mode == "d" || l.options.Mode == "p1" {
		return l.ended(l.pushOn())
	}
	return l.ended(l.converse())
}

// ended tells a line that was hung up on purpose from one that broke.
func (l *Line) ended(err error) error {
	select {
	case <-l.hungUp:
		return nil
	default:
		return fmt.Errorf("the meter's line: %w", err)
	}
}

// pauseWithin is how long a message may pause before a meter takes what came for broken off.
const pauseWithin = 1500 * time.Millisecond // as IEC 62056-21 has it between two characters

func (l *Line) converse() error {
	var heard []byte
	b := make([]byte, 512)
	for last := time.Now(); ; last = time.Now() {
		n, err := l.wire.Read(b)
		if err != nil {
			return err
		}
		if time.Since(last) > pauseWithin {
			heard = nil
		}
		heard = append(heard, l.hear(b[:n])...)
		for {
			q, rest, damaged, ok := next(heard)
			heard = rest
			l.count(func(c *Counts) { c.Damaged += damaged })
			if !ok {
				break
			}
			if err := l.answer(q); err != nil {
				return err
			}
		}
	}
}

// hear takes the parity off. At which rate it was sent the terminal no longer knows by now: the gateway
// may have changed to the next one. That it was the right one shows in the answer, which is sent at the
// meter's.
func (l *Line) hear(b []byte) []byte {
	if bytes.IndexFunc(b, func(r rune) bool { return r > 0x7F }) >= 0 {
		l.parity = true
	}
	if l.parity {
		return seven(b)
	}
	return b
}

// sameRate says whether the gateway's port is at the meter's rate. A port that is not open is.
func (l *Line) sameRate() bool {
	if l.pty == nil {
		return true
	}
	rate, err := speed(l.Path())
	return err != nil || rate == l.rate
}

// change goes over to a rate.
func (l *Line) change(rate int) {
	l.rate = rate
	if l.pty != nil {
		l.pty.Pace(rate, 10)
	}
}

// pause lets time go by, until the line is hung up.
func (l *Line) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.hungUp:
	}
}

// say puts b on the line, at the meter's rate.
func (l *Line) say(b []byte) error {
	if l.parity || l.options.Mode == "d" {
		b = even(b)
		// Mode d has no other check than the parity.
		if l.options.Mode == "d" && l.current() == Flipped {
			b[len(b)/2] ^= 0x01
		}
	}
	if !l.sameRate() {
		b = bytes.Repeat([]byte{0x1F}, len(b))
	}
	_, err := l.wire.Write(b)
	return err
}

// pushOn sends a telegram at every tick.
func (l *Line) pushOn() error {
	for {
		l.pause(l.options.Every)
		select {
		case <-l.hungUp:
			return nil
		default:
		}
		message := l.options.push(l.options.Clock())
		if l.options.Mode == "d" {
			message = []byte(l.options.identification() + "\r\n" + l.options.readout(l.options.Clock()))
		}
		fault := l.current()
		if fault == Silence || fault == Mute {
			continue
		}
		l.count(func(c *Counts) { c.Readouts++ })
		if err := l.say(l.spoil(message)); err != nil {
			return err
		}
	}
}
