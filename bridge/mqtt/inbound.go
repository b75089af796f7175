package mqtt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// maxInbound is the largest packet that the cloud may send. Commands are small.
const maxInbound = 1 << 20

var errProtocol = errors.New("the cloud breaks the MQTT protocol")

// inbound looks at every packet before paho sees it. Paho would panic on a SUBACK with a code too
// many, take a CONNACK with an unknown code for success, complete a publish token for a SUBACK with
// its id, and make room for 256 MB because a length says so. It also keeps a book of its own about
// PUBACKs, because a token alone is no proof. And it reads in blocks, where paho takes three system
// calls a packet.
type inbound struct {
	in      *bufio.Reader
	head    []byte // of the packet being handed on, as far as it is not handed on yet
	headMem [5]byte
	rest    int // bytes of its body
	greeted bool
	outcome atomic.Int32              // the code of the CONNACK; -1 before it came
	acked   [65536 / 64]atomic.Uint64 // one bit for each packet id that had its PUBACK
}

func newInbound(r io.Reader) *inbound {
	in := &inbound{in: bufio.NewReaderSize(r, 16<<10)}
	in.outcome.Store(-1)
	return in
}

// Read gives the bytes of whole, checked packets, as they come.
func (in *inbound) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(in.head) == 0 && in.rest == 0 {
		if err := in.next(); err != nil {
			return 0, err
		}
	}
	if len(in.head) > 0 {
		n := copy(b, in.head)
		in.head = in.head[n:]
		return n, nil
	}
	n, err := in.in.Read(b[:min(len(b), in.rest)])
	in.rest -= n
	if in.rest > 0 {
		err = cut(err)
	}
	return n, err
}

// cut makes a clear error of an end in the middle of a packet.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next reads the head of a packet and looks into it.
func (in *inbound) next() error {
	first, err := in.in.ReadByte()
	if err != nil {
		return err
	}
	in.head = append(in.headMem[:0], first)
	length := 0
	for shift := 0; ; shift += 7 {
		b, err := in.in.ReadByte()
		if err != nil {
			return cut(err)
		}
		in.head = append(in.head, b)
		length |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
		if shift == 21 {
			return fmt.Errorf("%w: a length of more than four bytes", errProtocol) // [MQTT-2.2.3]
		}
	}
	in.rest = length
	return in.inspect(first, length)
}

func (in *inbound) inspect(first byte, length int) error {
	kind := first >> 4
	if in.greeted == (kind == packets.Connack) {
		return fmt.Errorf("%w: a packet of type %d at this time", errProtocol, kind)
	}
	switch kind {
	case packets.Connack:
		in.greeted = true
		body, err := in.peek(length, 2)
		if err != nil {
			return err
		}
		if body[1] > packets.ErrRefusedNotAuthorised {
			return fmt.Errorf("%w: it answers the login with code %d", errProtocol, body[1])
		}
		in.outcome.Store(int32(body[1]))
	case packets.Puback:
		body, err := in.peek(length, 2)
		if err != nil {
			return err
		}
		id := binary.BigEndian.Uint16(body)
		in.acked[id/64].Or(1 << (id % 64))
	case packets.Suback:
		_, err := in.peek(length, 3) // we ask for one filter at a time
		return err
	case packets.Publish:
		if qos := first >> 1 & 3; qos > 1 {
			return fmt.Errorf("%w: a message with QoS %d, which was not asked for", errProtocol, qos)
		}
		if length > maxInbound {
			return fmt.Errorf("%w: a message of %d bytes, at most %d are taken", errProtocol, length, maxInbound)
		}
	case packets.Pingresp:
		_, err := in.peek(length, 0)
		return err
	default: // of QoS 2 or UNSUBSCRIBE, neither of which we use
		return fmt.Errorf("%w: a packet of type %d", errProtocol, kind)
	}
	return nil
}

func (in *inbound) peek(length, want int) ([]byte, error) {
	if length != want {
		return nil, fmt.Errorf("%w: a packet of type %d with %d bytes, not %d", errProtocol, in.headMem[0]>>4, length, want)
	}
	body, err := in.in.Peek(want)
	return body, cut(err)
}

// takeAck says whether a PUBACK came for id since the id was last used, and forgets it.
func (in *inbound) takeAck(id uint16) bool {
	bit := uint64(1) << (id % 64)
	return in.acked[id/64].And(^bit)&bit != 0
}
