package modbus

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/goburrow/modbus"

	"sluice/collectors/bus"
	"sluice/gateway/message"
)

// WriteStyle says with which functions values are written.
type WriteStyle string

// The styles. Some devices know only the functions for one register, some only those for several.
const (
	writeAuto     WriteStyle = "auto"       // 5 and 6 for one, 15 and 16 for several; learned where a device knows but one form
	writeSingle   WriteStyle = "single"     // 5 and 6, one register after the other
	writeMultiple WriteStyle = "multiple"   // 15 and 16
	writeSwap     WriteStyle = "read-write" // 23, which writes and reads back in one
)

// BitStyle says how a part of a register is written.
type BitStyle string

const (
	bitMask   BitStyle = "mask"              // function 22
	bitModify BitStyle = "read-modify-write" // function 22, or the whole register with the others as they were
)

// maxSwapped is how many registers function 23 writes [MODBUS Application Protocol V1.1b3, 6.17].
const maxSwapped = 121

// Write sends the value once, reads it back and gives what the device then says, all in one turn
// that goes before those of polls.
func (d *device) Write(ctx context.Context, name string, value json.RawMessage) (message.Value, error) {
	p := d.point(name)
	if p == nil {
		return message.Value{}, fmt.Errorf("there is no point %q", name)
	}
	if !p.writable {
		return message.Value{}, fmt.Errorf("point %s is read-only; its access is not rw", name)
	}
	raw, err := p.encode(value)
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: %w", name, err)
	}
	if err := d.unit.take(ctx, true); err != nil {
		return message.Value{}, fmt.Errorf("point %s: not written: %w", name, err)
	}
	defer d.unit.release()
	// The read shows that the connection, which may be an old one, still stands: a write cannot
	// be tried again.
	before, err := d.unit.fetch(ctx, p.span)
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: not written: %w", name, err)
	}
	mask, partial := p.mask()
	var data []byte
	if partial {
		err = d.unit.putPart(ctx, p.span, mask, binary.BigEndian.Uint16(raw), binary.BigEndian.Uint16(before))
	} else {
		data, err = d.unit.put(ctx, p.span, raw)
	}
	if isHarmless(err) {
		return message.Value{}, fmt.Errorf("point %s: not written: %w", name, err)
	}
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: outcome unknown: %w", name, err)
	}
	if data == nil {
		if data, err = d.unit.fetch(ctx, p.span); err != nil {
			return message.Value{}, fmt.Errorf("point %s: the device took %s, but reading it back failed: %w", name, clip(value), err)
		}
	}
	var scratch [1]byte
	back := p.cut(data, p.span, &scratch)
	v := p.value(back)
	same := bytes.Equal(back, raw)
	if partial {
		same = (binary.BigEndian.Uint16(back)^binary.BigEndian.Uint16(raw))&mask == 0
	}
	if !same {
		return v, fmt.Errorf("point %s: the device took %s, but reads back %s", name, clip(value), v)
	}
	return v, nil
}

// harmless marks an error after which the device is as it was.
type harmless struct{ error }

func (h harmless) Unwrap() error { return h.error }

func isHarmless(err error) bool {
	_, ok := errors.AsType[harmless](err)
	return ok
}

// judge says whether a write that failed may have been carried out: not one that never left, and not
// one whose function, address or value the device does not know or that it was too busy to begin.
func judge(err error) error {
	refusal, ok := errors.AsType[exception](err)
	if ok && refusal.untouched() || errors.Is(err, bus.ErrNotSent) {
		return harmless{err}
	}
	return err
}

// put writes whole registers or a coil. With function 23 it gives what the device then holds.
func (u *unit) put(ctx context.Context, s span, raw []byte) ([]byte, error) {
	functions := u.functions(s)
	for i, function := range functions {
		if function == modbus.FuncCodeWriteSingleRegister && s.count > 1 {
			return nil, u.putOneByOne(ctx, s, raw)
		}
		data, err := u.do(ctx, order{function: function, span: s, data: raw})
		if err == nil {
			delete(u.lacks, function)
			if function != modbus.FuncCodeReadWriteMultipleRegisters {
				data = nil
			}
			return data, nil
		}
		// Only this one exception proves that nothing was written and that the other form may be.
		if refusal, ok := errors.AsType[exception](err); !ok || refusal != illegalFunction {
			return nil, judge(err)
		}
		u.lack(function)
		if i == len(functions)-1 {
			return nil, harmless{fmt.Errorf("%w (%d)%s", err, function, u.advice(s, function))}
		}
	}
	panic("bug: no function to write with")
}

// functions gives those to try, in this order.
func (u *unit) functions(s span) []byte {
	one, many := byte(modbus.FuncCodeWriteSingleRegister), byte(modbus.FuncCodeWriteMultipleRegisters)
	if s.area == Coil {
		one, many = modbus.FuncCodeWriteSingleCoil, modbus.FuncCodeWriteMultipleCoils
	}
	switch {
	case u.style == writeSwap && s.area == Holding && s.count <= maxSwapped:
		return []byte{modbus.FuncCodeReadWriteMultipleRegisters}
	case u.style == writeSingle:
		return []byte{one}
	case u.style == writeMultiple || s.count > 1:
		return []byte{many}
	case u.lacks[one] && !u.lacks[many]:
		return []byte{many, one}
	}
	return []byte{one, many}
}

func (u *unit) lack(function byte) {
	if u.lacks == nil {
		u.lacks = make(map[byte]bool)
	}
	u.lacks[function] = true
}

// advice ends the refusal of a function with what to change.
func (u *unit) advice(s span, function byte) string {
	switch {
	case function == modbus.FuncCodeReadWriteMultipleRegisters:
		return "; the device cannot write and read in one: set write to auto"
	case s.count > 1 && u.style != writeSingle:
		return fmt.Sprintf("; the device cannot write %d registers in one: with write: single it is sent them one after the other", s.count)
	case u.style == writeAuto:
		return "; nor does it know the other function for writing"
	}
	return "; set write to auto"
}

// putOneByOne writes registers one after the other. What reads the device meanwhile may see a part.
func (u *unit) putOneByOne(ctx context.Context, s span, raw []byte) error {
	for i := range s.count {
		one := order{function: modbus.FuncCodeWriteSingleRegister, span: span{s.area, s.start + i, 1}, data: raw[2*i : 2*i+2]}
		_, err := u.do(ctx, one)
		switch {
		case err == nil:
		case i == 0:
			return judge(err)
		default:
			return fmt.Errorf("of %d registers %d were written: %w", s.count, i, err)
		}
	}
	return nil
}

// putPart writes some bits of a register. Where the device has no function for that, the others
// are written as they were a moment ago, which may undo what somebody else writes between: only on
// demand.
func (u *unit) putPart(ctx context.Context, s span, mask, bits, before uint16) error {
	const function = modbus.FuncCodeMaskWriteRegister
	if !u.lacks[function] {
		// [MODBUS Application Protocol V1.1b3, 6.16]: (before AND and) OR (or AND NOT and)
		_, err := u.do(ctx, order{function: function, span: s, and: ^mask, or: bits & mask})
		if err == nil {
			return nil
		}
		if refusal, ok := errors.AsType[exception](err); !ok || refusal != illegalFunction {
			return judge(err)
		}
		u.lack(function)
	}
	if u.bits != bitModify {
		return harmless{fmt.Errorf("%w (%d); a part of a register can then only be written together with the rest of it: set bit_write to %s if nobody else writes it",
			illegalFunction, function, bitModify)}
	}
	raw := binary.BigEndian.AppendUint16(nil, before&^mask|bits&mask)
	_, err := u.put(ctx, s, raw)
	return err
}
