package cjt188

import (
	"fmt"

	"sluice/collectors/bus"
)

// Dissect says in one line what a frame means, for the bus monitor. ok is false when it is no frame
// of CJ/T 188.
func Dissect(dir bus.Direction, frame []byte) (summary string, ok bool) {
	f, _, ok := Locate(frame)
	if !ok {
		return "", false
	}
	who := fmt.Sprintf("%s meter %s", typeName(f.Type), f.Meter)
	if f.Type == wildcard {
		who = fmt.Sprintf("meter %s", f.Meter)
	}
	what := fmt.Sprintf("function %02X", f.Control&function)
	switch f.Control & function {
	case readData:
		what = "read"
	case readAddress:
		what = "read address"
	case writeData:
		what = "write"
	}
	if f.Control&fromMeter == 0 {
		if len(f.Data) >= 3 {
			return fmt.Sprintf("%s %X of %s%s", what, f.Data[:2], who, rest(f.Data[3:])), true
		}
		return fmt.Sprintf("%s of %s", what, who), true
	}
	switch {
	case f.Control&refused != 0:
		return fmt.Sprintf("%s refuses to %s%s", who, what, rest(f.Data)), true
	case f.Control&function == readAddress:
		return "here is " + who, true
	case len(f.Data) >= 3:
		return fmt.Sprintf("%s answers %X%s", who, f.Data[:2], rest(f.Data[3:])), true
	}
	return fmt.Sprintf("%s answers%s", who, rest(f.Data)), true
}

func rest(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	return fmt.Sprintf(": % X", data)
}
