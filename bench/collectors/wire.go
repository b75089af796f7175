package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/bus/pty"
	"sluice/gateway/message"
)

// line is one measurement on a serial line: at a rate, so many registers a request.
type line struct{ baud, registers int }

var wires = []line{{9600, 1}, {9600, 10}, {9600, 125}, {115200, 1}, {115200, 10}, {115200, 125}}

func (l line) String() string { return fmt.Sprintf("%d baud, %d registers", l.baud, l.registers) }

// bits of a character with 8 data bits, no parity and one stop bit.
const bits = 10

// least is what one poll takes if nobody ever hesitates: the request, a silence before it and one before the answer of
// three and a half characters, 1.75 ms above 19200 baud [Modbus over serial line, 2.5.1.1], and the answer.
func (l line) least() time.Duration {
	return time.Duration(8+5+2*l.registers)*l.character() + 2*l.silence()
}

func (l line) character() time.Duration { return bits * time.Second / time.Duration(l.baud) }

func (l line) silence() time.Duration { return max(l.character()*7/2, 1750*time.Microsecond) }

// wire polls a device at the other end of a pseudo-terminal that gives every byte its time. The device answers after
// the silence that the standard asks of it.
func (p *plan) wire(ctx context.Context, l line) (o outcome, err error) {
	far, err := pty.Open()
	if err != nil {
		return o, err
	}
	defer far.Close()
	far.Pace(l.baud, bits)
	go answerRegisters(far, l)
	buses, err := bus.NewSet(map[string]bus.Settings{"line": {Serial: far.Path(), Character: bus.Character{Baud: l.baud}}})
	if err != nil {
		return o, err
	}
	defer buses.Close()
	device, err := openModbus(buses, "rtu://line", upTo(l.registers))
	if err != nil {
		return o, err
	}
	defer device.Close()
	var r message.Reading
	if err := device.Read(ctx, &r); err != nil { // which opens the port
		return o, err
	}
	began, n := time.Now(), 0
	for time.Since(began) < p.length {
		if err := device.Read(ctx, &r); err != nil {
			return o, err
		}
		if last := r.Points[l.registers-1]; last.Value != message.Uint(uint64(l.registers-1)) {
			return o, fmt.Errorf("the last point is %v, %s", last.Value, last.Error)
		}
		n++
	}
	took := time.Since(began)
	o.rate = float64(n) / took.Seconds()
	o.share = (time.Duration(n) * l.least()).Seconds() / took.Seconds()
	return o, nil
}

// answerRegisters is a device whose registers hold their own addresses. It ends with the line.
func answerRegisters(far *pty.Line, l line) {
	answer := []byte{1, 3, byte(2 * l.registers)}
	for i := range l.registers {
		answer = binary.BigEndian.AppendUint16(answer, uint16(i))
	}
	answer = binary.LittleEndian.AppendUint16(answer, crc(answer))
	request := make([]byte, 8)
	for {
		if _, err := io.ReadFull(far, request); err != nil {
			return
		}
		if _, err := far.WriteFrom(answer, far.Quiet().Add(l.silence())); err != nil {
			return
		}
	}
}

// crc is that of Modbus over serial line, 6.2.2.
func crc(b []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, c := range b {
		sum ^= uint16(c)
		for range 8 {
			if sum&1 != 0 {
				sum = sum>>1 ^ 0xA001
			} else {
				sum >>= 1
			}
		}
	}
	return sum
}
