// Package cjt188sim plays water, heat, gas and electricity meters that speak CJ/T 188, on whatever
// carries bytes: a pseudo-terminal, a connection. The meters measure something that moves, have the
// quirks of real ones, and misbehave when told to.
package cjt188sim

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Fault is a way in which the meters misbehave.
type Fault string

// The faults. Healthy meters have none.
const (
	Healthy      Fault = ""
	Silence      Fault = "silence"       // no answer
	BadChecksum  Fault = "bad-checksum"  // one bit of the checksum is wrong
	WrongMeter   Fault = "wrong-meter"   // the answer names another meter
	WrongID      Fault = "wrong-id"      // the answer is about other data
	WrongType    Fault = "wrong-type"    // the answer says that the meter is of another type
	Garbage      Fault = "garbage"       // noise before the answer, with start bytes in it
	Refuse       Fault = "refuse"        // an error answer
	Split        Fault = "split"         // the answer comes in pieces with pauses
	Echo         Fault = "echo"          // the adapter hears its own request before the answer
	EchoOnly     Fault = "echo-only"     // and there is no answer
	Short        Fault = "short"         // the answer breaks off
	LessData     Fault = "less-data"     // the frame is good, but has a byte too little
	NotDecimal   Fault = "not-decimal"   // a digit is above 9
	NotAvailable Fault = "not-available" // all FF: the meter has no value
	UnknownUnit  Fault = "unknown-unit"  // a unit byte that is none
	StuckValve   Fault = "stuck-valve"   // commands are taken, the valve does not move
	MuteWrite    Fault = "mute-write"    // commands are carried out and not answered
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{
		Silence, BadChecksum, WrongMeter, WrongID, WrongType, Garbage, Refuse, Split, Echo, EchoOnly, Short, LessData,
		NotDecimal, NotAvailable, UnknownUnit, StuckValve, MuteWrite,
	}
}

// Meter is one meter and its quirks.
type Meter struct {
	Number    string // 14 digits
	Type      byte   // 0x10 to 0x49; 0: cold water
	LowFirst  bool   // it knows identifiers with the low byte first alone, and is silent about others
	UnitFirst bool   // its unit bytes stand before the values
	Serial    int    // it answers with this serial number always; -1: with that of the request
	Fussy     bool   // it does not answer to a part of its address
	OwnType   bool   // it answers to its own type alone, not to AA
	ValveTime time.Duration
}

// DefaultMeters are those of a line whose Options name none.
func DefaultMeters() []Meter {
	return []Meter{
		{Number: "00201510270588", Type: 0x10, Serial: -1},
		{Number: "42590008210438", Type: 0x20, Serial: 0, UnitFirst: true},
		{Number: "78330011223344", Type: 0x30, Serial: -1, LowFirst: true},
	}
}

// Options say what is on the line.
type Options struct {
	Meters   []Meter
	Preamble int              // FE bytes before an answer
	Delay    time.Duration    // from the request to its answer
	Clock    func() time.Time // the meters' clock; nil: the system's
}

// Counts is what the meters on a line saw.
type Counts struct {
	Requests int // valid requests, to whichever meter
	Answers  int // of these, answered, well or ill
	Foreign  int // of these, to a meter that is not on this line
	Damaged  int // bytes that belonged to no request
	Writes   int // commands to valves
}

// Line is a line with meters on it.
type Line struct {
	options Options
	meters  []*meter

	mu     sync.Mutex // guards what follows
	fault  Fault
	counts Counts
}

type meter struct {
	Meter
	address [7]byte // low byte first

	closed  bool // the valve, or where it is going
	settled time.Time
}

// New makes a line.
func New(o Options) (*Line, error) {
	if len(o.Meters) == 0 {
		o.Meters = DefaultMeters()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	l := &Line{options: o}
	for _, m := range o.Meters {
		address, err := hex.DecodeString(m.Number)
		if err != nil || len(address) != 7 {
			return nil, fmt.Errorf("%q is not a meter number of 14 digits", m.Number)
		}
		if m.Type == 0 {
			m.Type = 0x10
		}
		one := &meter{Meter: m}
		for i := range address {
			one.address[i] = address[6-i]
		}
		l.meters = append(l.meters, one)
	}
	return l, nil
}

// Misbehave makes all meters do so until they are told otherwise; Healthy ends it.
func (l *Line) Misbehave(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
}

// Seen says what the meters saw so far.
func (l *Line) Seen() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Serve lets the meters answer what comes from wire until ctx ends or the other end goes, and closes
// wire.
func (l *Line) Serve(ctx context.Context, wire io.ReadWriteCloser) error {
	stop := context.AfterFunc(ctx, func() { _ = wire.Close() })
	defer func() {
		if stop() {
			_ = wire.Close()
		}
	}()
	var heard []byte
	b := make([]byte, 512)
	for {
		n, err := wire.Read(b)
		if ctx.Err() != nil || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hear: %w", err)
		}
		heard = append(heard, b[:n]...)
		for {
			q, rest, damaged, ok := next(heard)
			heard = rest
			l.count(func(c *Counts) { c.Damaged += damaged })
			if !ok {
				break
			}
			if err := l.answer(ctx, wire, q); err != nil && ctx.Err() == nil {
				return fmt.Errorf("answer: %w", err)
			}
		}
	}
}

func (l *Line) count(change func(*Counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.counts)
}

// answer lets all meters that feel spoken to answer at once.
func (l *Line) answer(ctx context.Context, wire io.Writer, q request) error {
	l.count(func(c *Counts) { c.Requests++ })
	spoken := l.addressed(q)
	if len(spoken) == 0 {
		l.count(func(c *Counts) { c.Foreign++ })
		return nil
	}
	if err := pause(ctx, l.options.Delay); err != nil {
		return err
	}
	var pieces [][]byte
	for _, m := range spoken {
		said := l.pieces(q, m)
		if len(said) == 0 {
			continue
		}
		if pieces == nil {
			pieces = said
			continue
		}
		pieces = [][]byte{collide(bytes.Join(pieces, nil), bytes.Join(said, nil))}
	}
	if len(pieces) > 0 {
		l.count(func(c *Counts) { c.Answers++ }) // before: who has the answer finds it counted
	}
	for i, piece := range pieces {
		if i > 0 {
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
		if _, err := wire.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// collide is what is heard when two speak at once on a line where a zero is stronger.
func collide(a, b []byte) []byte {
	if len(a) < len(b) {
		a, b = b, a
	}
	both := bytes.Clone(a)
	for i, c := range b {
		both[i] &= c
	}
	return both
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// addressed says which meters feel spoken to. AA stands for any two digits.
func (l *Line) addressed(q request) (spoken []*meter) {
	for _, m := range l.meters {
		match, part, whole := q.kind == m.Type || q.kind == 0xAA && !m.OwnType, false, true
		for i, c := range q.address {
			match = match && (c == m.address[i] || c == 0xAA)
			part = part || c == 0xAA
			whole = whole && c == 0xAA
		}
		if match && (!part || whole || !m.Fussy) {
			spoken = append(spoken, m)
		}
	}
	return spoken
}
