package custom

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Bytes are what goes over the wire, written as text with escapes (W\r\n, \x02) or in hexadecimal
// after hex: (hex:02 30 31 03).
type Bytes string

// UnmarshalText reads either form.
func (b *Bytes) UnmarshalText(text []byte) error {
	raw, err := parseBytes(string(text))
	if err != nil {
		return err
	}
	*b = Bytes(raw)
	return nil
}

// String gives text that is printable as it is, and anything else in hexadecimal.
func (b Bytes) String() string { return show([]byte(b)) }

func show(b []byte) string {
	text := strconv.QuoteToASCII(string(b))
	text = strings.ReplaceAll(text[1:len(text)-1], `\"`, `"`)
	if !printable(b) {
		return fmt.Sprintf("hex:% X", b)
	}
	return text
}

// printable says whether b is text for people: ASCII with line ends and tabs.
func printable(b []byte) bool {
	for _, c := range b {
		if (c < 0x20 || c > 0x7E) && c != '\r' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

func parseBytes(text string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		return parseHex(digits)
	}
	return unescape(text)
}

var hexSpaces = strings.NewReplacer(" ", "", ":", "", "-", "", "\t", "", "\n", "")

func parseHex(digits string) ([]byte, error) {
	b, err := hex.DecodeString(hexSpaces.Replace(digits))
	if err != nil {
		return nil, fmt.Errorf("%q is not a row of hexadecimal bytes such as 02 1F 03", digits)
	}
	return b, nil
}

var escapes = map[byte]byte{'r': '\r', 'n': '\n', 't': '\t', '0': 0, '\\': '\\', '{': '{', '}': '}', '"': '"', '\'': '\''}

func unescape(text string) ([]byte, error) {
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b = append(b, text[i])
			continue
		}
		i++
		if i == len(text) {
			return nil, fmt.Errorf("%q ends in a lone \\; write \\\\ for the sign itself", text)
		}
		if c, ok := escapes[text[i]]; ok {
			b = append(b, c)
			continue
		}
		if text[i] != 'x' || i+2 >= len(text) {
			return nil, fmt.Errorf("%q has the escape \\%c, which means nothing here; there are \\r \\n \\t \\0 \\x02 and \\\\", text, text[i])
		}
		code, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
		if err != nil {
			return nil, fmt.Errorf("%q has \\x without two hexadecimal digits", text)
		}
		b = append(b, byte(code))
		i += 2
	}
	return b, nil
}
