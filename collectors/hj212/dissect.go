package hj212

import (
	"fmt"

	"sluice/collectors/bus"
	wire "sluice/gateway/hj212"
)

// Dissect puts a packet into one line for people.
func Dissect(_ bus.Direction, frame []byte) (summary string, ok bool) {
	p, err := wire.Decode(frame)
	if err != nil {
		return "", false
	}
	pairs, err := wire.Pairs(p.Data)
	if err != nil {
		return "", false
	}
	return clean(describe(&p, pairs)), true
}

func describe(p *wire.Packet, pairs []wire.Pair) string {
	of := " of logger " + p.MN
	if p.PNUM > 1 {
		of += fmt.Sprintf(", packet %d of %d", p.PNO, p.PNUM)
	}
	if period, ok := periods[p.CN]; ok {
		if from := wire.Value(pairs, "BeginTime"); from != "" {
			return fmt.Sprintf("request for %s reports%s from %s to %s", period, of, from, wire.Value(pairs, "EndTime"))
		}
		codes := map[string]bool{}
		for _, pair := range pairs {
			if pair.Code != "" {
				codes[pair.Code] = true
			}
		}
		return fmt.Sprintf("%s report%s: %d factors at %s", period, of, len(codes), wire.Value(pairs, dataTimeKey))
	}
	switch p.CN {
	case wire.Accepted:
		return "request" + of + " answered: " + wire.RequestAnswer(wire.Value(pairs, "QnRtn"))
	case wire.Result:
		return "request" + of + " ended: " + wire.ExecutionResult(wire.Value(pairs, "ExeRtn"))
	case wire.DataAck:
		return "report" + of + " acknowledged"
	case wire.NoticeAck:
		return "notice" + of + " acknowledged"
	case wire.GetClock:
		if text := wire.Value(pairs, "SystemTime"); text != "" {
			return "clock" + of + " says " + text
		}
		return "clock" + of + " is asked for"
	case wire.SetClock:
		return "clock" + of + " is set to " + wire.Value(pairs, "SystemTime")
	case wire.ClockNotice:
		return "logger " + p.MN + " asks for the time"
	}
	return "command " + p.CN + of
}
