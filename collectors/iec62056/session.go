package iec62056

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/collectors/bus"
)

const (
	protocol    = "iec62056"
	repetitions = 2 // how often a damaged message is asked for again
)

// session is one conversation with a meter, for as long as its turn on the line lasts.
type session struct {
	o    *Options
	turn *bus.Turn
	// serial says that the line is a port of ours, whose rate can follow the meter's.
	serial bool
	shapes shapes
	id     Identification
	rate   int // that both sides have changed to
}

// silenceError is the lack of a valid answer; what names the step, why what came instead.
type silenceError struct {
	what   string
	waited time.Duration
	why    string
}

func (e *silenceError) Error() string {
	text := fmt.Sprintf("no %s within %v", e.what, e.waited)
	if e.why != "" {
		text += ": " + e.why
	}
	return text
}

// ask sends a message at the rate now, listens at the rate then, and waits for what f looks for.
func (s *session) ask(ctx context.Context, what string, message []byte, now, then int, f finder) error {
	if s.o.Parity == paritySoftware {
		message = withParity(message)
	}
	q := bus.Request{
		Frame: message, Timeout: s.o.Timeout, Gap: s.o.Timeout, Answer: listener{f}.hear,
		Character: s.o.character(now), Protocol: protocol, Overhear: overhear,
	}
	if then != now {
		q.After = s.o.character(then)
	}
	_, err := s.turn.Exchange(ctx, q)
	return silence(what, s.turn, err)
}

// silence puts the lack of an answer into words.
func silence(what string, turn *bus.Turn, err error) error {
	if noReply, ok := errors.AsType[*bus.NoReplyError](err); ok {
		if noReply.Echo {
			return &silenceError{what, noReply.Waited, "only the request itself was heard"}
		}
		fault, why := explain(noReply.Received)
		if why != "" {
			turn.Verdict(fault, why)
		}
		return &silenceError{what, noReply.Waited, why}
	}
	return err
}

// overhear is a bus.Request's. What meters say does not tell that it is late, but who signs on does not
// do so by chance.
func overhear(b []byte) (heard bus.Overheard) {
	for _, plain := range [][]byte{b, withoutParity(b)} {
		heard.Requests = max(heard.Requests, bytes.Count(plain, []byte("/?")))
	}
	return heard
}

// explain says what came instead of an answer.
func explain(received []byte) (bus.Fault, string) {
	if len(received) == 0 {
		return bus.Garbled, ""
	}
	plain := received
	if damagedShare(withoutParity(received)) < damagedShare(plain) {
		plain = withoutParity(received)
	}
	if 2*damagedShare(plain) > len(plain) {
		return bus.Garbled, fmt.Sprintf("%d characters came that are no text: the rate or the parity may be wrong", len(received))
	}
	return bus.Damaged, fmt.Sprintf("%d characters came, beginning with %q", len(received), clip(plain))
}

// damagedShare counts what cannot be part of a message.
func damagedShare(b []byte) (n int) {
	for _, c := range b {
		if c == 0 || c >= 0x7F {
			n++
		}
	}
	return n
}

// signOn makes the meter identify itself. A meter of mode A has then told everything.
func (s *session) signOn(ctx context.Context) (*identified, error) {
	start := s.o.start()
	f := &identified{mode: s.o.Mode, data: telegram{plain: true}}
	if err := s.ask(ctx, "answer to the sign-on", signOn(s.o.Device, s.o.WakeUp), start, start, f); err != nil {
		return nil, err
	}
	s.id = f.id
	return f, nil
}

// agree says how to go on with the meter that identified itself, and changes the rate.
func (s *session) agree() (mode string) {
	mode, rate := s.id.handshake()
	if s.o.Mode != modeAuto {
		mode = s.o.Mode
	}
	s.rate = s.o.start()
	if rate == 0 || s.o.KeepBaud || !s.serial {
		return mode
	}
	s.rate = rate
	if mode == modeC && s.o.MaxBaud != 0 { // in mode b the meter alone decides
		s.rate = min(rate, s.o.MaxBaud)
	}
	return mode
}

// readout gives everything that the meter tells.
func (s *session) readout(ctx context.Context) ([]Item, error) {
	f, err := s.signOn(ctx)
	if err != nil {
		return nil, err
	}
	start, data := s.o.start(), &telegram{plain: true}
	switch s.agree() {
	case modeA:
		data = &f.data
		err = s.judge(data)
	case modeB:
		if err = s.ask(ctx, s.atRate("readout"), nil, s.rate, s.rate, data); err == nil {
			err = s.judge(data)
		}
	default:
		code, _ := rateCode(s.rate)
		data.plain = false
		if err = s.ask(ctx, s.atRate("readout"), acknowledgement(code, '0'), start, s.rate, data); err == nil {
			err = s.repeat(ctx, data)
		}
	}
	if err != nil {
		s.abandon(ctx, err)
		return nil, err
	}
	return ParseReadout(data.block.Data)
}

// atRate adds the rate to what is waited for, since a line that garbles it is a usual reason.
func (s *session) atRate(what string) string { return fmt.Sprintf("%s at %d baud", what, s.rate) }

// judge says why a readout that was heard as a whole does not count.
func (s *session) judge(data *telegram) error {
	err := data.err
	if err == nil {
		err = s.shapes.believe("", data.block.Data)
	}
	if err != nil {
		s.turn.Verdict(bus.Damaged, err.Error())
	}
	return err
}

// repeat asks for a damaged readout again, as long as one is answered.
func (s *session) repeat(ctx context.Context, data *telegram) error {
	damaged := s.judge(data)
	for range repetitions {
		if damaged == nil {
			return nil
		}
		*data = telegram{}
		if err := s.ask(ctx, s.atRate("repetition of a damaged readout"), []byte{nak}, s.rate, s.rate, data); err != nil {
			return errors.Join(damaged, err)
		}
		damaged = s.judge(data)
	}
	return damaged
}

// abandon stops a meter that may still be sending what nobody will listen to, so that the line is
// free for the next. One that was heard to the end is not, and to one that is silent it is no use.
func (s *session) abandon(ctx context.Context, err error) {
	if silent, ok := errors.AsType[*silenceError](err); errors.Is(err, errDamaged) || ok && silent.why == "" {
		return
	}
	s.breakOff(ctx)
}

// breakOff ends the conversation. Meters do not answer it, and what goes wrong with it is no news.
func (s *session) breakOff(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	message := breakOff.Append(nil)
	if s.o.Parity == paritySoftware {
		message = withParity(message)
	}
	never := func([]byte) ([]byte, bool) { return nil, false }
	_, _ = s.turn.Exchange(ctx, bus.Request{
		Frame: message, Timeout: time.Millisecond, Late: -1, Quiet: true, Answer: never, Character: s.o.character(s.rate), Protocol: protocol,
	})
}

// program enters programming mode, in which single registers can be read.
func (s *session) program(ctx context.Context) error {
	if _, err := s.signOn(ctx); err != nil {
		return err
	}
	if mode := s.agree(); mode != modeC {
		return fmt.Errorf("the meter identified itself as %s, which is mode %s: it has no programming mode, so use read: readout", s.id, mode)
	}
	code, _ := rateCode(s.rate)
	f := &answered{}
	if err := s.ask(ctx, s.atRate("programming mode"), acknowledgement(code, '1'), s.o.start(), s.rate, f); err != nil {
		return err
	}
	if f.refused {
		return errors.New("the meter refused the programming mode")
	}
	return f.err
}

// refusalError is a meter's answer that holds no value.
type refusalError struct{ problem string }

func (e *refusalError) Error() string { return e.problem }

// register reads one register in programming mode.
func (s *session) register(ctx context.Context, code Code) (Item, error) {
	request := Block{Command: s.o.Read, Data: []byte(code.String() + "()")}.Append(nil)
	var problem error
	for range 1 + repetitions {
		f := &answered{}
		if err := s.ask(ctx, s.atRate("answer about "+code.String()), request, s.rate, s.rate, f); err != nil {
			return Item{}, err
		}
		if f.refused {
			problem = errors.New("the meter did not understand the request (it answered NAK)")
			s.turn.Refused(problem.Error())
			continue
		}
		if problem = f.err; problem == nil {
			problem = s.shapes.believe(code.String(), f.block.Data)
		}
		if problem == nil {
			return s.registerItem(code, f.block)
		}
		s.turn.Verdict(bus.Damaged, problem.Error())
	}
	return Item{}, &refusalError{problem.Error()}
}

// registerItem takes the answer to one register, which need not repeat the code but may name no
// other.
func (s *session) registerItem(code Code, answer Block) (Item, error) {
	items, err := ParseReadout(answer.Data)
	switch {
	case err != nil:
		return Item{}, &refusalError{err.Error()}
	case len(items) != 1:
		return Item{}, &refusalError{fmt.Sprintf("the meter answered about %d registers", len(items))}
	case items[0].Code.text != "" && !code.asks(items[0].Code):
		return Item{}, &refusalError{fmt.Sprintf("the meter answered about %s", items[0].Code)}
	case strings.HasPrefix(items[0].Values[0], "ER"):
		s.turn.Refused(items[0].Values[0])
		return Item{}, &refusalError{fmt.Sprintf("the meter refused: %s", items[0].Values[0])}
	}
	items[0].Code = code
	return items[0], nil
}
