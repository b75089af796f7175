package config

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPacketBytes bounds what a DTU says of its own accord.
const maxPacketBytes = 64

// Packet is bytes that are written as they stand, if they are text, or as hex:0A0B. In hexadecimal
// blanks between bytes are allowed.
type Packet string

const hexPrefix = "hex:"

// UnmarshalText reads the written form.
func (p *Packet) UnmarshalText(text []byte) error {
	raw := string(text)
	if digits, ok := strings.CutPrefix(raw, hexPrefix); ok {
		bytes, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil || len(bytes) == 0 {
			return fmt.Errorf("%q is not hex: and pairs of hexadecimal digits, such as hex:0A0B", clip(raw))
		}
		raw = string(bytes)
	}
	if len(raw) > maxPacketBytes {
		return fmt.Errorf("%d bytes are too many; at most %d", len(raw), maxPacketBytes)
	}
	*p = Packet(raw)
	return nil
}

// MarshalText gives the written form.
func (p Packet) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// String gives text as it stands, and what cannot be written so as hex:0A0B.
func (p Packet) String() string {
	plain := utf8.ValidString(string(p)) && !strings.HasPrefix(string(p), hexPrefix) &&
		!strings.ContainsFunc(string(p), func(r rune) bool { return !unicode.IsPrint(r) })
	if plain {
		return string(p)
	}
	return hexPrefix + strings.ToUpper(hex.EncodeToString([]byte(p)))
}
