package mbus

import (
	"fmt"
	"strconv"
	"strings"
)

// Identity is what a meter calls itself: the secondary address. In a request every part may be a
// wildcard.
type Identity struct {
	ID      uint32 // eight digits, four bits each; F is any digit
	Maker   uint16 // three letters, five bits each; FFFF is any
	Version byte   // FF is any
	Medium  byte   // FF is any
}

const (
	anyID    = 0xFFFFFFFF
	anyMaker = 0xFFFF
	anyByte  = 0xFF
)

// everyone is the identity that all meters have.
func everyone() Identity {
	return Identity{ID: anyID, Maker: anyMaker, Version: anyByte, Medium: anyByte}
}

// String gives 11490378.ACW.14.22, with an asterisk for what may be anything. Parts at the end that
// may be anything are left out.
func (s Identity) String() string {
	parts := []string{fmt.Sprintf("%08X", s.ID), maker(s.Maker), "*", "*"}
	if s.Maker == anyMaker {
		parts[1] = "*"
	}
	if s.Version != anyByte {
		parts[2] = strconv.Itoa(int(s.Version))
	}
	if s.Medium != anyByte {
		parts[3] = strconv.Itoa(int(s.Medium))
	}
	for len(parts) > 1 && parts[len(parts)-1] == "*" {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, ".")
}

// wire gives the eight bytes that a meter is selected with, and that begin its own header.
func (s Identity) wire() []byte {
	return []byte{byte(s.ID), byte(s.ID >> 8), byte(s.ID >> 16), byte(s.ID >> 24), byte(s.Maker), byte(s.Maker >> 8), s.Version, s.Medium}
}

func identityFrom(b []byte) Identity {
	return Identity{
		ID:    uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24,
		Maker: uint16(b[4]) | uint16(b[5])<<8, Version: b[6], Medium: b[7],
	}
}

// matches says whether the meter other is one of those that s means.
func (s Identity) matches(other Identity) bool {
	for shift := 0; shift < 32; shift += 4 {
		if digit := s.ID >> shift & 0xF; digit != 0xF && digit != other.ID>>shift&0xF {
			return false
		}
	}
	return (s.Maker == anyMaker || s.Maker == other.Maker) &&
		(s.Version == anyByte || s.Version == other.Version) &&
		(s.Medium == anyByte || s.Medium == other.Medium)
}

// maker gives the three letters that FLAG gave a manufacturer. The top bit is no letter's: some
// meters set it to say that their address is theirs alone within their maker's only.
func maker(code uint16) string {
	letters := []byte{'@' + byte(code>>10&0x1F), '@' + byte(code>>5&0x1F), '@' + byte(code&0x1F)}
	return string(letters)
}

func makerCode(letters string) (uint16, bool) {
	if len(letters) != 3 {
		return 0, false
	}
	var code uint16
	for _, c := range []byte(strings.ToUpper(letters)) {
		if c < 'A' || c > 'Z' {
			return 0, false
		}
		code = code<<5 | uint16(c-'@')
	}
	return code, true
}

// Address says which meter on the line is meant: by its number on the line, or by its identity.
type Address struct {
	secondary bool
	given     bool
	primary   byte
	identity  Identity
}

// Primary is the address of a meter by its number on the line.
func Primary(number byte) Address { return Address{given: true, primary: number} }

// Secondary is the address of a meter by its identity.
func Secondary(identity Identity) Address {
	return Address{given: true, secondary: true, primary: addressNetwork, identity: identity}
}

// UnmarshalText takes 0 to 250, eight digits with F for any, the same followed by maker, version and
// medium (11490378.ACW.14.22), or the sixteen hex digits that other programs write.
func (a *Address) UnmarshalText(text []byte) error {
	s := string(text)
	if len(s) <= 3 {
		n, err := strconv.ParseUint(s, 10, 8)
		if err != nil || n > maxPrimary {
			return fmt.Errorf("%q is not the number of a meter on the line, 0 to %d", s, maxPrimary)
		}
		*a = Primary(byte(n))
		return nil
	}
	identity, ok := parseIdentity(s)
	if !ok {
		return fmt.Errorf("%q is not the address of a meter: write 0 to %d, or the eight digits of its number, if need be with maker, version and medium as in 11490378.ACW.14.22", s, maxPrimary)
	}
	*a = Secondary(identity)
	return nil
}

// String gives the address as UnmarshalText takes it.
func (a Address) String() string {
	if a.secondary {
		return a.identity.String()
	}
	return strconv.Itoa(int(a.primary))
}

func parseIdentity(s string) (Identity, bool) {
	if len(s) == 16 {
		return parsePlainIdentity(s)
	}
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return Identity{}, false
	}
	identity := everyone()
	var ok bool
	if identity.ID, ok = parseDigits(parts[0]); !ok {
		return Identity{}, false
	}
	if len(parts) > 1 && parts[1] != "*" {
		if identity.Maker, ok = makerCode(parts[1]); !ok {
			return Identity{}, false
		}
	}
	for i, into := range []*byte{&identity.Version, &identity.Medium} {
		if len(parts) <= 2+i || parts[2+i] == "*" {
			continue
		}
		n, err := strconv.ParseUint(parts[2+i], 10, 8)
		if err != nil || n == anyByte {
			return Identity{}, false
		}
		*into = byte(n)
	}
	return identity, true
}

// parsePlainIdentity takes the form of libmbus: number, maker with its low byte first, version, medium.
func parsePlainIdentity(s string) (Identity, bool) {
	id, ok := parseDigits(s[:8])
	rest, err := strconv.ParseUint(s[8:], 16, 32)
	if !ok || err != nil {
		return Identity{}, false
	}
	return Identity{
		ID: id, Maker: uint16(rest>>24) | uint16(rest>>16&0xFF)<<8,
		Version: byte(rest >> 8), Medium: byte(rest),
	}, true
}

// parseDigits takes eight digits of which each may be F.
func parseDigits(s string) (uint32, bool) {
	if len(s) != 8 {
		return 0, false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && c != 'F' && c != 'f' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 16, 32)
	return uint32(n), err == nil
}
