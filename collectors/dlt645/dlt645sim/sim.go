// Package dlt645sim plays electricity meters that speak DL/T 645-2007 and -1997: real bytes on a
// real pseudo-terminal, which the gateway opens like any serial port. The meters measure something
// that moves, count what they hear, and misbehave when told to.
package dlt645sim

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
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
	Garbage      Fault = "garbage"       // noise before the answer, with start bytes in it
	Refuse       Fault = "refuse"        // an error answer: no such data
	Split        Fault = "split"         // the answer comes in pieces with pauses
	Echo         Fault = "echo"          // the adapter hears its own request before the answer
	EchoOnly     Fault = "echo-only"     // and there is no answer
	Short        Fault = "short"         // the answer breaks off
	NotDecimal   Fault = "not-decimal"   // the checksum is good, a digit is above 9
	NotAvailable Fault = "not-available" // all FF: the meter has no value
	Sequence     Fault = "sequence"      // the value is spread over two frames
	Endless      Fault = "endless"       // more data is announced for ever
	Deaf         Fault = "deaf"          // what is written is acknowledged and not taken
	MuteWrite    Fault = "mute-write"    // what is written is taken and not acknowledged
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{Silence, BadChecksum, WrongMeter, WrongID, Garbage, Refuse, Split, Echo, EchoOnly, Short, NotDecimal, NotAvailable, Sequence, Endless, Deaf, MuteWrite}
}

// DefaultMeter is the number of the only meter when Options names none.
const DefaultMeter = "000000000161"

// Options say what is on the line.
type Options struct {
	Meters   []string         // their numbers, 12 digits each
	Link     string           // a symbolic link to the port, which changes its name with every start
	Preamble int              // FE bytes before an answer; real meters send up to four
	Delay    time.Duration    // from the request to its answer; the standard has 20 to 500 ms
	Clock    func() time.Time // the meters' clock; nil: the system's
	Mute     []uint32         // identifiers that get no answer at all, as some meters do it
	Blocks   bool             // the meters know the identifiers of blocks
	Password string           // 8 digits with which the meters can be written; empty: they cannot
	Fussy    bool             // the meters do not answer to a part of their address
}

// Counts is what the meters on a line saw.
type Counts struct {
	Requests int // valid requests, to whichever meter
	Answers  int // of these, answered, well or ill
	Foreign  int // of these, to a meter that is not on this line
	Damaged  int // bytes that belonged to no request
	Overlaps int // requests that came while an answer was due
	Writes   int // of these, that wrote something and had the right password
	Times    int // broadcasts of the time
}

// Line is a serial line with meters on it.
type Line struct {
	options Options
	meters  map[[6]byte]bool
	wire    wire
	path    string        // of the pseudo-terminal, if it is one
	hangUp  func() error  // once
	hungUp  chan struct{} // closed by it

	mu     sync.Mutex // guards what follows
	fault  Fault
	counts Counts
	fixed  map[uint32][]byte
	shift  time.Duration // what was added to the meters' clocks
}

// wire is what the meters hear and speak on.
type wire interface {
	io.ReadWriter
	SetReadDeadline(at time.Time) error
	SetWriteDeadline(at time.Time) error
}

// Open makes the pseudo-terminal. The meters answer once Run runs.
func Open(o Options) (*Line, error) {
	l, err := makeLine(o)
	if err != nil {
		return nil, err
	}
	terminal, err := openPTY(o.Link)
	if err != nil {
		return nil, err
	}
	l.put(terminal.master, terminal.close)
	l.path = terminal.path
	return l, nil
}

// OpenOn puts the meters on a line that is there.
func OpenOn(conn net.Conn, o Options) (*Line, error) {
	l, err := makeLine(o)
	if err != nil {
		return nil, err
	}
	l.put(conn, conn.Close)
	return l, nil
}

// put lets the line be w, until it is hung up.
func (l *Line) put(w wire, hangUp func() error) {
	l.wire = w
	l.hangUp = sync.OnceValue(func() error {
		close(l.hungUp)
		return hangUp()
	})
}

func makeLine(o Options) (*Line, error) {
	if len(o.Meters) == 0 {
		o.Meters = []string{DefaultMeter}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	l := &Line{options: o, hungUp: make(chan struct{}), meters: map[[6]byte]bool{}, fixed: map[uint32][]byte{}}
	for _, number := range o.Meters {
		address, err := hex.DecodeString(number)
		if err != nil || len(address) != 6 {
			return nil, fmt.Errorf("%q is not a meter number of 12 digits", number)
		}
		l.meters[reversed([6]byte(address))] = true
	}
	return l, nil
}

// Path is what the gateway opens: the link if there is one.
func (l *Line) Path() string {
	if l.options.Link != "" {
		return l.options.Link
	}
	return l.path
}

// Misbehave makes all meters do so until they are told otherwise; Healthy ends it.
func (l *Line) Misbehave(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
}

// Set fixes what the meters have behind an identifier, low byte first.
func (l *Line) Set(id uint32, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fixed[id] = bytes.Clone(data)
}

// Seen says what the meters saw so far.
func (l *Line) Seen() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Close hangs the line up, as pulling the adapter would. A Run under way then returns.
func (l *Line) Close() error { return l.hangUp() }

// Run lets the meters answer until ctx ends or Close is called, and hangs up.
func (l *Line) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.hangUp() })
	defer stop()
	defer func() { _ = l.hangUp() }() // the outcome is in the error of the read
	var heard []byte
	for {
		more, err := l.hear(time.Time{})
		if err != nil {
			return l.ended(err)
		}
		heard = append(heard, more...)
		for {
			q, rest, damaged, ok := next(heard)
			heard = rest
			l.count(func(c *Counts) { c.Damaged += damaged })
			if !ok {
				break
			}
			late, err := l.answer(q)
			if err != nil {
				return l.ended(err)
			}
			heard = append(heard, late...)
		}
	}
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

// hear takes what arrives until the deadline; the zero time has none.
func (l *Line) hear(deadline time.Time) ([]byte, error) {
	if err := l.wire.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	b := make([]byte, 512)
	n, err := l.wire.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return b[:n], err
}

func (l *Line) count(change func(*Counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.counts)
}

// answer lets the meters that are asked answer after their delay. What is heard meanwhile is
// returned: on a line with one master there must be nothing.
func (l *Line) answer(q request) (late []byte, err error) {
	l.count(func(c *Counts) { c.Requests++ })
	if q.control == broadcastTime {
		l.takeTime(q)
		return nil, nil
	}
	meters := l.addressed(q)
	if len(meters) == 0 {
		l.count(func(c *Counts) { c.Foreign++ })
		return nil, nil
	}
	if late, err = l.pause(l.options.Delay); err != nil {
		return nil, err
	}
	var pieces [][]byte
	for _, meter := range meters {
		said := l.pieces(q, meter)
		if pieces == nil || said == nil {
			pieces = append(pieces, said...)
			continue
		}
		pieces = [][]byte{collide(bytes.Join(pieces, nil), bytes.Join(said, nil))}
	}
	if len(pieces) > 0 {
		l.count(func(c *Counts) { c.Answers++ }) // before: who has the answer finds it counted
	}
	for i, piece := range pieces {
		if i > 0 {
			more, err := l.pause(30 * time.Millisecond)
			if err != nil {
				return nil, err
			}
			late = append(late, more...)
		}
		if err := l.say(piece); err != nil {
			return nil, err
		}
	}
	if len(late) > 0 {
		l.count(func(c *Counts) { c.Overlaps++ })
	}
	return late, nil
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

func (l *Line) pause(d time.Duration) (late []byte, err error) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		more, err := l.hear(end)
		if err != nil {
			return nil, err
		}
		late = append(late, more...)
	}
	return late, nil
}

// say puts b on the line. When nobody takes bytes any more they are lost, as on a real line.
func (l *Line) say(b []byte) error {
	if err := l.wire.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := l.wire.Write(b); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// addressed says which meters feel spoken to. AA stands for any two digits.
func (l *Line) addressed(q request) (meters [][6]byte) {
	for meter := range l.meters {
		match, part, whole := true, false, true
		for i, c := range q.meter {
			match = match && (c == meter[i] || c == 0xAA)
			part, whole = part || c == 0xAA, whole && c == 0xAA
		}
		if match && (!part || whole || !l.options.Fussy) {
			meters = append(meters, meter)
		}
	}
	return meters
}

func reversed(b [6]byte) [6]byte {
	return [6]byte{b[5], b[4], b[3], b[2], b[1], b[0]}
}
