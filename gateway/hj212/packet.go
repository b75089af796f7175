// Package hj212 is the codec of HJ 212, the protocol in which pollution monitors report to authorities
// in China, in the editions of 2017 and 2005: packets with their checksum, the pairs in their data
// area, moments and codes. It has no sockets and no state; the collector that data loggers report to
// and the uplink to an authority share it.
package hj212

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What a packet looks like: ## length segment checksum CR LF.
const (
	headBytes  = 6 // ## and four digits that count the segment's bytes
	checkBytes = 4 // hex digits

	// MaxSegment is what the four digits can count. The standard stays below MaxStandardSegment and
	// spreads more over several packets; loggers that do not are understood all the same.
	MaxSegment         = 9999
	MaxStandardSegment = 1024
	// MaxFrame is the longest frame there can be, with its line end.
	MaxFrame = headBytes + MaxSegment + checkBytes + 2
)

// The bits of Packet.Flag. Above them stands the version of the standard.
const (
	AckWanted   = 1 // the packet wants an answer
	Packetised  = 2 // PNUM and PNO are there
	Version2017 = 4

	NoFlag = -1 // the packet has none
)

// The commands by their codes.
const (
	SetPatience  = "1000" // OverTime and ReCount
	GetClock     = "1011"
	SetClock     = "1012"
	ClockNotice  = "1013" // a logger asks for the time
	GetInterval  = "1061"
	SetInterval  = "1062"
	Realtime     = "2011"
	StopRealtime = "2012"
	Day          = "2031"
	Minute       = "2051"
	Hour         = "2061"
	Accepted     = "9011" // a request was understood, or why not
	Result       = "9012" // what became of it
	NoticeAck    = "9013"
	DataAck      = "9014"

	AnswerST = "91" // ST of answers: between the two systems, not about a monitor
)

// Packet is one packet. Decode gives no text with a ; in it but Data.
type Packet struct {
	QN   string // moment of the request, to the millisecond: answers and repetitions are known by it
	ST   string // kind of monitor: 21 surface water, 22 air, 31 flue gas, 32 waste water
	CN   string // command
	PW   string // password
	MN   string // number of the data logger
	Flag int    // bits, or NoFlag
	PNUM int    // packets that the message was spread over; 0: it is whole
	PNO  int    // which of them this is, from 1
	Data string // what stands between CP=&& and &&
}

// AckWanted says whether the sender waits for an answer.
func (p *Packet) AckWanted() bool { return p.Flag != NoFlag && p.Flag&AckWanted != 0 }

// Segment appends what is counted and checked.
func (p *Packet) Segment(b []byte) []byte {
	field := func(name, value string) {
		if value != "" {
			b = append(append(append(append(b, name...), '='), value...), ';')
		}
	}
	field("QN", p.QN)
	field("ST", p.ST)
	field("CN", p.CN)
	field("PW", p.PW)
	field("MN", p.MN)
	if p.Flag != NoFlag {
		field("Flag", strconv.Itoa(p.Flag))
	}
	if p.PNUM > 0 {
		field("PNUM", strconv.Itoa(p.PNUM))
		field("PNO", strconv.Itoa(p.PNO))
	}
	b = append(b, "CP=&&"...)
	b = append(b, p.Data...)
	return append(b, "&&"...)
}

// Append appends the packet as it goes on the wire.
func (p *Packet) Append(b []byte) []byte {
	from := len(b)
	b = p.Segment(append(b, "##0000"...))
	segment := b[from+headBytes:]
	if len(segment) > MaxSegment {
		panic(fmt.Sprintf("bug: a segment of %d bytes; four digits count %d", len(segment), MaxSegment))
	}
	copy(b[from+2:], fmt.Sprintf("%04d", len(segment)))
	return fmt.Appendf(b, "%04X\r\n", Checksum(segment))
}

// Checksum is not that of Modbus, though its polynomial is: each byte goes into the high half.
func Checksum(segment []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range segment {
		crc = crc>>8 ^ uint16(c)
		for range 8 {
			dropped := crc & 1
			crc >>= 1
			if dropped == 1 {
				crc ^= 0xA001
			}
		}
	}
	return crc
}

// ErrDamaged is what the error of a packet is that did not arrive as it was sent.
var ErrDamaged = errors.New("the packet is damaged")

// Decode takes exactly one packet; its line end may be missing.
func Decode(frame []byte) (Packet, error) {
	p, found, used, err := Next(frame)
	switch {
	case err != nil:
		return Packet{}, err
	case found == nil:
		return Packet{}, fmt.Errorf("%w: it is cut short at %d bytes", ErrDamaged, len(frame))
	case len(found) == 0 || found[0] != frame[0] || used != len(frame):
		return Packet{}, errors.New("there is more than the packet")
	}
	return p, nil
}

// Next finds the first packet in b. frame holds its bytes; it is nil while more are needed. An err
// tells about bytes that are no packet. Either way the first used bytes are dealt with.
func Next(b []byte) (p Packet, frame []byte, used int, err error) {
	at := bytes.Index(b, []byte("##"))
	if at < 0 {
		at = len(b)
		if at > 0 && b[at-1] == '#' {
			at--
		}
	}
	if noise := bytes.TrimSpace(b[:at]); len(noise) > 0 {
		return Packet{}, nil, at, fmt.Errorf("%d bytes of noise", at)
	}
	rest := b[at:]
	if len(rest) < headBytes {
		return Packet{}, nil, at, nil
	}
	length, ok := fourDigits(rest[2:headBytes])
	if !ok {
		return Packet{}, nil, at + 2, fmt.Errorf("%w: %q is not the four digits of a length", ErrDamaged, rest[2:headBytes])
	}
	whole := headBytes + length + checkBytes
	// A line end never stands in a packet, not even within GBK characters: where one comes too soon,
	// waiting for the announced length would swallow the packets behind.
	if line := bytes.Index(rest[:min(len(rest), whole)], []byte("\r\n")); line >= 0 {
		return Packet{}, nil, at + line + 2, fmt.Errorf("%w: it announces %d bytes and has %d", ErrDamaged, length, max(0, line-headBytes-checkBytes))
	}
	if len(rest) < whole {
		return Packet{}, nil, at, nil
	}
	segment, check := rest[headBytes:headBytes+length], rest[headBytes+length:whole]
	if err := verify(segment, check); err != nil {
		if inner := bytes.Index(rest[2:whole], []byte("##")); inner >= 0 {
			return Packet{}, nil, at + 2 + inner, err // a good packet may have begun meanwhile
		}
		return Packet{}, nil, at + ended(rest, whole), err
	}
	used = at + ended(rest, whole)
	p, err = parse(string(segment))
	if err != nil {
		return Packet{}, nil, used, err
	}
	return p, rest[:whole], used, nil
}

// ended adds the line end to the length of a packet, if it is there already.
func ended(rest []byte, whole int) int {
	if bytes.HasPrefix(rest[whole:], []byte("\r\n")) {
		return whole + 2
	}
	return whole
}

func fourDigits(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func verify(segment, check []byte) error {
	want := Checksum(segment)
	got, err := strconv.ParseUint(string(check), 16, 16)
	if err != nil || uint16(got) != want {
		return fmt.Errorf("%w: its checksum is %q and should be %04X", ErrDamaged, check, want)
	}
	return nil
}

// parse takes a segment apart. Fields that nobody knows are passed over.
func parse(segment string) (Packet, error) {
	head, data, found := strings.Cut(";"+segment, ";CP=&&")
	data, closed := strings.CutSuffix(data, "&&")
	if !found || !closed {
		return Packet{}, errors.New("the packet has no data area between CP=&& and &&")
	}
	p := Packet{Flag: NoFlag, Data: data}
	for field := range strings.SplitSeq(head, ";") {
		name, value, _ := strings.Cut(field, "=")
		var err error
		switch name {
		case "QN":
			p.QN = value
		case "ST":
			p.ST = value
		case "CN":
			p.CN = value
		case "PW":
			p.PW = value
		case "MN":
			p.MN = value
		case "Flag":
			p.Flag, err = number(field, value, 255, NoFlag)
		case "PNUM":
			p.PNUM, err = number(field, value, MaxSegment, 0)
		case "PNO":
			p.PNO, err = number(field, value, MaxSegment, 0)
		}
		if err != nil {
			return Packet{}, err
		}
	}
	switch {
	case p.CN == "":
		return Packet{}, errors.New("the packet has no CN")
	case p.PNUM == 0:
		p.PNO = 0
	case p.PNO < 1 || p.PNO > p.PNUM:
		return Packet{}, fmt.Errorf("packet %d of %d cannot be", p.PNO, p.PNUM)
	}
	return p, nil
}

// number reads one of the head's numbers, of which some loggers leave the digits away.
func number(field, value string, most, none int) (int, error) {
	if value == "" {
		return none, nil
	}
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil || int(n) > most {
		return 0, fmt.Errorf("%q is no number from 0 to %d", field, most)
	}
	return int(n), nil
}
