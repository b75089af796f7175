// Package sml reads electricity meters that speak the Smart Message Language 1.04, which German
// meters push through their optical port every few seconds and a few send only when asked. It hides
// escape sequences, checksums and encoding, and gives values by their OBIS code.
package sml

import (
	"bytes"
	"errors"
	"fmt"
)

var (
	escape = []byte{0x1B, 0x1B, 0x1B, 0x1B}
	begin  = []byte{0x1B, 0x1B, 0x1B, 0x1B, 0x01, 0x01, 0x01, 0x01}
)

const (
	endMark     = 0x1A    // behind an escape: padding and checksum follow
	maxTelegram = 8 << 10 // meters send a few hundred bytes
	tailBytes   = 8       // of a telegram: escape, end mark, padding, checksum
	maxPadding  = 3       // bytes, which fill the content up to a multiple of four
	poly        = 0x8408  // of both checksums, reflected
	initX25     = 0xFFFF  // X-25 starts with ones and is inverted, Kermit is neither
	initKermit  = 0x0000  // what a few meters have instead
)

var (
	errShort   = errors.New("the telegram is cut short")
	errDamaged = errors.New("the telegram is damaged")
)

// Check is the checksum that a meter uses. The standard has X-25; a few meters have Kermit's.
type Check byte

// The checksums. Unknown stands for either.
const (
	Unknown Check = iota
	X25
	Kermit
)

// String gives the name.
func (c Check) String() string { return [...]string{"unknown", "X-25", "Kermit"}[c] }

func crc16(init uint16, b []byte) uint16 {
	for _, c := range b {
		init ^= uint16(c)
		for range 8 {
			dropped := init & 1
			init >>= 1
			if dropped != 0 {
				init ^= poly
			}
		}
	}
	return init
}

// of gives the checksum over b as the two bytes that are sent, the first in the high half: X-25 goes
// low byte first, Kermit high byte first.
func (c Check) of(b []byte) uint16 {
	if c == Kermit {
		return crc16(initKermit, b)
	}
	sum := ^crc16(initX25, b)
	return sum<<8 | sum>>8
}

// matches says which of the checksums that c allows b has.
func (c Check) matches(b []byte, sent uint16) (Check, bool) {
	for _, candidate := range []Check{X25, Kermit} {
		if (c == Unknown || c == candidate) && candidate.of(b) == sent {
			return candidate, true
		}
	}
	return Unknown, false
}

// appendFrame appends content as it goes on the wire: escapes doubled, padded, with its checksum.
func appendFrame(b, content []byte) []byte {
	from := len(b)
	b = append(b, begin...)
	run := 0
	for _, c := range content {
		b = append(b, c)
		if run++; c != escape[0] {
			run = 0
		}
		if run == len(escape) {
			b = append(b, escape...)
			run = 0
		}
	}
	padding := -len(content) & maxPadding
	b = append(b, make([]byte, padding)...)
	b = append(b, escape...)
	b = append(b, endMark, byte(padding))
	sum := X25.of(b[from:])
	return append(b, byte(sum>>8), byte(sum))
}

// DecodeFrame takes exactly one telegram off its escapes and gives what it carries and the checksum
// that it had, which must be one that allowed allows.
func DecodeFrame(b []byte, allowed Check) (content []byte, used Check, err error) {
	if !bytes.HasPrefix(b, begin) {
		return nil, Unknown, fmt.Errorf("%w: it does not start with the start sequence", errDamaged)
	}
	content, n, err := unescape(b)
	if err != nil {
		return nil, Unknown, err
	}
	if n != len(b) {
		return nil, Unknown, fmt.Errorf("%d bytes follow the telegram", len(b)-n)
	}
	sent := uint16(b[n-2])<<8 | uint16(b[n-1])
	used, ok := allowed.matches(b[:n-2], sent)
	if !ok {
		return nil, Unknown, fmt.Errorf("%w: its checksum is %04X and should be %04X", errDamaged, sent, X25.of(b[:n-2]))
	}
	padding := int(b[n-3])
	if padding > maxPadding || padding > len(content) {
		return nil, Unknown, fmt.Errorf("%w: %d bytes of padding", errDamaged, padding)
	}
	return content[:len(content)-padding], used, nil
}

// unescape gives the content of the telegram that b starts with, padding included, and its length on
// the wire.
func unescape(b []byte) (content []byte, n int, err error) {
	i := len(begin)
	for {
		next := bytes.Index(b[i:], escape)
		if next < 0 || i+next+tailBytes > len(b) {
			if len(b) > maxTelegram {
				return nil, 0, fmt.Errorf("%w: %d bytes without an end", errDamaged, len(b))
			}
			return nil, 0, fmt.Errorf("%w: %d bytes", errShort, len(b))
		}
		content = append(content, b[i:i+next]...)
		i += next
		switch mark := b[i+4 : i+8]; {
		case bytes.Equal(mark, escape): // content that looks like one
			content = append(content, escape...)
			i += 8
		case mark[0] == endMark && len(content)%4 == 0:
			return content, i + tailBytes, nil
		case bytes.Equal(mark, begin[4:]):
			return nil, i, fmt.Errorf("%w: the next one begins within it", errDamaged)
		case mark[0] == escape[0]:
			// Content that ends in 1B, and the escape behind it: four bytes further on.
			content = append(content, escape[0])
			i++
		case mark[0] == endMark:
			return nil, i + tailBytes, fmt.Errorf("%w: bytes got lost from it", errDamaged)
		default:
			return nil, i + 4, fmt.Errorf("%w: an escape sequence with %02X, which is none", errDamaged, mark[0])
		}
	}
}

// nextFrame takes the first telegram off b and says how many bytes are dealt with; n is 0 when none
// is complete.
func nextFrame(b []byte, allowed Check) (content []byte, used Check, n int, err error) {
	start := bytes.Index(b, begin)
	if start < 0 {
		return nil, Unknown, 0, nil
	}
	_, n, err = unescape(b[start:])
	if errors.Is(err, errShort) {
		return nil, Unknown, 0, nil
	}
	if err != nil {
		return nil, Unknown, start + max(n, len(begin)), err
	}
	content, used, err = DecodeFrame(b[start:start+n], allowed)
	return content, used, start + n, err
}
