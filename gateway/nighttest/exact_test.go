//go:build linux

package nighttest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
)

// exact publishes numbered messages with QoS 2 and keeps its half of the session: after a break it
// says everything again that was not brought to its end, in the same order and under the same
// identifiers [MQTT-4.4.0-1]. So each of its messages is published exactly once.
type exact struct {
	topic string
	label string

	begun   bool // the gateway has taken the session on
	next    int  // number of the next message
	sending []flight
	err     error // what is wrong beyond the connection's end
}

// flight is a message between PUBLISH and PUBCOMP.
type flight struct {
	n        int
	received bool // PUBREC has come: from now on only PUBREL is said
}

const exactWindow = 20

func (e *exact) payload(n int) string { return fmt.Sprintf("%s message %d", e.label, n) }

// done is the number of messages that were brought to their end, from 1 on.
func (e *exact) done() int {
	if len(e.sending) > 0 {
		return e.sending[0].n - 1
	}
	return e.next - 1
}

// run publishes over conn until it ends; with last it begins no new message and returns when nothing is
// on its way any more.
func (e *exact) run(conn net.Conn, last bool) {
	defer conn.Close()
	in, err := e.connect(conn)
	if err != nil {
		return
	}
	if e.next == 0 {
		e.next = 1
	}
	var out []byte
	for _, f := range e.sending {
		out = e.say(out, f, true)
	}
	for {
		for !last && len(e.sending) < exactWindow {
			f := flight{n: e.next}
			e.next++
			e.sending = append(e.sending, f)
			out = e.say(out, f, false)
		}
		if len(e.sending) == 0 {
			return
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
		out = out[:0]
		head, body, err := readPacket(in)
		if err != nil {
			return
		}
		if out, err = e.hear(out, head, body); err != nil {
			e.err = err
			return
		}
	}
}

func (e *exact) connect(conn net.Conn) (*bufio.Reader, error) {
	body := append(mqttString("MQTT"), 4, 0, 0, 0)
	if _, err := conn.Write(mqttPacket(0x10, append(body, mqttString(e.label)...))); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	head, answer, err := readPacket(in)
	if err != nil {
		return nil, err
	}
	if head != 0x20 || len(answer) != 2 || answer[1] != 0 {
		e.err = fmt.Errorf("CONNECT answered with %x %x", head, answer)
		return nil, e.err
	}
	if present := answer[0]&1 == 1; present != e.begun {
		e.err = fmt.Errorf("session present is %v, want %v", present, e.begun)
		return nil, e.err
	}
	e.begun = true
	return in, nil
}

// say appends what is to be said next of a message.
func (e *exact) say(out []byte, f flight, again bool) []byte {
	if f.received {
		return binary.BigEndian.AppendUint16(append(out, 0x62, 2), packetID(f.n))
	}
	head := byte(0x34)
	if again {
		head |= 8
	}
	body := binary.BigEndian.AppendUint16(mqttString(e.topic), packetID(f.n))
	return append(out, mqttPacket(head, append(body, e.payload(f.n)...))...)
}

// hear takes a PUBREC or PUBCOMP. PUBRECs come in the order of the messages [MQTT-4.6.0-3].
func (e *exact) hear(out []byte, head byte, body []byte) ([]byte, error) {
	if len(body) != 2 || head != 0x50 && head != 0x70 {
		return out, fmt.Errorf("unexpected packet %x %x", head, body)
	}
	id := binary.BigEndian.Uint16(body)
	at := slices.IndexFunc(e.sending, func(f flight) bool {
		if head == 0x70 {
			return packetID(f.n) == id
		}
		return !f.received
	})
	if at < 0 || packetID(e.sending[at].n) != id || e.sending[at].received != (head == 0x70) {
		return out, fmt.Errorf("packet %x %x does not fit to %v", head, body, e.sending)
	}
	if head == 0x70 {
		e.sending = slices.Delete(e.sending, at, at+1)
		return out, nil
	}
	e.sending[at].received = true
	return e.say(out, e.sending[at], false), nil
}
