package sml

import (
	"encoding/binary"
	"fmt"
)

// kind is the type of an element, as its first byte has it.
type kind byte

const (
	octets   kind = 0x0
	boolean  kind = 0x4
	signed   kind = 0x5
	unsigned kind = 0x6
	list     kind = 0x7
)

const (
	maxDepth    = 10   // lists within lists; a list of values needs five
	maxElements = 4096 // of one telegram
)

// element is one encoded value: bytes for all kinds but lists. An empty octet string also stands for
// what a sender left out.
type element struct {
	kind  kind
	bytes []byte
	items []element
}

// absent says that the sender left this out.
func (e element) absent() bool { return e.kind == octets && len(e.bytes) == 0 }

// decoder takes elements off the front of b and bounds what they may cost.
type decoder struct {
	b    []byte
	left int // elements that may still come
}

func (d *decoder) element(depth int) (element, error) {
	if d.left--; d.left < 0 || depth > maxDepth {
		return element{}, fmt.Errorf("%w: more than %d elements, or more than %d lists within each other", errDamaged, maxElements, maxDepth)
	}
	kind, length, err := d.head()
	if err != nil {
		return element{}, err
	}
	if kind == list {
		return d.list(length, depth)
	}
	e := element{kind: kind, bytes: d.b[:length:length]}
	d.b = d.b[length:]
	switch {
	case (kind == signed || kind == unsigned) && (length < 1 || length > 8):
		return element{}, fmt.Errorf("%w: an integer of %d bytes", errDamaged, length)
	case kind == boolean && length != 1:
		return element{}, fmt.Errorf("%w: a boolean of %d bytes", errDamaged, length)
	}
	return e, nil
}

func (d *decoder) list(length, depth int) (element, error) {
	e := element{kind: list}
	for range length {
		item, err := d.element(depth + 1)
		if err != nil {
			return element{}, err
		}
		e.items = append(e.items, item)
	}
	return e, nil
}

// head takes kind and length: of a list its items, of all else the bytes that follow. The length on
// the wire counts the bytes of the head as well.
func (d *decoder) head() (k kind, length int, err error) {
	for n := 1; ; n++ {
		if len(d.b) == 0 {
			return 0, 0, fmt.Errorf("%w: it ends within an element", errDamaged)
		}
		c := d.b[0]
		d.b = d.b[1:]
		switch {
		case n == 1:
			k = kind(c >> 4 & 0x7)
		case c>>4&0x7 != 0 || n > 4:
			return 0, 0, fmt.Errorf("%w: a length of more than 16 bits, or of another kind", errDamaged)
		}
		length = length<<4 | int(c&0xF)
		if c&0x80 != 0 {
			continue
		}
		if k != list {
			length -= n
		}
		if length < 0 || length > len(d.b) { // each item of a list has a byte at least
			return 0, 0, fmt.Errorf("%w: an element of %d bytes where %d are left", errDamaged, length, len(d.b))
		}
		return k, length, nil
	}
}

// append appends the element as it goes on the wire.
func (e element) append(b []byte) []byte {
	length := len(e.items)
	if e.kind != list {
		length = len(e.bytes) + 1
		for limit := 16; length >= limit; limit <<= 4 {
			length++ // for the byte that the length itself takes more
		}
	}
	nibbles := 1
	for length>>(4*nibbles) != 0 {
		nibbles++
	}
	for i := nibbles - 1; i >= 0; i-- {
		c := byte(length >> (4 * i) & 0xF)
		if i == nibbles-1 {
			c |= byte(e.kind) << 4
		}
		if i > 0 {
			c |= 0x80
		}
		b = append(b, c)
	}
	b = append(b, e.bytes...)
	for _, item := range e.items {
		b = item.append(b)
	}
	return b
}

// uint gives an unsigned integer, which senders may shorten to any number of bytes.
func (e element) uint() (n uint64, ok bool) {
	for _, c := range e.bytes {
		n = n<<8 | uint64(c)
	}
	return n, e.kind == unsigned && len(e.bytes) > 0
}

// int gives a signed integer: the first byte that was sent has the sign.
func (e element) int() (n int64, ok bool) {
	if e.kind != signed || len(e.bytes) == 0 {
		return 0, false
	}
	n = int64(int8(e.bytes[0]))
	for _, c := range e.bytes[1:] {
		n = n<<8 | int64(c)
	}
	return n, true
}

// The elements that requests are made of.
func octetsOf(b []byte) element       { return element{kind: octets, bytes: b} }
func listOf(items ...element) element { return element{kind: list, items: items} }

func uint8Of(n byte) element { return element{kind: unsigned, bytes: []byte{n}} }

func uint16Of(n uint16) element {
	return element{kind: unsigned, bytes: binary.BigEndian.AppendUint16(nil, n)}
}
