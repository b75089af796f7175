package mqtt5

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/eclipse/paho.golang/packets"
)

const (
	// maxInbound is the largest packet that the cloud may send, and is told so. Commands are small.
	maxInbound = 1 << 20
	// keptInbound is how much memory is kept from one packet to the next.
	keptInbound = 64 << 10
)

var errProtocol = errors.New("the cloud breaks the MQTT protocol")

// inbound reads whole packets and looks into each before paho sees it. Paho would make room for any
// length that it is told, take a login with an unknown code for a success, panic when one names a way
// of authentication or when a length is negative on 32 bits, and take a DISCONNECT without a reason
// for a broken line.
type inbound struct {
	in      *bufio.Reader
	packet  []byte
	rest    []byte // of packet: what is not handed on yet
	greeted bool
}

func newInbound(r io.Reader) *inbound {
	return &inbound{in: bufio.NewReaderSize(r, 16<<10)}
}

// Read gives the bytes of whole, checked packets, as they come.
func (in *inbound) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(in.rest) == 0 {
		if err := in.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// next reads one packet.
func (in *inbound) next() error {
	if cap(in.packet) > keptInbound {
		in.packet = nil
	}
	first, err := in.in.ReadByte()
	if err != nil {
		return err
	}
	if kind := first >> 4; in.greeted == (kind == packets.CONNACK) { // early: what is no MQTT may never be whole
		return fmt.Errorf("%w: a packet of type %d at this time", errProtocol, kind)
	}
	in.packet = append(in.packet[:0], first)
	length := 0
	for shift := 0; ; shift += 7 {
		b, err := in.in.ReadByte()
		if err != nil {
			return cut(err)
		}
		in.packet = append(in.packet, b)
		length |= int(b&0x7f) << shift
		if b == 0 && shift > 0 {
			return fmt.Errorf("%w: a length of more bytes than it needs", errProtocol) // [MQTT-1.5.5-1]
		}
		if b < 0x80 {
			break
		}
		if shift == 21 {
			return fmt.Errorf("%w: a length of more than four bytes", errProtocol) // [MQTT-1.5.5-1]
		}
	}
	if length > maxInbound {
		return fmt.Errorf("%w: a packet of %d bytes, at most %d are taken", errProtocol, length, maxInbound)
	}
	head := len(in.packet)
	for remaining := length; remaining > 0; { // a length is only a promise: memory follows what has arrived
		step := min(remaining, keptInbound)
		in.packet = append(in.packet, make([]byte, step)...)
		if _, err := io.ReadFull(in.in, in.packet[len(in.packet)-step:]); err != nil {
			return cut(err)
		}
		remaining -= step
	}
	if err := in.inspect(first, in.packet[head:]); err != nil {
		return err
	}
	if first>>4 == packets.DISCONNECT && length == 0 { // the same as reason 0, says section 3.14.2.1
		in.packet = append(in.packet[:0], first, 1, 0)
	}
	in.rest = in.packet
	return nil
}

// cut makes a clear error of an end in the middle of a packet.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (in *inbound) inspect(first byte, body []byte) error {
	kind, whole := first>>4, false
	if kind != packets.PUBLISH && first&15 != 0 {
		return fmt.Errorf("%w: a packet of type %d with flags", errProtocol, kind) // [MQTT-2.1.3-1]
	}
	switch kind {
	case packets.CONNACK:
		in.greeted = true
		return inspectConnack(body)
	case packets.PUBLISH:
		if qos := first >> 1 & 3; qos > 1 {
			return fmt.Errorf("%w: a message with QoS %d, which was not asked for", errProtocol, qos)
		}
		whole = wholePublish(body, first>>1&3 > 0)
	case packets.PUBACK:
		whole = len(body) == 2 || len(body) == 3 || len(body) > 3 && wholeProperties(body[3:], true)
	case packets.SUBACK: // we ask for one filter at a time
		whole = len(body) > 3 && wholeProperties(body[2:len(body)-1], true)
	case packets.DISCONNECT:
		whole = len(body) < 2 || wholeProperties(body[1:], true)
	case packets.PINGRESP:
		whole = len(body) == 0
	default: // of QoS 2, UNSUBSCRIBE or AUTH, none of which we use
		return fmt.Errorf("%w: a packet of type %d", errProtocol, kind)
	}
	if !whole {
		return fmt.Errorf("%w: a packet of type %d whose parts do not fit", errProtocol, kind)
	}
	return nil
}

func inspectConnack(body []byte) error {
	if len(body) == 2 && body[1] != 0 { // as MQTT 3.1.1 has it
		return &loginError{because(packets.ConnackUnsupportedProtocolVersion, "")}
	}
	if len(body) < 3 || !wholeProperties(body[2:], true) || body[1] > 0 && body[1] < 0x80 {
		return fmt.Errorf("%w: it answers the login with %x", errProtocol, body[:min(len(body), 16)])
	}
	// Paho calls a handler that nobody has set when the properties name a way of authentication.
	var p packets.Properties
	if err := p.Unpack(bytes.NewBuffer(body[2:]), packets.CONNACK); err != nil {
		return fmt.Errorf("%w: it answers the login with properties that cannot be read: %w", errProtocol, err)
	}
	if p.AuthMethod != "" {
		return fmt.Errorf("%w: it wants an authentication that was not asked for", errProtocol)
	}
	if m := p.ReceiveMaximum; m != nil && *m == 0 {
		return fmt.Errorf("%w: it allows no message at all", errProtocol) // section 3.2.2.3.3
	}
	if m := p.MaximumPacketSize; m != nil && *m == 0 {
		return fmt.Errorf("%w: it allows no packet at all", errProtocol) // section 3.2.2.3.6
	}
	return nil
}

func wholePublish(body []byte, withID bool) bool {
	if len(body) < 2 {
		return false
	}
	at := 2 + int(binary.BigEndian.Uint16(body))
	if withID {
		at += 2
	}
	// A message without a topic would need an alias, which we have not allowed [MQTT-3.3.2-11].
	return at > 2 && body[0]|body[1] != 0 && len(body) > at && wholeProperties(body[at:], false)
}

// wholeProperties says whether b begins with properties that are all there, and, if they must, fill it.
func wholeProperties(b []byte, fill bool) bool {
	length, n := 0, 0
	for shift := 0; ; shift += 7 {
		if n == len(b) || n == 4 {
			return false
		}
		length |= int(b[n]&0x7f) << shift
		n++
		if b[n-1] < 0x80 {
			break
		}
	}
	return length == len(b)-n || !fill && length < len(b)-n
}
