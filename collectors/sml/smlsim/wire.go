package smlsim

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
)

// The simulator has a codec of its own, so that a mistake in the driver's does not agree with
// itself.

// crc computes the checksum bit by bit: X-25, whose low byte goes first, or Kermit's, whose high byte
// does.
func crc(b []byte, kermit bool) []byte {
	register := uint32(0xFFFF)
	if kermit {
		register = 0
	}
	for _, c := range b {
		for bit := range 8 {
			feedback := (register ^ uint32(c)>>bit) & 1
			register = register>>1 ^ feedback*0x8408
		}
	}
	if kermit {
		return []byte{byte(register >> 8), byte(register)}
	}
	register ^= 0xFFFF
	return []byte{byte(register), byte(register >> 8)}
}

// Octets encodes a string of bytes.
func Octets(b ...byte) []byte {
	if len(b) < 15 {
		return append([]byte{byte(len(b) + 1)}, b...)
	}
	n := len(b) + 2
	return append([]byte{0x80 | byte(n>>4), byte(n & 0xF)}, b...)
}

// Unsigned encodes n in so few bytes as it needs, and no fewer than least.
func Unsigned(n uint64, least int) []byte {
	b := binary.BigEndian.AppendUint64(nil, n)
	for len(b) > least && b[0] == 0 {
		b = b[1:]
	}
	return append([]byte{0x60 | byte(len(b)+1)}, b...)
}

// Signed encodes n in so few bytes as it needs, and no fewer than least.
func Signed(n int64, least int) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(n))
	for len(b) > least && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xFF && b[1] >= 0x80) {
		b = b[1:]
	}
	return append([]byte{0x50 | byte(len(b)+1)}, b...)
}

// list encodes a list of encoded items.
func list(items ...[]byte) []byte {
	n := len(items)
	head := []byte{0x70 | byte(n)}
	if n > 15 {
		head = []byte{0xF0 | byte(n>>4), byte(n & 0xF)}
	}
	return append(head, bytes.Join(items, nil)...)
}

var omitted = []byte{0x01}

// message frames a body with its checksum and end mark.
func (o *Options) message(transaction []byte, tag uint16, body []byte) []byte {
	b := []byte{0x76}
	b = append(b, Octets(transaction...)...)
	b = append(b, Unsigned(0, 1)...)
	b = append(b, Unsigned(0, 1)...)
	b = append(b, list(Unsigned(uint64(tag), 2), body)...)
	b = append(b, 0x63)
	b = append(b, crc(b[:len(b)-1], o.KermitMessages)...)
	return append(b, 0)
}

// wrap makes a telegram of messages.
func (o *Options) wrap(messages ...[]byte) []byte {
	content := bytes.Join(messages, nil)
	padding := (4 - len(content)%4) % 4
	content = append(content, make([]byte, padding)...)
	escape := bytes.Repeat([]byte{0x1B}, 4)
	b := append(bytes.Clone(escape), 1, 1, 1, 1)
	b = append(b, bytes.ReplaceAll(content, escape, append(escape, escape...))...)
	b = append(b, 0x1B, 0x1B, 0x1B, 0x1B, 0x1A, byte(padding))
	return append(b, crc(b, o.Kermit)...)
}

// asked takes the transaction of the list's part out of a request, whose form it does not check
// further than to find it.
func asked(heard []byte) (transaction []byte, rest []byte, ok bool) {
	end := bytes.Index(heard, []byte{0x1B, 0x1B, 0x1B, 0x1B, 0x1A})
	if end < 0 || len(heard) < end+8 {
		return nil, heard, false
	}
	frame, rest := heard[:end+8], heard[end+8:]
	sum := crc(frame[:len(frame)-2], false)
	tag := bytes.Index(frame, []byte{0x72, 0x63, 0x07, 0x00})
	if !bytes.Equal(sum, frame[len(frame)-2:]) || tag < 4 {
		return nil, rest, true
	}
	// Before the tag stand group and abort on error, and before them the transaction: list head,
	// length, bytes.
	before := frame[:tag-4]
	start := bytes.LastIndexByte(before, 0x76)
	if start < 0 || len(before) < start+2 {
		return nil, rest, true
	}
	return before[start+2:], rest, true
}

func unhex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return b
}
