package sml

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Code names a value: six numbers, A-B:C.D.E*F. It is written like that, as C.D.E for the present
// value of whichever channel, or as twelve hex digits.
type Code struct {
	text       string // as the configuration has it; empty: from a meter
	obis       [6]byte
	anyChannel bool // A and B were left out
	known      bool
}

// UnmarshalText takes a code in any of the spellings.
func (c *Code) UnmarshalText(text []byte) error {
	code, ok := parseCode(string(text))
	if !ok {
		return fmt.Errorf("%q is not an OBIS code: write 1-0:1.8.0*255, 1.8.0 or 0100010800FF", text)
	}
	*c = code
	return nil
}

// String gives the code as the configuration has it, or else in full.
func (c Code) String() string {
	if c.text != "" {
		return c.text
	}
	o := c.obis
	return fmt.Sprintf("%d-%d:%d.%d.%d*%d", o[0], o[1], o[2], o[3], o[4], o[5])
}

func parseCode(text string) (Code, bool) {
	c := Code{text: text, known: true}
	if b, err := hex.DecodeString(text); err == nil && len(b) == 6 {
		return Code{text: text, known: true, obis: [6]byte(b)}, true
	}
	channel, rest, has := strings.Cut(text, ":")
	if !has {
		c.anyChannel, channel, rest = true, "0-0", text
	}
	// The last group may stand behind a star, or as many write it, a dot.
	main, last, hasLast := strings.Cut(rest, "*")
	parts := strings.Split(main, ".")
	if len(parts) == 4 && !hasLast {
		last, parts = parts[3], parts[:3]
	} else if !hasLast {
		last = "255"
	}
	a, b, two := strings.Cut(channel, "-")
	if !two || len(parts) != 3 {
		return Code{}, false
	}
	for i, part := range []string{a, b, parts[0], parts[1], parts[2], last} {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return Code{}, false
		}
		c.obis[i] = byte(n)
	}
	return c, true
}

// asks says whether a point with code c means the entry other.
func (c Code) asks(other Code) bool {
	if c.anyChannel {
		return [4]byte(c.obis[2:]) == [4]byte(other.obis[2:])
	}
	return c.obis == other.obis
}

// find gives the entry that the point's code asks for. When several channels have it, one must be
// named.
func find(entries []Entry, code Code) (Entry, error) {
	var found *Entry
	for i := range entries {
		switch e := &entries[i]; {
		case !code.asks(e.Code):
		case found != nil:
			return Entry{}, fmt.Errorf("the meter sent both %s and %s: write the whole code", found.Code, e.Code)
		default:
			found = e
		}
	}
	if found == nil {
		return Entry{}, missing(entries, code)
	}
	return *found, nil
}

func missing(entries []Entry, code Code) error {
	if len(entries) == 0 {
		return fmt.Errorf("the meter sent no values, so no %s", code)
	}
	var all []string
	for _, e := range entries {
		if len(all) < 8 {
			all = append(all, e.Code.String())
		}
	}
	hint := ""
	if code.obis[3] == 7 {
		hint = "; many meters tell momentary values only after their PIN was entered"
	}
	return fmt.Errorf("the meter's %d values have no %s, but %s%s", len(entries), code, strings.Join(all, ", "), hint)
}
