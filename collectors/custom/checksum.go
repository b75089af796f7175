package custom

import (
	"bytes"
	"fmt"
	"strings"
)

// checksums are the ways to sum up bytes. The two of 16 bits name the order in which they usually
// stand.
var checksums = map[string]struct {
	sum      func(b []byte) uint16
	bytes    int
	lowFirst bool
}{
	"sum8":         {sum8, 1, false},
	"xor8":         {xor8, 1, false},
	"lrc":          {lrc, 1, false},
	"crc16-modbus": {crcModbus, 2, true},
	"crc16-ccitt":  {crcCCITT, 2, false},
	"crc16-xmodem": {crcXmodem, 2, false},
}

func sum8(b []byte) (s uint16) {
	for _, c := range b {
		s += uint16(c)
	}
	return s & 0xFF
}

func xor8(b []byte) (s uint16) {
	for _, c := range b {
		s ^= uint16(c)
	}
	return s
}

// lrc is the two's complement of the sum, as in Modbus ASCII.
func lrc(b []byte) uint16 { return -sum8(b) & 0xFF }

func crcModbus(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low != 0 {
				crc ^= 0xA001
			}
		}
	}
	return crc
}

// crcCCITT begins with FFFF, as most instruments that say CCITT do; crcXmodem begins with 0.
func crcCCITT(b []byte) uint16  { return crc1021(0xFFFF, b) }
func crcXmodem(b []byte) uint16 { return crc1021(0, b) }

func crc1021(crc uint16, b []byte) uint16 {
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			high := crc & 0x8000
			crc <<= 1
			if high != 0 {
				crc ^= 0x1021
			}
		}
	}
	return crc
}

// seal is how frames are protected: which bytes are summed up, how the sum is written, and what
// stands behind it.
type seal struct {
	name  string // empty: there is no checksum
	from  int    // the first byte that counts
	text  bool   // the sum is written in hexadecimal digits
	order string // low-first, high-first, or empty for what is usual
	tail  []byte
}

func (s *seal) none() bool { return s.name == "" || s.name == "none" }

// size is how many bytes of a frame the checksum takes.
func (s *seal) size() int {
	if s.none() {
		return 0
	}
	n := checksums[s.name].bytes
	if s.text {
		return 2 * n
	}
	return n
}

// append appends checksum and tail to a frame that begins at b[0].
func (s *seal) append(b []byte) []byte {
	return append(s.appendSum(b), s.tail...)
}

func (s *seal) appendSum(b []byte) []byte {
	if s.none() {
		return b
	}
	kind := checksums[s.name]
	n := kind.sum(b[min(s.from, len(b)):])
	sum := []byte{byte(n >> 8), byte(n)}[2-kind.bytes:]
	if kind.bytes == 2 && (s.order == "low-first" || s.order == "" && kind.lowFirst) {
		sum[0], sum[1] = sum[1], sum[0]
	}
	if s.text {
		return fmt.Appendf(b, "%X", sum)
	}
	return append(b, sum...)
}

// check says what is wrong with a frame, or nothing.
func (s *seal) check(frame []byte) (problem string) {
	body, ended := bytes.CutSuffix(frame, s.tail)
	if !ended {
		return fmt.Sprintf("the answer does not end in %s", show(s.tail))
	}
	size := s.size()
	if size == 0 {
		return ""
	}
	if len(body) < s.from+size {
		return fmt.Sprintf("the answer has %d bytes, too few for a checksum", len(frame))
	}
	have := body[len(body)-size:]
	want := s.appendSum(bytes.Clone(body[:len(body)-size]))[len(body)-size:]
	if bytes.Equal(have, want) || s.text && strings.EqualFold(string(have), string(want)) {
		return ""
	}
	return fmt.Sprintf("the checksum of the answer is %s and should be %s", show(have), show(want))
}
