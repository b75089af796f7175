package cloudsim

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The packet types of MQTT that the simulated cloud knows.
const (
	typeConnect    = 1
	typeConnack    = 2
	typePublish    = 3
	typePuback     = 4
	typeSubscribe  = 8
	typeSuback     = 9
	typePingreq    = 12
	typePingresp   = 13
	typeDisconnect = 14
)

var errMalformed = errors.New("malformed packet")

// maxPacket is the largest packet taken, far above what a gateway sends.
const maxPacket = 8 << 20

// packet is one MQTT packet with its body not yet understood.
type packet struct {
	kind  byte
	flags byte
	body  []byte
}

// readPacket reads one packet. Its body is its own memory, taken only as fast as bytes come in.
func readPacket(r *bufio.Reader) (packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return packet{}, err
	}
	length, err := readLength(r)
	if err != nil {
		return packet{}, err
	}
	p := packet{kind: first >> 4, flags: first & 15}
	if length > maxPacket {
		return packet{}, fmt.Errorf("%w: %d bytes, at most %d are taken", errMalformed, length, maxPacket)
	}
	const step = 64 << 10 // a length is only a promise: memory follows what has arrived
	for len(p.body) < length {
		n := min(step, length-len(p.body))
		p.body = append(p.body, make([]byte, n)...)
		if _, err := io.ReadFull(r, p.body[len(p.body)-n:]); err != nil {
			return packet{}, err
		}
	}
	return p, nil
}

func readLength(r io.ByteReader) (int, error) {
	length := 0
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		length |= int(b&0x7f) << shift
		if b < 0x80 {
			return length, nil
		}
	}
	return 0, fmt.Errorf("%w: a length of more than four bytes", errMalformed) // [MQTT-2.2.3]
}

// buffered says whether a whole packet can be read without waiting for the line.
func buffered(r *bufio.Reader) bool {
	head, _ := r.Peek(min(5, r.Buffered()))
	length := 0
	for i := 1; i < len(head); i++ {
		length |= int(head[i]&0x7f) << (7 * (i - 1))
		if head[i] < 0x80 {
			return r.Buffered() >= 1+i+length
		}
	}
	return false
}

func appendPacket(b []byte, kind, flags byte, body ...[]byte) []byte {
	b = append(b, kind<<4|flags)
	length := 0
	for _, part := range body {
		length += len(part)
	}
	b = appendLength(b, length)
	for _, part := range body {
		b = append(b, part...)
	}
	return b
}

// reader takes fields off a body; after a mistake everything is empty and bad is set.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if len(r.rest) < n {
		r.rest, r.bad = nil, true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) text() string { return string(r.take(int(r.uint16()))) }

// connect is what the simulator wants to know of a CONNECT.
type connect struct {
	level                    byte
	keepAlive                uint16
	clientID, user, password string
}

func parseConnect(body []byte) (connect, error) {
	r := reader{rest: body}
	name := r.text()
	c := connect{level: r.byte()}
	flags := r.byte()
	c.keepAlive = r.uint16()
	if c.level == 5 {
		r.properties(nil)
	}
	c.clientID = r.text()
	if flags&0x04 != 0 { // a will: its topic and message
		if c.level == 5 {
			r.properties(nil)
		}
		r.text()
		r.text()
	}
	if flags&0x80 != 0 {
		c.user = r.text()
	}
	if flags&0x40 != 0 {
		c.password = r.text()
	}
	if r.bad || name != "MQTT" && name != "MQIsdp" {
		return connect{}, fmt.Errorf("%w: CONNECT", errMalformed)
	}
	return c, nil
}

type publish struct {
	topic   string
	qos     byte
	id      uint16
	payload []byte
	about   *About // with MQTT 5 only
}

func parsePublish(p packet, level byte) (publish, error) {
	r := reader{rest: p.body}
	m := publish{qos: p.flags >> 1 & 3, topic: r.text()}
	if m.qos > 0 {
		m.id = r.uint16()
	}
	if level == 5 {
		m.about = new(About)
		r.properties(m.about)
	}
	m.payload = r.rest
	nameless := m.topic == "" && (m.about == nil || m.about.Alias == 0)
	if r.bad || m.qos > 1 || nameless || m.qos == 1 && m.id == 0 {
		return publish{}, fmt.Errorf("%w: PUBLISH", errMalformed)
	}
	return m, nil
}

func (m publish) append(b []byte, retained bool) []byte {
	flags := m.qos << 1
	if retained {
		flags |= 1
	}
	head := binary.BigEndian.AppendUint16(nil, uint16(len(m.topic)))
	head = append(head, m.topic...)
	if m.qos > 0 {
		head = binary.BigEndian.AppendUint16(head, m.id)
	}
	if m.about != nil {
		head = m.about.append(head)
	}
	return appendPacket(b, typePublish, flags, head, m.payload)
}

func parseSubscribe(body []byte, level byte) (id uint16, filters []string, err error) {
	r := reader{rest: body}
	id = r.uint16()
	if level == 5 {
		r.properties(nil)
	}
	for len(r.rest) > 0 {
		filters = append(filters, r.text())
		r.byte() // the QoS that is wished for, and with MQTT 5 further wishes
	}
	if r.bad || len(filters) == 0 {
		return 0, nil, fmt.Errorf("%w: SUBSCRIBE", errMalformed)
	}
	return id, filters, nil
}
