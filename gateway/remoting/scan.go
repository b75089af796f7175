package remoting

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values that are passed over.
const maxDepth = 32

// scanner walks over JSON as fastjson writes it: names need no quotes and strings may hold control
// characters as they are. Strings are unescaped where they lie, so the bytes must be its own.
type scanner struct {
	b  []byte
	at int
}

// span is a piece of a scanner's bytes.
type span struct{ from, to int }

func (s *scanner) wrong(what string) error {
	return fmt.Errorf("%w: %s at byte %d of the JSON text", ErrFrame, what, s.at)
}

// peek is the next byte that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.b) {
		c := s.b[s.at]
		if c > ' ' || c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
		s.at++
	}
	return 0
}

// take passes over c, which must come next.
func (s *scanner) take(c byte) error {
	if s.peek() != c {
		return s.wrong("no '" + string(rune(c)) + "'")
	}
	s.at++
	return nil
}

// members calls each before every name or element of an object or array that ends with last.
func (s *scanner) members(last byte, each func() error) error {
	s.at++
	if s.peek() == last {
		s.at++
		return nil
	}
	for {
		if err := each(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.at++
		case last:
			s.at++
			return nil
		default:
			return s.wrong("no ',' after a value")
		}
	}
}

// name reads the name of a member and the colon behind it.
func (s *scanner) name() (n span, err error) {
	if s.peek() == '"' {
		n, err = s.text()
	} else {
		n, err = s.word()
	}
	if err != nil {
		return n, err
	}
	return n, s.take(':')
}

// word reads a bare name, number or literal.
func (s *scanner) word() (span, error) {
	start := s.at
	for s.at < len(s.b) {
		c := s.b[s.at]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && c != '_' && c != '-' && c != '+' && c != '.' && c != '$' {
				break
			}
		}
		s.at++
	}
	if s.at == start {
		return span{}, s.wrong("no value")
	}
	return span{start, s.at}, nil
}

// text reads a quoted string; the span is what it means, unescaped.
func (s *scanner) text() (span, error) {
	start := s.at + 1
	i := s.run(start)
	if i < len(s.b) && s.b[i] == '"' {
		s.at = i + 1
		return span{start, i}, nil
	}
	return s.escaped(start, i)
}

// escaped reads the rest of a string that has its first escape at i. No escape is shorter than what
// it stands for, so the result fits where the string lies.
func (s *scanner) escaped(start, i int) (span, error) {
	to := i
	for i < len(s.b) {
		if s.b[i] == '"' {
			s.at = i + 1
			return span{start, to}, nil
		}
		r, size := escape(s.b[i:])
		if size == 0 {
			s.at = i
			return span{}, s.wrong("unknown escape")
		}
		to += utf8.EncodeRune(s.b[to:to+utf8.RuneLen(r)], r)
		i += size
		end := s.run(i)
		to += copy(s.b[to:], s.b[i:end])
		i = end
	}
	return span{}, s.wrong("string without an end")
}

// run is where the bytes that stand for themselves end, from i on: at a quote, a backslash or the end.
func (s *scanner) run(i int) int {
	for n, c := range s.b[i:] {
		if c == '"' || c == '\\' {
			return i + n
		}
	}
	return len(s.b)
}

// escape is the character that the escape at the start of b means, and its size; 0 when it is none.
func escape(b []byte) (r rune, size int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch c := b[1]; c {
	case '"', '\\', '/', '\'':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'v': // fastjson of old writes U+000B so
		return '\v', 2
	case 'u':
		r, ok := unit(b)
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if low, ok := unit(b[6:]); ok {
			if whole := utf16.DecodeRune(r, low); whole != utf8.RuneError {
				return whole, 12
			}
		}
		return utf8.RuneError, 6
	}
	return 0, 0
}

// unit is the UTF-16 unit that b spells as \u and four digits.
func unit(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		digit := hexDigit(c)
		if digit < 0 {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	return r, true
}

// hexDigit is the value of a hexadecimal digit of either case, below 0 when c is none.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// scalar reads a string, or a number or literal as the text that it is; null is reported apart.
func (s *scanner) scalar() (v span, null bool, err error) {
	if s.peek() == '"' {
		v, err = s.text()
		return v, false, err
	}
	v, err = s.word()
	return v, err == nil && string(s.b[v.from:v.to]) == "null", err
}

// skip passes over a value of any kind.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return s.wrong("too deeply nested")
	}
	switch s.peek() {
	case '{':
		return s.members('}', func() error {
			if s.peek() == '{' { // fastjson's objects as names
				if err := s.skip(depth + 1); err != nil {
					return err
				}
				if err := s.take(':'); err != nil {
					return err
				}
			} else if _, err := s.name(); err != nil {
				return err
			}
			return s.skip(depth + 1)
		})
	case '[':
		return s.members(']', func() error { return s.skip(depth + 1) })
	case '"':
		return s.skipText()
	}
	_, err := s.word()
	return err
}

// skipText passes over a string and leaves its bytes as they are.
func (s *scanner) skipText() error {
	for i := s.at + 1; i < len(s.b); i++ {
		switch s.b[i] {
		case '"':
			s.at = i + 1
			return nil
		case '\\':
			i++
		}
	}
	return s.wrong("string without an end")
}

// end makes sure that nothing follows.
func (s *scanner) end() error {
	if s.peek(); s.at != len(s.b) {
		return s.wrong("something after the end")
	}
	return nil
}
