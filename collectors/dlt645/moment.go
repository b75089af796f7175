package dlt645

import (
	"fmt"
	"strings"

	"sluice/gateway/message"
)

// moment reads date and time together, the highest byte first: YYMMDDhhmm is 2026-11-22T12:00.
func (f Format) moment(data []byte) (message.Value, error) {
	var date, clock []string
	for i, c := range data {
		switch part := f.text[2*i : 2*i+2]; {
		case part == "WW": // the day of the week follows from the date
		case !momentFits(part, c):
			return message.Value{}, fmt.Errorf("the meter sent % X, which is no %s", data, f)
		case part == "YY":
			date = append(date, fmt.Sprintf("20%02x", c))
		case part == "MM" || part == "DD":
			date = append(date, fmt.Sprintf("%02x", c))
		default:
			clock = append(clock, fmt.Sprintf("%02x", c))
		}
	}
	text := strings.Join(clock, ":")
	if len(date) > 0 {
		text = strings.Join(date, "-") + "T" + text
	}
	return message.Text(text), nil
}

func momentFits(part string, c byte) bool {
	switch part {
	case "MM":
		return c >= 0x01 && c <= 0x12
	case "DD":
		return c >= 0x01 && c <= 0x31
	case "hh":
		return c <= 0x23
	case "mm", "ss":
		return c <= 0x59
	}
	return true
}
