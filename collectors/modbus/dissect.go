package modbus

import (
	"encoding/binary"
	"fmt"

	"sluice/collectors/bus"
)

// DissectTCP says in one line what a frame of Modbus TCP means; ok is false when it is none.
func DissectTCP(dir bus.Direction, frame []byte) (summary string, ok bool) {
	if !isHeader(frame) || len(frame) != frameEnd(frame) {
		return "", false
	}
	return fmt.Sprintf("#%d %s", binary.BigEndian.Uint16(frame), dissect(dir, frame[6], frame[headerBytes:])), true
}

// DissectRTU says in one line what a frame of Modbus RTU means; ok is false when it is none.
func DissectRTU(dir bus.Direction, frame []byte) (summary string, ok bool) {
	if len(frame) < rtuOverhead+1 || !isSumRight(frame) {
		return "", false
	}
	return dissect(dir, frame[0], inner(frame)), true
}

// DissectASCII says in one line what a frame of Modbus ASCII means; ok is false when it is none.
func DissectASCII(dir bus.Direction, frame []byte) (summary string, ok bool) {
	var heard [1 + maxPDUBytes + 1]byte
	body, err := asciiBody(heard[:0], frame)
	if err != nil {
		return "", false
	}
	return dissect(dir, body[0], body[1:]), true
}

func dissect(dir bus.Direction, unit byte, pdu []byte) string {
	text := ""
	switch {
	case dir == bus.Out:
		text = dissectRequest(pdu)
	case pdu[0]&0x80 != 0 && len(pdu) == 2:
		text = fmt.Sprintf("function %d: %s", pdu[0]&0x7f, exception(pdu[1]))
	default:
		text = dissectAnswer(pdu)
	}
	if text == "" {
		text = fmt.Sprintf("function %d, %d bytes: % x", pdu[0], len(pdu)-1, clip(pdu[1:]))
	}
	return fmt.Sprintf("unit %d: %s", unit, text)
}

// touched are the areas that functions read or write.
var touched = map[byte]Area{
	1: Coil, 2: Discrete, 3: Holding, 4: Input, 5: Coil, 6: Holding, 15: Coil, 16: Holding, 22: Holding, 23: Holding,
}

// dissectRequest gives "" for what is not a request that we know.
func dissectRequest(pdu []byte) string {
	if len(pdu) < 5 {
		return ""
	}
	function, area := pdu[0], touched[pdu[0]]
	at, argument := int(binary.BigEndian.Uint16(pdu[1:])), int(binary.BigEndian.Uint16(pdu[3:]))
	switch {
	case function >= 1 && function <= 4 && len(pdu) == 5:
		return "read " + where(area, at, argument)
	case (function == 15 || function == 16) && len(pdu) > 6:
		return fmt.Sprintf("write %s = %s", where(area, at, argument), cells(area, pdu[6:]))
	case function == 23 && len(pdu) > 10:
		into, count := int(binary.BigEndian.Uint16(pdu[5:])), int(binary.BigEndian.Uint16(pdu[7:]))
		return fmt.Sprintf("write %s = %s, then read %s", where(area, into, count), cells(area, pdu[10:]), where(area, at, argument))
	}
	return dissectEcho("write", pdu)
}

func dissectAnswer(pdu []byte) string {
	switch function := pdu[0]; function {
	case 1, 2, 3, 4, 23:
		if len(pdu) < 2 || int(pdu[1]) != len(pdu)-2 {
			return ""
		}
		return fmt.Sprintf("%s = %s", touched[function], cells(touched[function], pdu[2:]))
	case 15, 16:
		if len(pdu) != 5 {
			return ""
		}
		return "wrote " + where(touched[function], int(binary.BigEndian.Uint16(pdu[1:])), int(binary.BigEndian.Uint16(pdu[3:])))
	}
	return dissectEcho("wrote", pdu)
}

// dissectEcho is for functions whose answer repeats the request.
func dissectEcho(verb string, pdu []byte) string {
	switch {
	case pdu[0] == 5 && len(pdu) == 5:
		state := "off"
		if pdu[3] != 0 {
			state = "on"
		}
		return fmt.Sprintf("%s coil:%d = %s", verb, binary.BigEndian.Uint16(pdu[1:]), state)
	case pdu[0] == 6 && len(pdu) == 5:
		return fmt.Sprintf("%s holding:%d = %d", verb, binary.BigEndian.Uint16(pdu[1:]), binary.BigEndian.Uint16(pdu[3:]))
	case pdu[0] == 22 && len(pdu) == 7:
		return fmt.Sprintf("%s holding:%d, kept where %04x, set where %04x", verb,
			binary.BigEndian.Uint16(pdu[1:]), binary.BigEndian.Uint16(pdu[3:]), binary.BigEndian.Uint16(pdu[5:]))
	}
	return ""
}

// where writes a span.
func where(area Area, start, count int) string {
	if count == 1 {
		return fmt.Sprintf("%s:%d", area, start)
	}
	return fmt.Sprintf("%s:%d to %d", area, start, start+count-1)
}

// cells shows data, register by register, and not all of it when there is much.
func cells(area Area, data []byte) string {
	const most = 16
	rest := ""
	if len(data) > most {
		data, rest = data[:most], fmt.Sprintf(" … %d bytes more", len(data)-most)
	}
	if area.bits() || len(data)%2 != 0 {
		return fmt.Sprintf("% x%s", data, rest)
	}
	text := ""
	for i := 0; i+1 < len(data); i += 2 {
		if i > 0 {
			text += " "
		}
		text += fmt.Sprintf("%04x", binary.BigEndian.Uint16(data[i:]))
	}
	return text + rest
}
