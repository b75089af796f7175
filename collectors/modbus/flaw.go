package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"

	"sluice/collectors/bus"
)

// flaw is what is wrong with what came, in words and for the line's statistics.
type flaw struct {
	fault bus.Fault
	text  string
}

func (f *flaw) Error() string { return f.text }

func flawed(fault bus.Fault, format string, args ...any) *flaw {
	return &flaw{fault, fmt.Sprintf(format, args...)}
}

// flawIn gives err as what it was made as.
func flawIn(err error) *flaw {
	if f, ok := errors.AsType[*flaw](err); ok {
		return f
	}
	return &flaw{bus.Garbled, err.Error()}
}

// foreign says that another master asks on the line.
func foreign(received []byte) *flaw {
	return flawed(bus.Unrelated, "somebody else asks on this line: what came is not an answer, it begins with % x", clip(received))
}

// direction says whether a sound PDU of which nobody knows more asks or answers. Functions 5, 6 and 22 are
// answered with what they ask, so they tell neither.
func direction(pdu []byte) (asks, says bool) {
	if len(pdu) < 2 {
		return false, false
	}
	switch function := pdu[0]; function {
	case 1, 2, 3, 4:
		says = len(pdu) == 2+int(pdu[1])
		asks = len(pdu) == 5 && (!says || function > 2) // registers have no odd number of bytes
	case 15, 16:
		says = len(pdu) == 5
		asks = len(pdu) > 6 && len(pdu) == 6+int(pdu[5])
	case 23:
		says = len(pdu) == 2+int(pdu[1])
		asks = !says && len(pdu) > 10 && len(pdu) == 10+int(pdu[9])
	default:
		says = function&0x80 != 0 && len(pdu) == 2
	}
	return asks, says && !asks
}

// overhear counts one PDU.
func overhear(heard *bus.Overheard, pdu []byte) {
	switch asks, says := direction(pdu); {
	case asks:
		heard.Request()
	case says:
		heard.Answer()
	}
}

// overhearRTU is a bus.Request's Overhear.
func overhearRTU(b []byte) (heard bus.Overheard) {
	for len(b) >= rtuOverhead+2 {
		frame := wholeRTU(b)
		if frame == nil {
			b = b[1:]
			continue
		}
		overhear(&heard, inner(frame))
		b = b[len(frame):]
	}
	return heard
}

// overhearASCII is the same for ASCII.
func overhearASCII(b []byte) (heard bus.Overheard) {
	var buffer [1 + maxPDUBytes + 1]byte
	for {
		line, rest, found := asciiLine(b)
		if !found {
			return heard
		}
		if body, err := asciiBody(buffer[:0], line); err == nil {
			overhear(&heard, body[1:])
		}
		b = rest
	}
}

// overhearTCP is the same for TCP, where nobody but the device speaks to the gateway.
func overhearTCP(b []byte) (heard bus.Overheard) {
	for isHeader(b) && len(b) >= frameEnd(b) {
		heard.Answer()
		b = b[frameEnd(b):]
	}
	return heard
}

// overhearing is done by dialect.
var overhearing = [...]func([]byte) bus.Overheard{overTCP: overhearTCP, overRTU: overhearRTU, overASCII: overhearASCII}

// others are the faults by which the line knows an answer in another dialect.
var others = [...]bus.Fault{overTCP: bus.AsTCP, overRTU: bus.AsRTU, overASCII: bus.AsASCII}

// stalePart says that whole answers to other requests were passed over.
func stalePart(request, passed []byte) *flaw {
	asked, last := binary.BigEndian.Uint16(request), lastID(passed)
	return flawed(bus.Unrelated, "answers to other requests were dropped, the last had transaction id %d, the request has %d", last, asked)
}
