package store

import (
	"encoding/binary"
	"fmt"
	"slices"

	"sluice/gateway/message"
)

// Flight is a message on its way to a session's client.
type Flight struct {
	ID       uint16 // the packet id
	Position message.Position
	State    FlightState
}

// FlightState is how far a Flight has come.
type FlightState byte

// A message was sent with QoS 1, or is about to be; its receipt was confirmed (PUBREC), so that only its
// release (PUBREL) is sent again; it is done with, while one before it is not; it was sent with QoS 2.
const (
	FlightSent FlightState = iota
	FlightReceived
	FlightDone
	FlightSentExactly
)

// flights is what is under way to a client, as the database has it: neighbours with neighbouring ids
// and one state are one run. It is kept in that form, so that a sleeping session needs little memory.
type flights struct {
	tracked
	of   *Session
	size int
	upTo message.Position // everything up to it is done with
	runs []byte
}

type flightsValue struct {
	number uint64
	upTo   message.Position
	runs   []byte
}

// SaveFlights records what is under way to the client, in the order of positions, and that everything
// up to upTo is done with, where the session's cursor moves. durable, unless nil, is called once that
// would survive a power cut: before it a message with QoS 2 must not be sent. It runs on the committing
// goroutine and must not block. ErrTooLarge says that too much is under way; 250 always fit.
func (x *Session) SaveFlights(upTo message.Position, under []Flight, durable func(error)) error {
	m := x.set.small
	m.mu.Lock()
	if x.gone {
		m.mu.Unlock()
		return ErrNoSession
	}
	runs, err := appendFlights(nil, upTo, under)
	if err == nil && len(runs) > maxSmallValue-32 {
		err = fmt.Errorf("%w: %d bytes for %d messages under way", message.ErrTooLarge, len(runs), len(under))
	}
	if err == nil {
		err = m.roomLocked(len(runs) + 20 - x.flights.size)
	}
	if err != nil {
		m.mu.Unlock()
		return fmt.Errorf("save what is under way to session %q: %w", x.id, err)
	}
	x.flights.runs = slices.Clip(runs)
	x.flights.upTo = max(x.flights.upTo, upTo)
	x.flights.sizeLocked(len(runs) + 20)
	m.soilLocked(&x.flights.tracked)
	x.unpinLocked()
	cursor := x.cursor
	m.mu.Unlock()
	if cursor != nil {
		cursor.Move(upTo)
	}
	if durable != nil {
		m.afterwards(durable, &x.flights.tracked)
	}
	return nil
}

// Flights gives what was under way to the client when it was last saved. Everything up to upTo, where
// the cursor stands, is done with, or was dropped.
func (x *Session) Flights() (upTo message.Position, under []Flight) {
	x.set.small.mu.Lock()
	defer x.set.small.mu.Unlock()
	upTo = x.flights.upTo
	under, err := decodeRuns(upTo, x.flights.runs)
	if err != nil {
		under = nil // a tail that was lost: they are sent again
	}
	if x.cursor != nil {
		upTo = max(upTo, x.cursor.position)
	}
	return upTo, slices.DeleteFunc(under, func(f Flight) bool { return f.Position <= upTo })
}

func (f *flights) sizeLocked(size int) {
	f.of.set.small.bytes += size - f.size
	f.size = size
}

func (f *flights) entriesLocked() ([]entry, func()) {
	if f.of.gone {
		return nil, nil // its slot may have another session already
	}
	key := smallKey(smallFlights, f.of.slot)
	return []entry{{key, sealSmall(key, present, flightsValue{f.of.number, f.upTo, f.runs}.append(nil))}}, nil
}

func (v flightsValue) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, v.number)
	return append(appendPosition(b, v.upTo), v.runs...)
}

func decodeFlights(body []byte) (v flightsValue, err error) {
	in := input{rest: body}
	v.number, v.upTo = in.number(), position(&in)
	if in.short {
		return v, fmt.Errorf("%w: what is under way", errValue)
	}
	v.runs = slices.Clone(in.rest)
	_, err = decodeRuns(v.upTo, v.runs)
	return v, err
}

// appendFlights writes a run as the distance of its first position to the one before it, the first
// id, and how many there are with their state.
func appendFlights(b []byte, before message.Position, under []Flight) ([]byte, error) {
	for i := 0; i < len(under); {
		f := under[i]
		if f.Position <= before || f.State > FlightSentExactly {
			return nil, fmt.Errorf("bug: %d is under way behind %d in state %d", f.Position, before, f.State)
		}
		n := 1
		for i+n < len(under) && under[i+n] == (Flight{f.ID + uint16(n), f.Position + message.Position(n), f.State}) {
			n++
		}
		b = binary.AppendUvarint(b, uint64(f.Position-before))
		b = binary.BigEndian.AppendUint16(b, f.ID)
		b = binary.AppendUvarint(b, uint64(n)<<2|uint64(f.State))
		before = f.Position + message.Position(n) - 1
		i += n
	}
	return b, nil
}

// maxFlights is how many there can be: packet ids have 16 bits.
const maxFlights = 1 << 16

func decodeRuns(before message.Position, runs []byte) (under []Flight, err error) {
	in := input{rest: runs}
	for len(in.rest) > 0 && !in.short {
		step := position(&in)
		high, low := in.byte(), in.byte()
		many := in.uvarint()
		state, n := FlightState(many&3), many>>2
		first := before + step
		if step == 0 || n == 0 || n > maxFlights-uint64(len(under)) || first >= 1<<62 {
			in.short = true
			break
		}
		for i := range n {
			under = append(under, Flight{(uint16(high)<<8 | uint16(low)) + uint16(i), first + message.Position(i), state})
		}
		before = first + message.Position(n) - 1
	}
	if in.short {
		return nil, fmt.Errorf("%w: what is under way", errValue)
	}
	return under, nil
}
