package packet

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// decoder walks through a packet's body. The first thing that is wrong stays in err and empties
// rest, so that callers ask once at the end.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.rest = nil
}

func (d *decoder) take(n int) []byte {
	if n > len(d.rest) {
		d.fail(malformed("MQTT-4.13.1-1", "the packet ends too early"))
		return nil
	}
	taken := d.rest[:n:n] // capped: an append by the caller cannot run over the next field
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) varint() uint32 {
	if d.err != nil {
		return 0
	}
	n, size := varint(d.rest)
	switch {
	case size == 0:
		d.fail(malformed("MQTT-4.13.1-1", "the packet ends too early"))
	case size < 0:
		d.fail(malformed("1.5.5", "a length of more than four bytes"))
	case size != varintSize(n):
		d.fail(malformed("MQTT-1.5.5-1", "a length in more bytes than it needs"))
	default:
		d.rest = d.rest[size:]
	}
	return n
}

// binary reads bytes behind a two-byte length.
func (d *decoder) binary() []byte { return d.take(int(d.uint16())) }

// text reads a UTF-8 string.
func (d *decoder) text() []byte {
	b := d.binary()
	if err := checkText(b); err != nil {
		d.fail(err)
		return nil
	}
	return b
}

// id reads a packet identifier.
func (d *decoder) id() uint16 {
	id := d.uint16()
	if id == 0 && d.err == nil {
		d.fail(protocolError("MQTT-2.2.1-3", "packet identifier 0")) // 3.1.1 [MQTT-2.3.1-1]
	}
	return id
}

// end gives the first mistake, or refuses what is left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.rest) > 0 {
		return malformed("MQTT-4.13.1-1", "bytes behind the end of the packet")
	}
	return d.err
}

// checkText refuses what is not a string to MQTT. The byte order mark is data like any other
// [MQTT-1.5.4-3].
func checkText(b []byte) error {
	if !utf8.Valid(b) { // surrogates are not valid UTF-8 to Go either
		return malformed("MQTT-1.5.4-1", "a string that is not UTF-8") // 3.1.1 [MQTT-1.5.3-1]
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return malformed("MQTT-1.5.4-2", "a string with U+0000") // 3.1.1 [MQTT-1.5.3-2]
	}
	return nil
}

func hasWildcard(topic []byte) bool {
	return bytes.IndexByte(topic, '+') >= 0 || bytes.IndexByte(topic, '#') >= 0
}

func appendUint16(b []byte, n uint16) []byte { return binary.BigEndian.AppendUint16(b, n) }

// appendBinary writes bytes behind a two-byte length. What is longer is cut: callers check their
// limits, and a field cut short does less harm than a stream out of step.
func appendBinary(b, data []byte) []byte {
	data = data[:min(len(data), 65535)]
	b = appendUint16(b, uint16(len(data)))
	return append(b, data...)
}
