package mbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

// Search says where meters are looked for. The line is shared with its other devices meanwhile: each
// question is a turn of its own.
type Search struct {
	// Numbers asks at every number on the line from First to Last, of which 0 means 250.
	Numbers     bool
	First, Last byte
	// Identities asks by identification number: everyone at once, and where several answer, digit by
	// digit. It finds meters that share a number, such as new ones, which all have 0.
	Identities bool
	Among      string        // only those, in the form of an address; empty: all
	Baud       int           // 0: as the line is set
	Timeout    time.Duration // for one question; 0: 300 ms

	Progress func(asked int, what string) // nil: nobody wants to know
	Found    func(Found)                  // hears of each at once, between two turns; nil likewise
}

// Found is one meter, or one number at which something is wrong.
type Found struct {
	Address  string // as the configuration wants it
	Number   int    // on the line; -1: not known
	Identity string // 11490378.ACW.14.22, empty when the meter did not tell
	Medium   string // what it measures, in words
	Records  []string
	Problem  string // why it cannot be read as it is
	Heard    []byte // what it sent
}

const (
	searchTimeout = 300 * time.Millisecond
	digits        = 8 // of an identification number
)

// Find looks for meters until it has asked everywhere or ctx ends; then it gives what it has found by
// then with the error of ctx.
func Find(ctx context.Context, c *bus.Client, where Search) ([]Found, error) {
	if where.Timeout == 0 {
		where.Timeout = searchTimeout
	}
	s := &search{Search: where, line: c, among: everyone()}
	if where.Among != "" {
		var a Address
		if err := a.UnmarshalText([]byte(where.Among)); err != nil || !a.secondary {
			return nil, fmt.Errorf("look for meters: %q is not eight digits with F for any", where.Among)
		}
		s.among = a.identity
	}
	s.timeout, s.character = patience(where.Timeout, where.Baud), characters(where.Baud)
	var err error
	if where.Numbers {
		err = s.numbers(ctx)
	}
	if err == nil && where.Identities {
		err = s.identities(ctx)
	}
	if err != nil {
		return s.found, fmt.Errorf("look for meters: %w", err)
	}
	return s.found, nil
}

// taker gives turns on a line: a *bus.Client.
type taker interface {
	Take(ctx context.Context, urgent bool) (*bus.Turn, error)
}

type search struct {
	Search
	line      taker
	among     Identity
	timeout   time.Duration
	character *bus.Character
	asked     int
	found     []Found
	told      int // of those found
}

// tell tells of those that were found since the last time.
func (s *search) tell() {
	for ; s.told < len(s.found); s.told++ {
		if s.Found != nil {
			s.Found(s.found[s.told])
		}
	}
}

// heard gives all that came after a request until the line was quiet again. A second meter may answer
// later than the first, so the search does not stop at the first good frame as a reading does.
func (s *search) heard(ctx context.Context, turn exchanger, f Frame) ([]byte, error) {
	frame := f.Append(nil)
	_, err := turn.Exchange(ctx, bus.Request{
		Frame: frame, Timeout: s.timeout, Character: s.character, Protocol: protocol, Late: -1, Quiet: true,
		Answer: func([]byte) ([]byte, bool) { return nil, false },
	})
	none, ok := errors.AsType[*bus.NoReplyError](err)
	if !ok {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return bytes.Clone(bytes.TrimPrefix(none.Received, frame)), nil
}

func (s *search) report(what string) {
	s.asked++
	if s.Progress != nil {
		s.Progress(s.asked, what)
	}
}

// numbers resets the link of each number; who is there says E5, and is asked for its data then.
func (s *search) numbers(ctx context.Context) error {
	last := int(s.Last)
	if last == 0 {
		last = maxPrimary
	}
	for number := int(s.First); number <= min(last, maxPrimary); number++ {
		s.report(fmt.Sprintf("meter %d", number))
		if err := s.number(ctx, byte(number)); err != nil {
			return err
		}
		s.tell()
	}
	return nil
}

func (s *search) number(ctx context.Context, number byte) error {
	turn, err := s.line.Take(ctx, false)
	if err != nil {
		return err
	}
	defer turn.Release()
	acks, err := s.heard(ctx, turn, short(sndNKE, number))
	if err != nil || len(acks) == 0 {
		return err
	}
	data, err := s.heard(ctx, turn, short(reqUD2|fcbBit, number))
	if err != nil {
		return err
	}
	f := Found{Address: fmt.Sprint(number), Number: int(number), Heard: data}
	frame, alone := only(data)
	switch {
	case alone && frame.Address != number:
		f.Problem = fmt.Sprintf("it calls itself meter %d in its answer", frame.Address)
	case alone && len(acks) == 1:
		f.describe(frame)
	case len(data) == 0:
		f.Problem = "something answered, and then sent no data"
	default:
		f.Problem = fmt.Sprintf("several meters answer to the number %d at once: give them different ones, or read them by their identification numbers", number)
	}
	s.found = append(s.found, f)
	return nil
}

// only takes the one frame of an answer that b is and nothing else.
func only(b []byte) (Frame, bool) {
	f, err := Decode(b)
	return f, err == nil && f.Kind == Long && f.Control&kindMask == rspUD
}

// describe fills in what an answer tells about the meter.
func (f *Found) describe(frame Frame) {
	t, err := DecodeTelegram(frame.Info, frame.Data)
	if err != nil {
		f.Problem = err.Error()
		return
	}
	f.Records = Names(t.Records)
	if !t.Header.Named {
		return
	}
	identity := t.Header.Identity
	f.Medium = mediumName(identity.Medium)
	if t.Header.Fixed {
		identity.Medium = anyByte // such a meter need not know the code
	}
	f.Identity = identity.String()
}

// identities asks everyone at once and then, where several answer, by the next digit.
func (s *search) identities(ctx context.Context) error {
	if err := s.ask(ctx, s.among, 0); err != nil {
		return err
	}
	// Whoever was found last is still selected.
	turn, err := s.line.Take(ctx, false)
	if err != nil {
		return err
	}
	defer turn.Release()
	_, err = s.heard(ctx, turn, short(sndNKE, addressNetwork))
	return err
}

// ask looks for the meters that mask means, all digits before the given one being settled.
func (s *search) ask(ctx context.Context, mask Identity, digit int) error {
	s.report("meter " + mask.String())
	crowd, certain, err := s.choose(ctx, mask)
	if err != nil || !crowd {
		s.tell()
		return err
	}
	shift := func() int { return 4 * (digits - 1 - digit) }
	for digit < digits && mask.ID>>shift()&0xF != 0xF {
		digit++ // given
	}
	if digit == digits {
		if !certain {
			return fmt.Errorf("%w: something is heard whatever is asked", bus.ErrNoise)
		}
		s.found = append(s.found, Found{
			Address: mask.String(), Number: -1,
			Problem: "several meters with this identification number answer at once: add maker, version and medium to the address",
		})
		s.tell()
		return nil
	}
	for d := range uint32(10) {
		next := mask
		next.ID = mask.ID&^(0xF<<shift()) | d<<shift()
		if err := s.ask(ctx, next, digit+1); err != nil {
			return err
		}
	}
	return nil
}

// choose selects those that mask means. It notes a single one; crowd says that several answered, and
// certain that there were meters among what was heard.
func (s *search) choose(ctx context.Context, mask Identity) (crowd, certain bool, err error) {
	turn, err := s.line.Take(ctx, false)
	if err != nil {
		return false, false, err
	}
	defer turn.Release()
	acks, err := s.heard(ctx, turn, long(sndUD, addressNetwork, ciSelect, mask.wire()...))
	if err != nil || len(acks) == 0 {
		return false, false, err
	}
	data, err := s.heard(ctx, turn, short(reqUD2|fcbBit, addressNetwork))
	if err != nil {
		return false, false, err
	}
	frame, alone := only(data)
	if !alone || len(acks) != 1 {
		_, acknowledges := acknowledged(acks)
		_, _, whole := find(data)
		return true, acknowledges || whole, nil
	}
	f := Found{Address: mask.String(), Number: -1, Heard: data}
	if frame.Address <= maxPrimary {
		f.Number = int(frame.Address)
	}
	f.describe(frame)
	if f.Identity != "" {
		f.Address = f.Identity
	}
	s.found = append(s.found, f)
	return false, true, nil
}
