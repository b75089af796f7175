package hj212

import (
	"fmt"
	"strings"
	"time"
)

const layout = "20060102150405"

// FormatTime gives a moment as DataTime has it, in the zone that t is in.
func FormatTime(t time.Time) string { return t.Format(layout) }

// FormatQN gives a moment to the millisecond, in the zone that t is in.
func FormatQN(t time.Time) string {
	return fmt.Sprintf("%s%03d", t.Format(layout), t.Nanosecond()/1e6)
}

// ParseTime reads a moment in a zone: 14 digits, or 17 with milliseconds.
func ParseTime(text string, zone *time.Location) (time.Time, error) {
	var fraction int
	switch len(text) {
	case len(layout):
	case len(layout) + 3:
		for _, c := range []byte(text[len(layout):]) {
			if c < '0' || c > '9' {
				return time.Time{}, noTime(text)
			}
			fraction = fraction*10 + int(c-'0')
		}
	default:
		return time.Time{}, noTime(text)
	}
	t, err := time.ParseInLocation(layout, text[:len(layout)], zone)
	if err != nil {
		return time.Time{}, noTime(text)
	}
	return t.Add(time.Duration(fraction) * time.Millisecond), nil
}

func noTime(text string) error {
	return fmt.Errorf("%.20q is no moment of the form yyyyMMddHHmmss", text)
}

// Zone gives the zone of that name: Asia/Shanghai, which needs no table of zones, another name from
// the system's table, or a distance from UTC such as +08:00.
func Zone(name string) (*time.Location, error) {
	if name == "" || name == "Asia/Shanghai" {
		return time.FixedZone("Asia/Shanghai", 8*3600), nil // without the summer times of 1986 to 1991
	}
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		t, err := time.Parse("-07:00", name)
		if err != nil {
			return nil, fmt.Errorf("%q is no distance from UTC such as +08:00", name)
		}
		_, seconds := t.Zone()
		return time.FixedZone(name, seconds), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone that this system knows; write Asia/Shanghai or +08:00", name)
	}
	return zone, nil
}
