package cjt188sim

import (
	"bytes"
	"math"
	"slices"
	"time"
)

// request is one frame from the gateway. The simulator has a codec of its own, so that a mistake in
// the driver's does not agree with itself.
type request struct {
	kind    byte
	address [7]byte // low byte first, as on the wire
	control byte
	data    []byte
}

// next takes the first whole request from b. damaged counts the bytes that belonged to none.
func next(b []byte) (q request, rest []byte, damaged int, ok bool) {
	for len(b) > 0 {
		if b[0] == 0xFE {
			b = b[1:]
			continue
		}
		if b[0] == 0x68 && len(b) < 11 {
			return request{}, b, damaged, false
		}
		if b[0] == 0x68 && b[10] <= 64 { // a longer one is none: L is 50 at most in requests
			n := 13 + int(b[10])
			if len(b) < n {
				return request{}, b, damaged, false
			}
			if b[n-2] == checksum(b[:n-2]) && b[n-1] == 0x16 {
				q.kind, q.control, q.data = b[1], b[9], slices.Clone(b[11:n-2])
				copy(q.address[:], b[2:9])
				return q, b[n:], damaged, true
			}
		}
		b = b[1:]
		damaged++
	}
	return request{}, nil, damaged, false
}

func build(kind byte, address [7]byte, control byte, data []byte) []byte {
	b := append([]byte{0x68, kind}, address[:]...)
	b = append(b, control, byte(len(data)))
	b = append(b, data...)
	return append(b, checksum(b), 0x16)
}

func checksum(b []byte) (sum byte) {
	for _, c := range b {
		sum += c
	}
	return sum
}

// pieces gives a meter's answer as it goes on the line, a pause between each two; none is silence.
func (l *Line) pieces(q request, m *meter) [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	echo := build(q.kind, q.address, q.control, q.data)
	switch l.fault {
	case Silence:
		return nil
	case EchoOnly:
		return [][]byte{echo}
	}
	control, data, ok := l.replyLocked(q, m)
	if !ok {
		return nil
	}
	kind, address := m.Type, m.address
	switch l.fault {
	case WrongMeter:
		address[0] ^= 0x01
	case WrongType:
		if kind>>4 == 2 {
			kind = 0x10
		} else {
			kind = 0x20
		}
	}
	frame := build(kind, address, control, data)
	if l.fault == BadChecksum {
		frame[len(frame)-2] ^= 0x01
	}
	sent := append(bytes.Repeat([]byte{0xFE}, l.options.Preamble), frame...)
	switch l.fault {
	case Echo:
		return [][]byte{append(echo, sent...)}
	case Garbage:
		return [][]byte{append([]byte{0x00, 0x68, 0x16, 0x68, 0x10, 0x01, 0x02, 0x03}, sent...)}
	case Short:
		return [][]byte{sent[:len(sent)-4]}
	case Split:
		return slices.Collect(slices.Chunk(sent, 7))
	}
	return [][]byte{sent}
}

// replyLocked gives control code and data of the answer; without ok the meter is silent.
func (l *Line) replyLocked(q request, m *meter) (control byte, data []byte, ok bool) {
	if len(q.data) < 3 {
		return 0, nil, false
	}
	high, low := q.data[0], q.data[1]
	if m.LowFirst {
		high, low = low, high
	}
	id := uint16(high)<<8 | uint16(low)
	control = q.control | 0x80
	serial := q.data[2]
	if m.Serial >= 0 {
		serial = byte(m.Serial)
	}
	head := []byte{q.data[0], q.data[1], serial}
	status := l.statusLocked(m)
	if l.fault == Refuse {
		return control | 0x40, append([]byte{serial}, status...), true
	}
	switch {
	case q.control == 0x03 && id == 0x810A:
		return control, head, true
	case q.control == 0x01 && id == 0x901F:
		data = append(head, l.dataLocked(m, status)...)
	case q.control == 0x01 && id >= 0xD120 && id <= 0xD12B && m.Type>>4 != 2:
		data = append(head, m.amount(uint64(id-0xD120+1)*1000, unitOf(m.Type))...)
	case q.control == 0x04 && id == 0xA017 && len(q.data) == 4:
		l.counts.Writes++
		if l.fault != StuckValve {
			m.closed, m.settled = q.data[3] == 0x99, l.options.Clock().Add(m.ValveTime)
		}
		if l.fault == MuteWrite {
			return 0, nil, false
		}
		return control, append(head, l.statusLocked(m)...), true
	default:
		return 0, nil, false
	}
	if l.fault == WrongID {
		data[0] ^= 0x01
	}
	if l.fault == LessData {
		data = data[:len(data)-1]
	}
	return control, data, true
}

// statusLocked has the valve in bits 0 and 1. One that moves is still where it was.
func (l *Line) statusLocked(m *meter) []byte {
	closed := m.closed
	if l.options.Clock().Before(m.settled) {
		closed = !closed
	}
	if closed {
		return []byte{0x01, 0x00}
	}
	return []byte{0x00, 0x00}
}

func unitOf(kind byte) byte {
	if kind>>4 == 4 {
		return 0x05 // kWh
	}
	return 0x2C // m3
}

// amount is a value of four bytes and its unit.
func (m *meter) amount(n uint64, unit byte) []byte {
	if m.UnitFirst {
		return append([]byte{unit}, bcd(n, 4)...)
	}
	return append(bcd(n, 4), unit)
}

// dataLocked is what stands behind 901F.
func (l *Line) dataLocked(m *meter, status []byte) []byte {
	now := l.options.Clock()
	s := StateAt(now)
	first, unit := s.Volume, unitOf(m.Type)
	if l.fault == UnknownUnit {
		unit = 0x7E
	}
	var data []byte
	if m.Type>>4 == 2 {
		if l.fault != UnknownUnit {
			unit = 0x05
		}
		for _, v := range []struct {
			n    uint64
			unit byte
		}{{s.Energy - s.Energy%1000, unit}, {s.Energy, unit}, {s.Power, 0x17}, {s.Flow, 0x35}, {s.Volume, 0x2C}} {
			data = append(data, m.amount(v.n, v.unit)...)
		}
		data = append(data, bcd(s.Supply, 3)...)
		data = append(data, bcd(s.Return, 3)...)
		data = append(data, bcd(s.Hours, 3)...)
	} else {
		data = append(data, m.amount(first, unit)...)
		data = append(data, m.amount(first-first%1000, unit)...)
	}
	switch l.fault {
	case NotDecimal:
		data[len(data)-2] |= 0x0F
		data[1], data[2] = 0x1E, 0x1E
	case NotAvailable:
		for i := range data {
			data[i] = 0xFF
		}
	}
	data = append(data, clock(now)...)
	return append(data, status...)
}

func clock(t time.Time) []byte {
	b := bcd(uint64(t.Second()), 1)
	for _, v := range []int{t.Minute(), t.Hour(), t.Day(), int(t.Month())} {
		b = append(b, bcd(uint64(v), 1)...)
	}
	return append(b, bcd(uint64(t.Year()), 2)...)
}

// State is what a simulated meter measures at one moment, in the units of the wire.
type State struct {
	Volume         uint64 // hundredths of a cubic metre
	Energy         uint64 // hundredths of a kWh
	Power          uint64 // hundredths of a kW
	Flow           uint64 // ten-thousandths of a cubic metre an hour
	Supply, Return uint64 // hundredths of a degree
	Hours          uint64
}

// epoch is when the meters were installed.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const period = 600.0 // s

// StateAt gives what every simulated meter measures at t. It follows from t alone; volume and energy
// are the integrals of flow and power.
func StateAt(t time.Time) State {
	seconds := t.Sub(epoch).Seconds()
	angle := 2 * math.Pi * math.Mod(seconds, period) / period
	flow := 1.2 + 0.4*math.Sin(angle)
	volume := (1.2*seconds + 0.4*period/(2*math.Pi)*(1-math.Cos(angle))) / 3600
	return State{
		Volume: uint64(volume*100) % 100_000_000, Energy: uint64(volume*23.26*100) % 100_000_000,
		Power: uint64(flow * 23.26 * 100), Flow: uint64(flow * 1e4),
		Supply: 7025, Return: 5025, Hours: uint64(seconds/3600) % 1_000_000,
	}
}

// bcd gives the last 2n digits of v, two a byte, low byte first.
func bcd(v uint64, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(v%10 | v/10%10<<4)
		v /= 100
	}
	return b
}
