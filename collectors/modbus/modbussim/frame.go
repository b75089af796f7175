package modbussim

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Dialect is how frames are wrapped.
type Dialect string

// The dialects. RTU and ASCII are spoken on sockets as well as on serial lines.
const (
	TCP   Dialect = "tcp"
	RTU   Dialect = "rtu"
	ASCII Dialect = "ascii"
)

const (
	maxPDU    = 253
	maxBuffer = 4096 // bytes without a request among them; older ones are forgotten
)

// frame is one request as it came.
type frame struct {
	dialect     Dialect
	transaction uint16 // of TCP
	unit        byte
	pdu         []byte
	wire        []byte
}

// reader finds requests in what comes from a line. Noise between them is passed over, except on TCP,
// where what cannot be a request ends the connection, or is taken for RTU as some converters do.
type reader struct {
	from    io.Reader
	dialect Dialect
	buffer  []byte
}

func (r *reader) next() (frame, error) {
	for {
		f, used, err := r.parse()
		if err != nil {
			return frame{}, err
		}
		r.buffer = r.buffer[used:]
		if f.pdu != nil {
			return f, nil
		}
		if used > 0 {
			continue
		}
		if extra := len(r.buffer) - maxBuffer; extra > 0 {
			r.buffer = r.buffer[extra:]
		}
		chunk := make([]byte, 512)
		n, err := r.from.Read(chunk)
		r.buffer = append(r.buffer, chunk[:n]...)
		if err != nil {
			return frame{}, err
		}
	}
}

// parse gives the first request in the buffer and how many bytes are done with.
func (r *reader) parse() (f frame, used int, err error) {
	switch r.dialect {
	case RTU:
		f, used = parseRTU(r.buffer)
	case ASCII:
		f, used = parseASCII(r.buffer)
	default:
		return parseTCP(r.buffer)
	}
	return f, used, nil
}

func parseTCP(b []byte) (f frame, used int, err error) {
	if len(b) < 7 {
		return frame{}, 0, nil
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if binary.BigEndian.Uint16(b[2:]) != 0 || length < 2 || length > 1+maxPDU {
		return frame{}, 0, fmt.Errorf("not Modbus TCP: % x", b[:7])
	}
	if len(b) < 6+length {
		return frame{}, 0, nil
	}
	wire := b[:6+length]
	return frame{TCP, binary.BigEndian.Uint16(b), wire[6], wire[7:], wire}, len(wire), nil
}

func parseRTU(b []byte) (frame, int) {
	for start := 0; start+4 <= len(b); start++ {
		size := rtuRequest(b[start:])
		if size == 0 || start+size > len(b) {
			continue
		}
		wire := b[start : start+size]
		if sum := checksum(wire[:size-2]); binary.LittleEndian.Uint16(wire[size-2:]) == sum {
			return frame{RTU, 0, wire[0], wire[1 : size-2], wire}, start + size
		}
	}
	return frame{}, 0
}

// rtuRequest is how long a request is that begins like b; 0 when it cannot be told.
func rtuRequest(b []byte) int {
	switch b[1] {
	case 1, 2, 3, 4, 5, 6:
		return 8
	case 15, 16:
		if len(b) > 6 {
			return 9 + int(b[6])
		}
	case 22:
		return 10
	case 23:
		if len(b) > 10 {
			return 13 + int(b[10])
		}
	}
	return 0
}

func parseASCII(b []byte) (frame, int) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return frame{}, 0
	}
	start := bytes.LastIndexByte(b[:end], ':')
	if start < 0 {
		return frame{}, end + 1
	}
	wire := b[start : end+1]
	body, err := hex.DecodeString(strings.TrimSpace(string(wire[1:])))
	if err != nil || len(body) < 3 || sumToZero(body[:len(body)-1]) != body[len(body)-1] {
		return frame{}, end + 1
	}
	return frame{ASCII, 0, body[0], body[1 : len(body)-1], wire}, end + 1
}

// wrap puts a PDU on the wire.
func wrap(d Dialect, transaction uint16, unit byte, pdu []byte) []byte {
	switch d {
	case RTU:
		b := append([]byte{unit}, pdu...)
		return binary.LittleEndian.AppendUint16(b, checksum(b))
	case ASCII:
		b := append([]byte{unit}, pdu...)
		b = append(b, sumToZero(b))
		return fmt.Appendf(nil, ":%X\r\n", b)
	}
	b := binary.BigEndian.AppendUint16(nil, transaction)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(1+len(pdu)))
	b = append(b, unit)
	return append(b, pdu...)
}

// checksum is that of RTU, bit by bit [Modbus over serial line V1.02, 6.2.2].
func checksum(b []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, c := range b {
		sum ^= uint16(c)
		for range 8 {
			odd := sum&1 != 0
			sum >>= 1
			if odd {
				sum ^= 0xA001
			}
		}
	}
	return sum
}

// sumToZero is the checksum of ASCII.
func sumToZero(b []byte) byte {
	sum := byte(0)
	for _, c := range b {
		sum -= c
	}
	return sum
}
