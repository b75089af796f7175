//go:build linux

package nighttest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
)

// sleeper is a persistent session and its client, who comes, takes what there is and goes again. The
// client keeps its half of the session as the standard asks: what it holds of QoS 2 outlives its
// connections.
type sleeper struct {
	name    string
	filter  string
	matches func(topic string) bool // what the filter means, said once more
	qos     byte
	level   byte // 4 or 5
	window  int  // receive maximum, of level 5

	held map[uint16]bool // QoS 2: identifiers between PUBLISH and PUBREL; belongs to visit

	mu     sync.Mutex // guards what follows
	took   []taken
	first  map[string]int // payload → the first of took that has it
	visits int
	err    error
}

// taken is one message that a client was given; at QoS 2 not a repeat that it recognised.
type taken struct {
	topic, payload string
	qos            byte
}

// connect opens the session's connection and says whether the gateway knew it.
func (s *sleeper) connect(conn net.Conn) (in *bufio.Reader, present bool, err error) {
	body := append(mqttString("MQTT"), s.level, 0, 0, 0)
	if s.level == 5 {
		properties := binary.BigEndian.AppendUint32([]byte{0x11}, 0xffffffff) // the session never expires
		properties = binary.BigEndian.AppendUint16(append(properties, 0x21), uint16(s.window))
		body = append(append(body, byte(len(properties))), properties...)
	}
	if _, err := conn.Write(mqttPacket(0x10, append(body, mqttString(s.name)...))); err != nil {
		return nil, false, err
	}
	in = bufio.NewReaderSize(conn, 1<<16)
	head, answer, err := readPacket(in)
	if err != nil {
		return nil, false, err
	}
	if head != 0x20 || len(answer) < 2 || answer[1] != 0 {
		return nil, false, s.fail("CONNECT answered with %x %x", head, answer)
	}
	return in, answer[0]&1 == 1, nil
}

// subscribe makes the session, and leaves.
func (s *sleeper) subscribe(conn net.Conn) error {
	defer conn.Close()
	in, present, err := s.connect(conn)
	if err != nil {
		return err
	}
	if present {
		return s.fail("a new session was there before")
	}
	body := []byte{0, 1}
	if s.level == 5 {
		body = append(body, 0)
	}
	if _, err := conn.Write(mqttPacket(0x82, append(append(body, mqttString(s.filter)...), s.qos))); err != nil {
		return err
	}
	head, answer, err := readPacket(in)
	if err != nil {
		return err
	}
	if head != 0x90 || len(answer) < 3 || answer[len(answer)-1] != s.qos {
		return s.fail("SUBSCRIBE answered with %x %x", head, answer)
	}
	return nil
}

// visit takes messages until the connection ends or, where limit is not 0, so many have come: then the
// client goes without a word and without having acknowledged the last.
func (s *sleeper) visit(conn net.Conn, limit int) {
	defer conn.Close()
	in, present, err := s.connect(conn)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.visits++
	s.mu.Unlock()
	if !present {
		s.fail("the session was forgotten")
		return
	}
	var out []byte
	for n := 0; ; {
		head, body, err := readPacket(in)
		if err != nil {
			return
		}
		switch head >> 4 {
		case 3:
			if n++; n == limit {
				return
			}
			if out, err = s.take(out, head, body); err != nil {
				return
			}
		case 6:
			if len(body) < 2 {
				s.fail("PUBREL is %x", body)
				return
			}
			delete(s.held, binary.BigEndian.Uint16(body))
			out = append(out, 0x70, 2, body[0], body[1])
		default:
			s.fail("unexpected packet %x %x", head, body)
			return
		}
		if in.Buffered() == 0 || len(out) > 1<<12 {
			if _, err := conn.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
	}
}

// take records a message and appends the answer to it.
func (s *sleeper) take(out []byte, head byte, body []byte) ([]byte, error) {
	qos := head >> 1 & 3
	topic, rest, err := s.cut(body, qos)
	if err != nil {
		return out, err
	}
	again := false
	if qos > 0 {
		id := rest.id
		answer := byte(0x40)
		if qos == 2 {
			answer = 0x50
			again = s.held[id]
			s.held[id] = true
		}
		out = binary.BigEndian.AppendUint16(append(out, answer, 2), id)
	}
	if !again {
		s.mu.Lock()
		s.record(taken{topic, rest.payload, qos})
		s.mu.Unlock()
	}
	return out, nil
}

type publishRest struct {
	id      uint16
	payload string
}

// cut takes a PUBLISH apart.
func (s *sleeper) cut(body []byte, qos byte) (topic string, rest publishRest, err error) {
	whole := body
	short := func() error { return s.fail("PUBLISH is %x", whole) }
	if len(body) < 2 {
		return "", rest, short()
	}
	length := int(binary.BigEndian.Uint16(body))
	if body = body[2:]; len(body) < length {
		return "", rest, short()
	}
	topic, body = string(body[:length]), body[length:]
	if qos > 0 {
		if len(body) < 2 {
			return "", rest, short()
		}
		rest.id, body = binary.BigEndian.Uint16(body), body[2:]
	}
	if s.level == 5 {
		length, size := binary.Uvarint(body)
		if size <= 0 || uint64(len(body)-size) < length {
			return "", rest, short()
		}
		body = body[size+int(length):]
	}
	rest.payload = string(body)
	return topic, rest, nil
}

// fail notes what no connection's end explains.
func (s *sleeper) fail(format string, args ...any) error {
	err := fmt.Errorf("%s: "+format, append([]any{s.name}, args...)...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	return err
}

// record is for those who hold mu.
func (s *sleeper) record(m taken) {
	if _, again := s.first[m.payload]; !again {
		s.first[m.payload] = len(s.took)
	}
	s.took = append(s.took, m)
}

// distinct counts the messages without their repeats; err is what went wrong.
func (s *sleeper) distinct() (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.first), s.err
}
