package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/goburrow/modbus"

	"sluice/collectors/bus"
)

// wire is what a link needs of bus.Client: a share of a line.
type wire interface {
	take(ctx context.Context, urgent bool) (turn, error)
	rest()
	refused(code byte, text string)
}

// turn is what it needs of bus.Turn: the line for several exchanges.
type turn interface {
	Exchange(ctx context.Context, q bus.Request) ([]byte, error)
	Verdict(fault bus.Fault, text string)
	Release()
}

type busWire struct{ *bus.Client }

func (w busWire) take(ctx context.Context, urgent bool) (turn, error) {
	t, err := w.Take(ctx, urgent)
	if err != nil {
		return nil, err // not t, which would be a turn that is nil
	}
	return t, nil
}

func (w busWire) rest()                          { w.Rest() }
func (w busWire) refused(code byte, text string) { w.RefusedWith(code, text) }

// link makes goburrow's client speak with one unit over a line that the unit may share with others.
// goburrow's own transports keep a connection after a time-out and from then on take each answer
// for the next one's; here only what proves to be this request's answer ends the wait for it.
type link struct {
	framer
	name    string // for errors: tcp://host:port unit 1
	target  target
	timeout time.Duration
	quiet   bool // nobody need be there, so silence is no failure of the line
	wire    wire
	owed    *debts // nil where requests carry ids
	client  modbus.Client
	answer  bus.FrameReader // hear, bound once

	// Who has the turn owns what follows.
	turn    turn
	ctx     context.Context // of the exchange under way, for goburrow's Send, which takes none
	request []byte
	heard   []byte // the last answer, where it was read to
	buffer  [maxADUBytes]byte
}

func newLink(t target, name string, f framer, timeout time.Duration, w wire, owed *debts) *link {
	l := &link{framer: f, name: name, target: t, timeout: timeout, wire: w, owed: owed}
	l.answer = l.hear
	l.client = modbus.NewClient(l)
	return l
}

// order is one request in the terms of goburrow's client.
type order struct {
	function byte
	span
	data    []byte // what is written
	and, or uint16 // masks of function 22
}

func readOrder(s span) order { return order{function: readFunctions[s.area], span: s} }

func (o order) reads() bool { return o.function <= modbus.FuncCodeReadInputRegisters }

// take gets the line for several exchanges; release gives it back.
func (l *link) take(ctx context.Context, urgent bool) error {
	t, err := l.wire.take(ctx, urgent)
	switch {
	case err == nil:
		l.turn = t
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", l.name, ctx.Err())
	}
	return fmt.Errorf("%s: %w", l.name, &lineError{err})
}

func (l *link) release() {
	t := l.turn
	l.turn = nil
	t.Release()
}

// read asks for the data of one span; it is good until the next exchange. Devices close connections
// that were idle, and some after every answer: a connection that turns out to be gone says nothing
// about the device, so the request is made once more on a new one.
func (l *link) read(ctx context.Context, s span) ([]byte, error) {
	data, err := l.do(ctx, readOrder(s))
	if errors.Is(err, bus.ErrHungUp) && ctx.Err() == nil {
		return l.do(ctx, readOrder(s))
	}
	return data, err
}

// do runs one order, once. An exception is returned as such, anything else with the device's name.
func (l *link) do(ctx context.Context, o order) ([]byte, error) {
	if err := l.settle(ctx, o); err != nil {
		return nil, &unsentError{err}
	}
	return l.ask(ctx, o)
}

func (l *link) ask(ctx context.Context, o order) ([]byte, error) {
	l.ctx = ctx
	data, err := l.call(o)
	l.ctx = nil
	refused, isRefused := errors.AsType[*modbus.ModbusError](err)
	switch {
	case err == nil:
		l.owed.answered(o, false, time.Now())
		return data, nil
	case isRefused:
		l.owed.answered(o, true, time.Now())
		refusal := exception(refused.ExceptionCode)
		l.wire.refused(byte(refusal), refusal.Error())
		return nil, refusal
	}
	if !errors.Is(err, bus.ErrNotSent) {
		l.owed.unanswered(o, time.Now())
	}
	if ctx.Err() != nil && !errors.Is(err, bus.ErrNotSent) {
		err = ctx.Err()
	}
	return nil, fmt.Errorf("%s: %w", l.name, err)
}

func (l *link) call(o order) ([]byte, error) {
	start, count := uint16(o.start), uint16(o.count)
	switch o.function {
	case modbus.FuncCodeReadCoils:
		return l.client.ReadCoils(start, count)
	case modbus.FuncCodeReadDiscreteInputs:
		return l.client.ReadDiscreteInputs(start, count)
	case modbus.FuncCodeReadHoldingRegisters:
		return l.client.ReadHoldingRegisters(start, count)
	case modbus.FuncCodeReadInputRegisters:
		return l.client.ReadInputRegisters(start, count)
	case modbus.FuncCodeWriteSingleCoil:
		return l.client.WriteSingleCoil(start, uint16(o.data[0]&1)*0xFF00)
	case modbus.FuncCodeWriteSingleRegister:
		return l.client.WriteSingleRegister(start, binary.BigEndian.Uint16(o.data))
	case modbus.FuncCodeWriteMultipleCoils:
		return l.client.WriteMultipleCoils(start, count, o.data)
	case modbus.FuncCodeWriteMultipleRegisters:
		return l.client.WriteMultipleRegisters(start, count, o.data)
	case modbus.FuncCodeMaskWriteRegister:
		return l.client.MaskWriteRegister(start, o.and, o.or)
	case modbus.FuncCodeReadWriteMultipleRegisters:
		return l.client.ReadWriteMultipleRegisters(start, count, start, count, o.data)
	}
	panic(fmt.Sprintf("bug: no request for function %d", o.function))
}

// Send is goburrow's Transporter: it sends a frame and waits for its answer. The line need not hold
// anything back after a time-out: settle is about late answers.
func (l *link) Send(request []byte) ([]byte, error) {
	l.request = request
	frame, err := l.turn.Exchange(l.ctx, bus.Request{
		Frame: request, Timeout: l.timeout, Answer: l.answer,
		Buffer: l.buffer[:], Matched: l.matched(), Late: -1, Protocol: protocols[l.target.dialect],
		Overhear: overhearing[l.target.dialect], Quiet: l.quiet,
	})
	l.heard = frame
	if err == nil {
		if err = l.Verify(request, frame); err != nil {
			f := flawIn(err)
			l.turn.Verdict(f.fault, f.text)
		}
		return frame, err
	}
	noReply, isSilence := errors.AsType[*bus.NoReplyError](err)
	switch {
	case isSilence && len(noReply.Received) == 0:
		return nil, &silenceError{fmt.Sprintf("no answer within %s", l.timeout)}
	case isSilence:
		why := l.why(noReply.Received)
		l.turn.Verdict(why.fault, why.text)
		return nil, &silenceError{why.text}
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without the line's name, which is part of ours
	}
	if errors.Is(err, bus.ErrHungUp) || errors.Is(err, bus.ErrNoise) || l.ctx.Err() != nil {
		return nil, err
	}
	return nil, &lineError{err}
}

func (l *link) hear(received []byte) ([]byte, bool) { return l.find(l.request, received) }

// why says what came instead of an answer.
func (l *link) why(received []byte) *flaw {
	unit, pdu := l.question(l.request)
	if other := l.target.otherDialect(unit, pdu, received); other != nil {
		return other
	}
	f := l.explain(l.request, received)
	f.text = fmt.Sprintf("no answer within %s: %s", l.timeout, f.text)
	return f
}

// silenceError is a time-out in our words.
type silenceError struct{ text string }

func (e *silenceError) Error() string        { return e.text }
func (e *silenceError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// unsentError is an error of what had to come before a request.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error        { return e.error }
func (e *unsentError) Is(target error) bool { return target == bus.ErrNotSent }

// lineError says that the line itself cannot be used, so that asking on is of no use: a connection
// that is refused, an adapter that is not there, a DTU that has not called.
type lineError struct{ err error }

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }
