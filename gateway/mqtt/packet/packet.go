// Package packet is the MQTT wire format for 3.1, 3.1.1 and 5: one struct and one file for each packet
// type, with Decode and Append. It hides every byte of the protocol and keeps no state: no sockets,
// no sessions.
//
// Decoding takes one whole packet and fills a struct that its caller reuses; byte slices in it point
// into the packet and live as long as that does. Neither way allocates for a packet that passes.
// What is malformed is refused with an *Error that carries the MQTT 5 reason code.
//
// Clause numbers are those of MQTT 5 unless "3.1.1" stands before them.
package packet

import "fmt"

// Type is the packet type in the upper half of a packet's first byte.
type Type byte

// The packet types of MQTT 5; 3.1.1 has all but AUTH.
const (
	CONNECT     Type = 1
	CONNACK     Type = 2
	PUBLISH     Type = 3
	PUBACK      Type = 4
	PUBREC      Type = 5
	PUBREL      Type = 6
	PUBCOMP     Type = 7
	SUBSCRIBE   Type = 8
	SUBACK      Type = 9
	UNSUBSCRIBE Type = 10
	UNSUBACK    Type = 11
	PINGREQ     Type = 12
	PINGRESP    Type = 13
	DISCONNECT  Type = 14
	AUTH        Type = 15
)

var typeNames = [16]string{"type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"}

// String gives the name that the specification uses.
func (t Type) String() string { return typeNames[t&15] }

// The protocol levels that CONNECT may carry.
const (
	V31  byte = 3 // "MQIsdp"
	V311 byte = 4
	V5   byte = 5
)

// Frame is one packet as it came: the two halves of its first byte and the body behind its length.
type Frame struct {
	Type  Type
	Flags byte
	Body  []byte
}

// Error says why a packet was refused.
type Error struct {
	Code   Reason // what an MQTT 5 peer is told
	Clause string // the statement it breaks, "MQTT-3.3.1-4", or the section if that has no number
	Text   string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s [%s]", e.Code, e.Text, e.Clause)
}

func malformed(clause, text string) error {
	return &Error{Code: MalformedPacket, Clause: clause, Text: text}
}

func protocolError(clause, text string) error {
	return &Error{Code: ProtocolError, Clause: clause, Text: text}
}

// flags refuses a first byte whose lower half is not what its type prescribes.
func (f Frame) flags(want byte, clause string) error {
	if f.Flags != want {
		return malformed(clause, fmt.Sprintf("%s with flags %04b", f.Type, f.Flags))
	}
	return nil
}

// begin appends the first byte of a packet and one byte in which end puts the length.
func begin(b []byte, t Type, flags byte) (out []byte, mark int) {
	b = append(b, byte(t)<<4|flags, 0)
	return b, len(b)
}

// end writes the length of what was appended since begin. A body of 128 bytes or more is moved to
// make room; PUBLISH, the only packet where that would cost, knows its length beforehand.
func end(b []byte, mark int) []byte {
	n := len(b) - mark
	extra := varintSize(uint32(n)) - 1
	if extra > 0 {
		b = append(b, 0, 0, 0)[:len(b)+extra]
		copy(b[mark+extra:], b[mark:mark+n])
	}
	appendVarint(b[:mark-1], uint32(n))
	return b
}
