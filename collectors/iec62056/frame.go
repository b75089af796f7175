// Package iec62056 reads meters that speak IEC 62056-21 (the older IEC 1107, on optical ports and
// current loops called D0), and those that push the same lines unasked, of which DSMR P1 is the most
// common. It hides sign-on, the change of baud rate, block checks and characters of seven bits, and
// gives values by their OBIS code.
package iec62056

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
)

const (
	soh = 0x01 // starts a command
	stx = 0x02 // starts data
	etx = 0x03 // ends both; the block check follows
	eot = 0x04 // ends a part of data, of which more follows
	ack = 0x06
	nak = 0x15 // asks for a repetition

	maxAddress        = 32 // of a device
	maxIdentification = 64 // characters, some meters push longer ones than the standard's 16
	maxBlock          = 16 << 10
)

// signOn asks the meter of that device address, or with an empty one any meter, to identify itself.
// wakeUp characters go before it, for meters that sleep.
func signOn(address string, wakeUp int) []byte {
	b := make([]byte, wakeUp, wakeUp+len(address)+5)
	b = append(b, "/?"...)
	b = append(b, address...)
	return append(b, "!\r\n"...)
}

// acknowledgement selects the baud rate and what to do at it: '0' reads the data out, '1' enters
// programming mode.
func acknowledgement(baud, mode byte) []byte {
	return []byte{ack, '0', baud, mode, '\r', '\n'}
}

// Identification is a meter's answer to the sign-on.
type Identification struct {
	Maker string // three letters
	Baud  byte   // which rate it offers, and thereby which mode it speaks
	Model string
}

// Append appends the identification as it goes on the wire.
func (i Identification) Append(b []byte) []byte {
	b = append(b, '/')
	b = append(b, i.Maker...)
	b = append(b, i.Baud)
	b = append(b, i.Model...)
	return append(b, "\r\n"...)
}

// String gives the identification as it is printed, without the line end.
func (i Identification) String() string { return "/" + i.Maker + string(rune(i.Baud)) + i.Model }

// DecodeIdentification takes exactly one identification message.
func DecodeIdentification(b []byte) (Identification, error) {
	line, ok := bytes.CutSuffix(b, []byte("\r\n"))
	if !ok {
		return Identification{}, fmt.Errorf("%w: an identification ends in CR LF", errShort)
	}
	if len(line) < 5 || line[0] != '/' {
		return Identification{}, fmt.Errorf("%w: %q is no identification", errDamaged, line)
	}
	if len(line) > maxIdentification {
		return Identification{}, fmt.Errorf("%w: an identification of %d characters", errDamaged, len(line))
	}
	for _, c := range line[1:4] {
		if !letter(c) {
			return Identification{}, fmt.Errorf("%w: %q does not begin with three letters for the maker", errDamaged, line)
		}
	}
	for _, c := range line[4:] {
		// DSMR meters of the first generation have a control character in their model.
		if c == 0 || c == '\r' || c == '\n' || c >= 0x7F || c == '/' || c == '!' {
			return Identification{}, fmt.Errorf("%w: %q has characters that an identification may not", errDamaged, line)
		}
	}
	return Identification{Maker: string(line[1:4]), Baud: line[4], Model: string(line[5:])}, nil
}

func letter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }

// rates are what '0' to '6' of mode C and 'A' to 'F' of mode B, one further, stand for.
var rates = []int{300, 600, 1200, 2400, 4800, 9600, 19200}

// handshake says how the meter goes on after it identified itself: "c" waits for an
// acknowledgement, "b" changes to rate by itself, "a" sends on at the rate it has.
func (i Identification) handshake() (mode string, rate int) {
	switch {
	case i.Baud >= '0' && i.Baud <= '6':
		return modeC, rates[i.Baud-'0']
	case i.Baud >= 'A' && i.Baud <= 'F':
		return modeB, rates[i.Baud-'A'+1]
	}
	return modeA, 0
}

// rateCode is the character that stands for a rate in an acknowledgement.
func rateCode(rate int) (byte, bool) {
	for i, r := range rates {
		if r == rate {
			return '0' + byte(i), true
		}
	}
	return 0, false
}

// Block is a message with a block check: data of a meter, or a command with or without data.
type Block struct {
	Command string // two characters such as R5 or P0; empty: only data
	Data    []byte // nil: a command without any, such as the break B0
}

// breakOff ends programming mode.
var breakOff = Block{Command: "B0"}

// Append appends the block as it goes on the wire.
func (k Block) Append(b []byte) []byte {
	from := len(b)
	if k.Command != "" {
		b = append(b, soh)
		b = append(b, k.Command...)
	}
	if k.Data != nil || k.Command == "" {
		b = append(b, stx)
		b = append(b, k.Data...)
	}
	b = append(b, etx)
	return append(b, blockCheck(b[from+1:]))
}

// blockCheck is over everything after the first SOH or STX up to and including ETX.
func blockCheck(b []byte) (sum byte) {
	for _, c := range b {
		sum ^= c
	}
	return sum
}

var (
	errShort   = errors.New("the message is cut short")
	errDamaged = errors.New("the message is damaged")
)

// DecodeBlock takes exactly one block.
func DecodeBlock(b []byte) (Block, error) {
	n, err := measureBlock(b)
	if err != nil {
		return Block{}, err
	}
	if n != len(b) {
		return Block{}, fmt.Errorf("%d bytes follow the block", len(b)-n)
	}
	return decodeBlock(b)
}

// measureBlock says how long the block is that b starts with.
func measureBlock(b []byte) (n int, err error) {
	if len(b) == 0 || b[0] != soh && b[0] != stx {
		return 0, fmt.Errorf("%w: it starts neither with SOH nor with STX", errDamaged)
	}
	end := bytes.IndexByte(b, etx)
	switch {
	case end < 0 && len(b) > maxBlock:
		return 0, fmt.Errorf("%w: %d characters and no end", errDamaged, len(b))
	case end < 0 || end+1 == len(b):
		return 0, fmt.Errorf("%w: %d characters and no end", errShort, len(b))
	}
	return end + 2, nil
}

// decodeBlock takes a block whose length is known to be right.
func decodeBlock(b []byte) (Block, error) {
	content, sent := b[1:len(b)-1], b[len(b)-1]
	if sum := blockCheck(content); sum != sent {
		return Block{}, fmt.Errorf("%w: its block check is %02X and should be %02X", errDamaged, sent, sum)
	}
	content = content[:len(content)-1]
	if b[0] == stx {
		return Block{Data: bytes.Clone(content)}, printable(content)
	}
	command, data, has := bytes.Cut(content, []byte{stx})
	if len(command) != 2 || command[0] < 'A' || command[0] > 'Z' || command[1] < '0' || command[1] > '9' {
		return Block{}, fmt.Errorf("%w: %q is no command", errDamaged, command)
	}
	k := Block{Command: string(command)}
	if has {
		k.Data = append([]byte{}, data...)
	}
	return k, printable(data)
}

// printable refuses what the character set of the standard does not have: two damaged characters
// can cancel each other out in a block check.
func printable(b []byte) error {
	for _, c := range b {
		if c != '\r' && c != '\n' && (c < 0x20 || c > 0x7E) {
			return fmt.Errorf("%w: it holds a character %02X", errDamaged, c)
		}
	}
	return nil
}

// crc16 is CRC-16/ARC, which DSMR meters send behind the exclamation mark.
func crc16(b []byte) (crc uint16) {
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			dropped := crc & 1
			crc >>= 1
			if dropped != 0 {
				crc ^= 0xA001
			}
		}
	}
	return crc
}

// withParity makes each character of seven bits one of eight whose top bit makes the parity even:
// what a port that knows only eight bits must send to a line that has seven and parity.
func withParity(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = c | byte(bits.OnesCount8(c)&1)<<7
	}
	return out
}

// withoutParity is the way back. A character of wrong parity becomes NUL, which no message has, so
// that it spoils its message rather than vanish from it.
func withoutParity(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		if bits.OnesCount8(c)&1 == 0 {
			out[i] = c & 0x7F
		}
	}
	return out
}
