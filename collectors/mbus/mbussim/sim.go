// Package mbussim plays the meters on an M-Bus: real bytes on a pseudo-terminal or on a connection.
// The meters obey the frame count bit and selection by secondary address, collide when several are
// asked, measure something that moves, count what they hear, and misbehave when told to.
package mbussim

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"sluice/collectors/bus/pty"
)

// Fault is a way in which the meters misbehave.
type Fault string

// The faults. Healthy meters have none.
const (
	Healthy       Fault = ""
	Silence       Fault = "silence"        // no answer
	Flaky         Fault = "flaky"          // every other answer has a wrong checksum
	BadChecksum   Fault = "bad-checksum"   // every answer has
	WrongAddress  Fault = "wrong-address"  // the answer names another meter
	WrongIdentity Fault = "wrong-identity" // the header is another meter's
	Garbage       Fault = "garbage"        // noise before the answer, with start bytes in it
	Echo          Fault = "echo"           // the converter hears its own request before the answer
	EchoOnly      Fault = "echo-only"      // and there is no answer
	Short         Fault = "short"          // the answer breaks off
	Refuse        Fault = "refuse"         // an application error: busy
	Repeat        Fault = "repeat"         // the frame count bit is not heeded: the first telegram for ever
	Endless       Fault = "endless"        // every telegram announces another
	Encrypted     Fault = "encrypted"      // the header says that the data is encrypted
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{Silence, Flaky, BadChecksum, WrongAddress, WrongIdentity, Garbage, Echo, EchoOnly, Short, Refuse, Repeat, Endless, Encrypted}
}

// Meter is one meter on the line.
type Meter struct {
	Primary byte   // its number on the line
	ID      string // eight digits
	Maker   string // three letters
	Version byte
	Medium  byte
	// Telegrams are the records of each telegram that the meter answers with, without 1F at the end:
	// the simulator puts it there. None: a heat meter whose values follow from the clock.
	Telegrams [][]byte
	// Frames are sent as they are instead, one after the other.
	Frames [][]byte
	// Deaf meters do not know the reset of the link.
	Deaf bool
}

// Options say what is on the line.
type Options struct {
	Meters []Meter          // none: one heat meter with the number 1
	Link   string           // a symbolic link to the port, which changes its name with every start
	Delay  time.Duration    // from the request to its answer
	Clock  func() time.Time // the meters' clock; nil: the system's
}

// Counts is what the meters on a line saw.
type Counts struct {
	Requests int // valid requests, to whichever meter
	Resets   int // of these, resets of the link
	Selects  int // of these, selections by secondary address
	Reads    int // of these, requests for data that were answered
	Repeats  int // of these, answered with the telegram before because the frame count bit was the same
	Applies  int // of these, resets of the application
	Damaged  int // bytes that belonged to no request
}

// Line is an M-Bus with meters on it.
type Line struct {
	options Options
	pty     *pty.Line // nil: only Serve is used

	mu     sync.Mutex // guards what follows
	meters []*meter
	fault  Fault
	odd    bool // of Flaky: this answer is damaged
	counts Counts
}

// New makes the meters without a line; Serve lets them answer on any connection.
func New(o Options) (*Line, error) {
	if len(o.Meters) == 0 {
		o.Meters = []Meter{{Primary: 1, ID: "11490378", Maker: "ACW", Version: 14, Medium: 4}}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	l := &Line{options: o}
	for _, m := range o.Meters {
		made, err := newMeter(m)
		if err != nil {
			return nil, err
		}
		l.meters = append(l.meters, made)
	}
	return l, nil
}

// Open makes the meters and a pseudo-terminal. They answer once Run runs.
func Open(o Options) (*Line, error) {
	l, err := New(o)
	if err != nil {
		return nil, err
	}
	if o.Link != "" {
		l.pty, err = pty.OpenAt(o.Link)
	} else {
		l.pty, err = pty.Open()
	}
	return l, err
}

func newMeter(m Meter) (*meter, error) {
	id, err := hex.DecodeString(m.ID)
	if err != nil || len(id) != 4 || len(m.Maker) != 3 {
		return nil, fmt.Errorf("meter %d: %q and %q are not eight digits and three letters", m.Primary, m.ID, m.Maker)
	}
	code := uint16(m.Maker[0]-64)<<10 | uint16(m.Maker[1]-64)<<5 | uint16(m.Maker[2]-64)
	made := &meter{Meter: m}
	copy(made.identity[:], []byte{id[3], id[2], id[1], id[0], byte(code), byte(code >> 8), m.Version, m.Medium})
	return made, nil
}

// Path is what the gateway opens.
func (l *Line) Path() string { return l.pty.Path() }

// Wire is the far end of the port that Path names, for a test that pulls it.
func (l *Line) Wire() *pty.Line { return l.pty }

// Close hangs the line up for good. A Run under way then returns.
func (l *Line) Close() error { return l.pty.Close() }

// Misbehave makes all meters do so until they are told otherwise; Healthy ends it.
func (l *Line) Misbehave(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault, l.odd = f, false
}

// Seen says what the meters saw so far.
func (l *Line) Seen() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Primary gives the number that a meter has on the line now.
func (l *Line) Primary(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.meters {
		if m.ID == id {
			return int(m.Primary)
		}
	}
	return -1
}

// Run lets the meters answer until ctx ends or Close is called, and hangs up.
func (l *Line) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.pty.Close() }) // again below, where its error is told
	defer stop()
	err := l.Serve(l.pty)
	return errors.Join(err, l.pty.Close())
}

// Serve lets the meters answer on rw until it ends.
func (l *Line) Serve(rw io.ReadWriter) error {
	var heard []byte
	b := make([]byte, 512)
	for {
		n, err := rw.Read(b)
		if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listen to the line: %w", err)
		}
		heard = append(heard, b[:n]...)
		for {
			q, rest, damaged, ok := next(heard)
			heard = rest
			l.mu.Lock()
			l.counts.Damaged += damaged
			l.mu.Unlock()
			if !ok {
				break
			}
			if err := l.say(rw, l.Answer(q.raw)); err != nil {
				return err
			}
		}
	}
}

func (l *Line) say(rw io.Writer, answer []byte) error {
	if len(answer) == 0 {
		return nil
	}
	time.Sleep(l.options.Delay)
	_, err := rw.Write(answer)
	if errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
