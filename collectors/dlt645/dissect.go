package dlt645

import (
	"fmt"

	"sluice/collectors/bus"
)

// Dissect says in one line what a frame means, for the bus monitor. ok is false when it is no frame
// of DL/T 645. Passwords are not shown.
func Dissect(dir bus.Direction, frame []byte) (summary string, ok bool) {
	f, _, ok := Locate(frame)
	if !ok {
		return "", false
	}
	edition := Edition2007
	if f.Control&function < 0x08 {
		edition = Edition1997
	}
	what := verb(f.Control & function)
	if f.Control&fromMeter == 0 {
		if f.Control&function == broadcastTime {
			return "the time for all meters", true
		}
		if n := edition.idBytes(); len(f.Data) >= n && carriesID(f.Control&function) {
			return fmt.Sprintf("%s %s from %s", what, idFrom(f.Data[:n]), f.Meter), true
		}
		return fmt.Sprintf("%s of %s", what, f.Meter), true
	}
	if f.Control&refused != 0 {
		if len(f.Data) != 1 {
			return fmt.Sprintf("%s refuses to %s", f.Meter, what), true
		}
		return fmt.Sprintf("%s: %s", f.Meter, edition.refusal(f.Data[0])), true
	}
	return f.Meter.String() + " answers" + dissectData(edition, f), true
}

func carriesID(code byte) bool {
	switch code {
	case 0x01, 0x02, 0x04, 0x11, 0x12, 0x14:
		return true
	}
	return false
}

func verb(code byte) string {
	switch code {
	case 0x01, 0x11:
		return "read"
	case 0x02, 0x12:
		return "read on"
	case 0x04, 0x14:
		return "write"
	case readAddress:
		return "read the address"
	}
	return fmt.Sprintf("function %02X", code)
}

func dissectData(edition Edition, f Frame) string {
	n := edition.idBytes()
	code := f.Control & function
	reads := code == edition.readFunction() || code == edition.nextFunction()
	if !reads || len(f.Data) < n {
		return fmt.Sprintf(" %s", verb(code))
	}
	id := idFrom(f.Data[:n])
	text := fmt.Sprintf(" %s", id)
	format, ok := known(id)
	if !ok || code != edition.readFunction() || f.Control&more != 0 {
		return fmt.Sprintf("%s: % X", text, f.Data[n:])
	}
	value, err := format.Value(f.Data[n:])
	if err != nil {
		return text + ": " + err.Error()
	}
	return text + " = " + value.String()
}
