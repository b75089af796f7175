package dlt645sim

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// The control codes that the meters know, and the bits that an answer adds.
const (
	read          = 0x11
	readNext      = 0x12
	readWho       = 0x13
	write         = 0x14
	read1997      = 0x01
	readNext1997  = 0x02
	write1997     = 0x04
	broadcastTime = 0x08
	answerBit     = 0x80
	errorBit      = 0x40
	moreBit       = 0x20
)

const (
	noSuchData    = 0x02
	wrongPassword = 0x04
)

// pieces gives the answer to q as it goes on the line, a pause between each two; none is silence.
func (l *Line) pieces(q request, meter [6]byte) [][]byte {
	l.mu.Lock()
	fault := l.fault
	l.mu.Unlock()
	if l.mute(q) {
		return nil
	}
	echo := build(q.meter, q.control, q.data)
	switch fault {
	case Silence:
		return nil
	case EchoOnly:
		return [][]byte{echo}
	}
	control, data := l.reply(q, meter, fault)
	if fault == MuteWrite && control&^answerBit == q.control && (q.control == write || q.control == write1997) {
		return nil
	}
	if fault == WrongMeter {
		meter[0] ^= 0x01 // stays decimal: the digits go in pairs 0-1, 2-3, ... 8-9
	}
	frame := build(meter, control, data)
	if fault == BadChecksum {
		frame[len(frame)-2] ^= 0x01
	}
	sent := append(bytes.Repeat([]byte{0xFE}, l.options.Preamble), frame...)
	switch fault {
	case Echo:
		return [][]byte{append(echo, sent...)}
	case Garbage:
		return [][]byte{append([]byte{0x00, 0x68, 0x16, 0x68, 0x68, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x68, 0x91, 0xF0, 0x16}, sent...)}
	case Short:
		return [][]byte{sent[:len(sent)-4]}
	case Split:
		return slices.Collect(slices.Chunk(sent, 5))
	}
	return [][]byte{sent}
}

func (l *Line) mute(q request) bool {
	return len(q.data) >= 4 && slices.Contains(l.options.Mute, binary.LittleEndian.Uint32(q.data))
}

// reply gives control code and data of the answer.
func (l *Line) reply(q request, meter [6]byte, fault Fault) (control byte, data []byte) {
	control = q.control | answerBit
	if q.control == readWho && len(q.data) == 0 {
		return control, meter[:]
	}
	if q.control == write || q.control == write1997 {
		return l.written(q, fault)
	}
	id, value, ok := l.lookUp(q, meter)
	if !ok || fault == Refuse {
		return control | errorBit, []byte{noSuchData}
	}
	switch fault {
	case WrongID:
		id[0] ^= 0x01
	case NotDecimal:
		value[0] = value[0]&0xF0 | 0x0E
	case NotAvailable:
		value = bytes.Repeat([]byte{0xFF}, len(value))
	case Endless:
		control |= moreBit
	case Sequence:
		return l.part(q, id, value)
	}
	data = append(id, value...)
	if q.control == readNext {
		data = append(data, q.data[4])
	}
	return control, data
}

// part spreads a value over two frames: the first byte, then the rest with its number, which in the
// edition of 1997 there is none of.
func (l *Line) part(q request, id, value []byte) (control byte, data []byte) {
	switch q.control {
	case readNext:
		data = append(id, value[1:]...)
		return q.control | answerBit, append(data, q.data[4])
	case readNext1997:
		return q.control | answerBit, append(id, value[1:]...)
	}
	return q.control | answerBit | moreBit, append(id, value[0])
}

// lookUp finds what q asks for: the identifier as it came, and the bytes behind it.
func (l *Line) lookUp(q request, meter [6]byte) (id, value []byte, ok bool) {
	now := l.now()
	state := StateAt(now)
	switch {
	case q.control == read && len(q.data) == 4, q.control == readNext && len(q.data) == 5:
		id = slices.Clone(q.data[:4])
		code := binary.LittleEndian.Uint32(id)
		if value, ok = l.fixedAt(code); !ok {
			value, ok = state.data(code, meter, now)
		}
		if !ok && l.options.Blocks {
			value, ok = state.block(code, meter, now)
		}
	case (q.control == read1997 || q.control == readNext1997) && len(q.data) == 2:
		id = slices.Clone(q.data)
		code := binary.LittleEndian.Uint16(id)
		if value, ok = l.fixedAt(uint32(code)); !ok {
			value, ok = state.data1997(code, meter, now)
		}
	}
	return id, bytes.Clone(value), ok && len(value) > 0
}

func (l *Line) fixedAt(id uint32) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	data, ok := l.fixed[id]
	return data, ok
}
