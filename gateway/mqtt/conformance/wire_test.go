package conformance

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What goes over the wire, written and read here once more, apart from gateway/mqtt/packet.

const (
	v31  = 3
	v311 = 4
	v5   = 5
)

const (
	CONNECT     = 1
	CONNACK     = 2
	PUBLISH     = 3
	PUBACK      = 4
	PUBREC      = 5
	PUBREL      = 6
	PUBCOMP     = 7
	SUBSCRIBE   = 8
	SUBACK      = 9
	UNSUBSCRIBE = 10
	UNSUBACK    = 11
	PINGREQ     = 12
	PINGRESP    = 13
	DISCONNECT  = 14
	AUTH        = 15
)

var kindNames = []string{"type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"}

// The properties by their identifiers, and what each is on the wire.
const (
	pFormat          = 1
	pExpiry          = 2
	pContentType     = 3
	pResponseTopic   = 8
	pCorrelation     = 9
	pSubscriptionID  = 11
	pSessionExpiry   = 17
	pAssignedID      = 18
	pServerKeepAlive = 19
	pAuthMethod      = 21
	pAuthData        = 22
	pProblemInfo     = 23
	pWillDelay       = 24
	pResponseInfo    = 25
	pResponse        = 26
	pReference       = 28
	pReason          = 31
	pReceiveMax      = 33
	pAliasMax        = 34
	pAlias           = 35
	pMaxQoS          = 36
	pRetainAvailable = 37
	pUser            = 38
	pMaxPacket       = 39
	pWildcards       = 40
	pSubscriptionIDs = 41
	pShared          = 42
)

var propertyForms = map[byte]byte{ // 1, 2, 4 bytes; v: variable; s: string or binary; p: pair
	pFormat: 1, pExpiry: 4, pContentType: 's', pResponseTopic: 's', pCorrelation: 's', pSubscriptionID: 'v',
	pSessionExpiry: 4, pAssignedID: 's', pServerKeepAlive: 2, pAuthMethod: 's', pAuthData: 's', pProblemInfo: 1,
	pWillDelay: 4, pResponseInfo: 1, pResponse: 's', pReference: 's', pReason: 's', pReceiveMax: 2, pAliasMax: 2,
	pAlias: 2, pMaxQoS: 1, pRetainAvailable: 1, pUser: 'p', pMaxPacket: 4, pWildcards: 1, pSubscriptionIDs: 1, pShared: 1,
}

func cat(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func u8(n int) []byte  { return []byte{byte(n)} }
func u16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func u32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func str[T string | []byte](s T) []byte { return cat(u16(len(s)), []byte(s)) }

func varint(n int) (b []byte) {
	for ; n > 127; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// raw is a packet of any form: its first byte and what follows its length.
func raw(first int, body ...[]byte) []byte {
	all := cat(body...)
	return cat(u8(first), varint(len(all)), all)
}

// prop is one property. value is an int, a string, bytes or a pair.
func prop(id byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return cat(u8(int(id)), str(v))
	case []byte:
		return cat(u8(int(id)), str(v))
	case [2]string:
		return cat(u8(int(id)), str(v[0]), str(v[1]))
	case int:
		switch propertyForms[id] {
		case 1:
			return cat(u8(int(id)), u8(v))
		case 2:
			return cat(u8(int(id)), u16(v))
		case 4:
			return cat(u8(int(id)), u32(v))
		case 'v':
			return cat(u8(int(id)), varint(v))
		}
	}
	panic(fmt.Sprintf("bug: property %d of %T", id, value))
}

// props is a property section with its length in front.
func props(list ...[]byte) []byte {
	all := cat(list...)
	return cat(varint(len(all)), all)
}

// property as it came.
type property struct {
	id    byte
	n     int
	text  string
	value string // the second of a pair
}

// packet is one that the server sent.
type packet struct {
	kind  int
	flags byte
	body  []byte
	size  int // of the whole packet

	// What the kind has of these:
	id       int
	code     byte // the only reason code; success when left out
	codes    []byte
	short    bool // without a property section where one could stand
	props    []property
	topic    string
	payload  string
	ackFlags byte // CONNACK
}

func (p *packet) qos() int     { return int(p.flags >> 1 & 3) }
func (p *packet) dup() bool    { return p.flags&8 != 0 }
func (p *packet) retain() bool { return p.flags&1 != 0 }

// String is for failures.
func (p *packet) String() string {
	if p == nil {
		return "the end of the connection"
	}
	return fmt.Sprintf("%s %x %x", kindNames[p.kind], p.flags, p.body[:min(len(p.body), 200)])
}

func (p *packet) number(id byte) (n int, ok bool) {
	for _, q := range p.props {
		if q.id == id {
			return q.n, true
		}
	}
	return 0, false
}

func (p *packet) text(id byte) (s string, ok bool) {
	for _, q := range p.props {
		if q.id == id {
			return q.text, true
		}
	}
	return "", false
}

func (p *packet) numbers(id byte) (all []int) {
	for _, q := range p.props {
		if q.id == id {
			all = append(all, q.n)
		}
	}
	return all
}

// user gives the user properties in their order.
func (p *packet) user() (pairs [][2]string) {
	for _, q := range p.props {
		if q.id == pUser {
			pairs = append(pairs, [2]string{q.text, q.value})
		}
	}
	return pairs
}

// readPacket takes one packet apart as strictly as a careful client would.
func readPacket(in *bufio.Reader, version int) (*packet, error) {
	first, err := in.ReadByte()
	if err != nil {
		return nil, err
	}
	length, size := 0, 1
	for shift := 0; ; shift += 7 {
		b, err := in.ReadByte()
		if err != nil {
			return nil, err
		}
		size++
		length |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			if b == 0 && shift > 0 {
				return nil, errors.New("the length has more bytes than it needs")
			}
			break
		}
		if shift == 21 {
			return nil, errors.New("the length has more than four bytes")
		}
	}
	p := &packet{kind: int(first >> 4), flags: first & 15, body: make([]byte, length), size: size + length}
	if _, err := io.ReadFull(in, p.body); err != nil {
		return nil, err
	}
	c := &cursor{rest: p.body}
	p.decode(c, version)
	if c.err == nil && len(c.rest) > 0 {
		c.err = errors.New("bytes behind the packet's fields")
	}
	if c.err != nil {
		return nil, fmt.Errorf("%v: %w", p, c.err)
	}
	return p, nil
}

func (p *packet) decode(c *cursor, version int) {
	if want := map[int]byte{PUBREL: 2}[p.kind]; p.kind != PUBLISH && p.flags != want {
		c.fail("flags")
	}
	switch p.kind {
	case CONNACK:
		p.ackFlags, p.code = c.byte(), c.byte()
		if version == v5 {
			p.props = c.props()
		}
	case PUBLISH:
		p.topic = c.str()
		if p.qos() > 0 {
			p.id = c.int(2)
		}
		if version == v5 {
			p.props = c.props()
		}
		p.payload, c.rest = string(c.rest), nil
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		p.id = c.int(2)
		p.decodeReason(c, version)
	case SUBACK, UNSUBACK:
		p.id = c.int(2)
		if version == v5 {
			p.props = c.props()
		}
		if version == v5 || p.kind == SUBACK {
			p.codes, c.rest = c.rest, nil
		}
	case PINGRESP:
	case DISCONNECT, AUTH:
		if version != v5 {
			c.fail("no server sends this before MQTT 5")
		}
		p.decodeReason(c, version)
	default:
		c.fail("no server sends this")
	}
}

func (p *packet) decodeReason(c *cursor, version int) {
	p.short = true
	if version != v5 || len(c.rest) == 0 {
		return
	}
	p.code = c.byte()
	if len(c.rest) > 0 {
		p.short = false
		p.props = c.props()
	}
}

// cursor reads fields; after the first mistake it gives zeroes.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = errors.New(what)
	}
}

func (c *cursor) take(n int) []byte {
	if n > len(c.rest) {
		c.fail("cut short")
		n = len(c.rest)
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) int(width int) (n int) {
	for _, b := range c.take(width) {
		n = n<<8 | int(b)
	}
	return n
}

func (c *cursor) byte() byte  { return byte(c.int(1)) }
func (c *cursor) str() string { return string(c.take(c.int(2))) }

func (c *cursor) varint() (n int) {
	for shift := 0; shift < 28 && c.err == nil; shift += 7 {
		b := c.byte()
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			return n
		}
	}
	c.fail("a variable byte integer without an end")
	return 0
}

func (c *cursor) props() (list []property) {
	in := &cursor{rest: c.take(c.varint())}
	for len(in.rest) > 0 && in.err == nil {
		p := property{id: in.byte()}
		switch form := propertyForms[p.id]; form {
		case 1, 2, 4:
			p.n = in.int(int(form))
		case 'v':
			p.n = in.varint()
		case 's':
			p.text = in.str()
		case 'p':
			p.text, p.value = in.str(), in.str()
		default:
			in.fail(fmt.Sprintf("there is no property %d", p.id))
		}
		list = append(list, p)
	}
	if in.err != nil {
		c.fail(in.err.Error())
	}
	return list
}
