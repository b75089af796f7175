package iec62056

import (
	"fmt"
	"strconv"
	"strings"
)

const maxCode = 64 // characters; the standard has 16

// Code names a register: an OBIS code in any of its spellings, such as 1.8.0, 1-0:1.8.0*255 or
// 1.8.0*01 for the first stored value, or whatever else a maker calls a register.
type Code struct {
	text   string
	groups groups
	obis   bool // groups holds what text says
}

// groups are the parts of an OBIS code A-B:C.D.E*F; what a short spelling leaves out is empty.
type groups struct{ channel, c, d, e, f string }

// UnmarshalText takes a code in the spelling of the configuration.
func (c *Code) UnmarshalText(text []byte) error {
	code, err := parseCode(string(text))
	if err != nil {
		return err
	}
	*c = code
	return nil
}

// String gives the code as it was written.
func (c Code) String() string { return c.text }

func parseCode(text string) (Code, error) {
	if text == "" || len(text) > maxCode {
		return Code{}, fmt.Errorf("%q is not a register's code such as 1.8.0 or 1-0:1.8.0*255", text)
	}
	for _, b := range []byte(text) {
		if b <= 0x20 || b > 0x7E || strings.IndexByte("()!", b) >= 0 {
			return Code{}, fmt.Errorf("%q is not a register's code: it holds %q", text, b)
		}
	}
	g, ok := parseGroups(text)
	return Code{text: text, groups: g, obis: ok}, nil
}

// letters are what IEC 62056-61 writes for four numbers: C.1.0 is 96.1.0.
var letters = map[string]string{"C": "96", "F": "97", "L": "98", "P": "99"}

// parseGroups takes [A-B:]C.D[.E][*F]. The & of a stored value that somebody stored by hand counts
// as *.
func parseGroups(text string) (g groups, ok bool) {
	rest := text
	if channel, after, has := strings.Cut(text, ":"); has {
		a, b, two := strings.Cut(channel, "-")
		if a, b = group(a), group(b); !two || a == "" || b == "" {
			return groups{}, false
		}
		g.channel, rest = group(a)+"-"+group(b), after
	}
	if i := strings.IndexAny(rest, "*&"); i >= 0 {
		if g.f = group(rest[i+1:]); g.f == "" {
			return groups{}, false
		}
		rest = rest[:i]
	}
	parts := strings.Split(rest, ".")
	if len(parts) != 2 && len(parts) != 3 {
		return groups{}, false
	}
	for i, p := range parts {
		if parts[i] = group(p); parts[i] == "" {
			return groups{}, false
		}
		if n, ok := letters[parts[i]]; ok {
			parts[i] = n
		}
	}
	g.c, g.d = parts[0], parts[1]
	if len(parts) == 3 {
		g.e = parts[2]
	}
	return g, true
}

// group gives one part of a code in its only form: 08 is 8, f is F.
func group(text string) string {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return strconv.FormatUint(n, 10)
	}
	if len(text) == 1 && letter(text[0]) {
		return strings.ToUpper(text)
	}
	return ""
}

// asks says whether a point with code c means the register that the meter calls other. A point
// that leaves out the channel takes it from any; one that leaves out the last group means the
// present value, which meters write with *255 or without.
func (c Code) asks(other Code) bool {
	if !c.obis || !other.obis {
		return c.text == other.text
	}
	want, have := c.groups, other.groups
	return (want.channel == "" || have.channel == "" || want.channel == have.channel) &&
		want.c == have.c && want.d == have.d && want.e == have.e && present(want.f) == present(have.f)
}

func present(f string) string {
	if f == "" {
		return "255"
	}
	return f
}

// resembles says whether two codes are about the same quantity, for a hint.
func (c Code) resembles(other Code) bool {
	return c.obis && other.obis && c.groups.c == other.groups.c && c.groups.d == other.groups.d
}
