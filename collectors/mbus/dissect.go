package mbus

import (
	"fmt"
	"strings"

	"sluice/collectors/bus"
)

// Dissect says in a line what a frame is, for the bus monitor. ok is false for what is none.
func Dissect(dir bus.Direction, frame []byte) (summary string, ok bool) {
	f, err := Decode(frame)
	if err != nil {
		return "", false
	}
	if f.Kind == Ack {
		return "acknowledged", true
	}
	if f.Control&fromMaster == 0 {
		if f.Kind != Long {
			return fmt.Sprintf("answer %02X from %s", f.Control, station(f.Address)), true
		}
		return dissectAnswer(f), true
	}
	if f.Kind == Short {
		return dissectShort(f), true
	}
	return dissectLong(f), true
}

func station(address byte) string {
	switch address {
	case addressNetwork:
		return "the selected meter"
	case addressTest:
		return "any meter"
	case addressBroadcast:
		return "all meters"
	}
	return fmt.Sprintf("meter %d", address)
}

func dissectShort(f Frame) string {
	bit := f.Control >> 5 & 1
	switch f.Control &^ fcbBit {
	case sndNKE:
		return "reset the link of " + station(f.Address)
	case reqUD2:
		return fmt.Sprintf("ask %s for data (FCB %d)", station(f.Address), bit)
	case reqUD2 &^ 1:
		return fmt.Sprintf("ask %s for urgent data (FCB %d)", station(f.Address), bit)
	}
	return fmt.Sprintf("request %02X to %s", f.Control, station(f.Address))
}

func dissectLong(f Frame) string {
	switch {
	case f.Info == ciSelect && len(f.Data) >= 8:
		return "select meter " + identityFrom(f.Data).String()
	case f.Info == ciReset:
		return fmt.Sprintf("reset the application of %s % X", station(f.Address), f.Data)
	case f.Info == ciSendData && len(f.Data) == 3 && f.Data[0] == 0x01 && f.Data[1] == 0x7A:
		return fmt.Sprintf("give %s the number %d", station(f.Address), f.Data[2])
	case f.Info >= ciSetBaud && f.Info <= ciSetBaud+7:
		return fmt.Sprintf("switch %s to %d bit/s", station(f.Address), 300<<(f.Info-ciSetBaud))
	}
	return fmt.Sprintf("%d bytes to %s (CI %02X)", len(f.Data), station(f.Address), f.Info)
}

func dissectAnswer(f Frame) string {
	from := station(f.Address)
	t, err := DecodeTelegram(f.Info, f.Data)
	if err != nil {
		return from + ": " + err.Error()
	}
	if t.Header.Named {
		from += fmt.Sprintf(" (%s, %s)", t.Header.Identity, mediumName(t.Header.Medium))
	}
	from += fmt.Sprintf(": %d records", len(t.Records))
	if t.More {
		from += ", more follow"
	}
	if words := status(t.Header.Status); len(words) > 0 {
		from += ", " + strings.Join(words, ", ")
	}
	return from
}
