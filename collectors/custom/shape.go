package custom

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sluice/collectors/bus"
)

const maxAnswer = 4096

// shape says which of the bytes on the line are the answer.
type shape struct {
	start      []byte // what it begins with; what comes before is passed over
	length     int    // all of it; 0: something else ends it
	lengthAt   int    // where a byte says how long it is; -1: none does
	lengthAdd  int
	terminator []byte
	trailer    int  // bytes behind the terminator
	silence    bool // a pause ends it
	match      *matcher
	seal       seal
}

// listener picks the answer from what is heard. Whatever is not the answer is passed over, and
// remembered in case the answer never comes.
type listener struct {
	*shape
	used  int // of the bytes received, how many are dealt with
	frame []byte
	odd   string
	fault bus.Fault // that odd is, or what there is of an answer
}

// hear is a bus.FrameReader.
func (l *listener) hear(received []byte) ([]byte, bool) {
	if l.silence {
		return nil, false
	}
	for l.used < len(received) {
		rest := received[l.used:]
		skip := 0
		if len(l.start) > 0 {
			if skip = bytes.Index(rest, l.start); skip < 0 {
				return nil, false
			}
		}
		l.used += skip
		rest = rest[skip:]
		n, whole := l.measure(rest)
		if !whole {
			return nil, false
		}
		if l.settle(rest[:n]) {
			l.used += n
			return rest[:n], true // itself, not a copy: what is behind it is for the next who listens
		}
		l.used += l.stride(n)
	}
	return nil, false
}

// stride is how far to go on behind bytes that were not the answer. A terminator is a landmark;
// without one the answer may begin at the very next byte.
func (l *listener) stride(n int) int {
	if len(l.terminator) > 0 && len(l.start) == 0 {
		return n
	}
	return 1
}

// settle says whether frame is the answer, and remembers why it is not.
func (l *listener) settle(frame []byte) bool {
	if problem := l.seal.check(frame); problem != "" {
		l.fault, l.odd = bus.Damaged, problem
		return false
	}
	if l.match != nil && !l.match.matches(frame) {
		l.fault, l.odd = bus.Unrelated, fmt.Sprintf("the answer %s does not match %s", clip(frame), l.match.text)
		return false
	}
	l.frame = bytes.Clone(frame)
	return true
}

// pause is a bus.FrameReader for an answer that only a pause can end.
func (l *listener) pause(received []byte) ([]byte, bool) {
	if !l.silence || len(received) == 0 {
		return nil, false
	}
	skip := 0
	if len(l.start) > 0 {
		if skip = bytes.Index(received, l.start); skip < 0 {
			return nil, false
		}
	}
	l.used = len(received)
	return received[skip:], l.settle(received[skip:])
}

// measure says how long the answer is that b begins with, and whether all of it is there.
func (s *shape) measure(b []byte) (n int, whole bool) {
	switch {
	case s.length > 0:
		return s.length, len(b) >= s.length
	case s.lengthAt >= 0:
		if len(b) <= s.lengthAt {
			return 0, false
		}
		n := max(int(b[s.lengthAt])+s.lengthAdd, s.lengthAt+1)
		return n, len(b) >= n
	}
	at := bytes.Index(b, s.terminator)
	n = at + len(s.terminator) + s.trailer
	return n, at >= 0 && len(b) >= n
}

// why says what came instead of the answer, in the end; empty: nothing did.
func (l *listener) why(received []byte) string {
	rest := received[min(l.used, len(received)):]
	switch {
	case l.odd != "":
		return l.odd
	case len(rest) == 0:
		return ""
	case len(l.start) > 0 && !bytes.Contains(rest, l.start):
		return fmt.Sprintf("%s came, which does not have %s in it", clip(rest), show(l.start))
	}
	return fmt.Sprintf("%s came, which is not all of an answer", clip(rest))
}

func clip(b []byte) string {
	if len(b) > 24 {
		return show(b[:24]) + "…"
	}
	return show(b)
}

// matcher is a condition on an answer: a regular expression, or bytes with gaps.
type matcher struct {
	text   string
	regexp *regexp.Regexp
	bytes  []byte
	mask   []bool // which of bytes count
}

// newMatcher reads hex:02 ?? 41, which the answer must begin with, or a regular expression.
func newMatcher(text string) (*matcher, error) {
	digits, ok := strings.CutPrefix(text, "hex:")
	if !ok {
		r, err := regexp.Compile(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a regular expression: %s", text, plain(err))
		}
		return &matcher{text: text, regexp: r}, nil
	}
	m := &matcher{text: text}
	digits = hexSpaces.Replace(digits)
	if len(digits)%2 != 0 || digits == "" {
		return nil, fmt.Errorf("%q is not a row of hexadecimal bytes with ?? for any", text)
	}
	for i := 0; i < len(digits); i += 2 {
		if digits[i:i+2] == "??" {
			m.bytes, m.mask = append(m.bytes, 0), append(m.mask, false)
			continue
		}
		code, err := strconv.ParseUint(digits[i:i+2], 16, 8)
		if err != nil {
			return nil, fmt.Errorf("%q is not a row of hexadecimal bytes with ?? for any", text)
		}
		m.bytes, m.mask = append(m.bytes, byte(code)), append(m.mask, true)
	}
	return m, nil
}

// plain drops what regexp puts before its reason.
func plain(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}

func (m *matcher) matches(frame []byte) bool {
	if m.regexp != nil {
		return m.regexp.Match(frame)
	}
	if len(frame) < len(m.bytes) {
		return false
	}
	for i, counts := range m.mask {
		if counts && frame[i] != m.bytes[i] {
			return false
		}
	}
	return true
}

// captures gives what the parentheses of the expression caught.
func (m *matcher) captures(frame []byte) []string {
	if m == nil || m.regexp == nil {
		return nil
	}
	var caught []string
	for _, group := range m.regexp.FindSubmatch(frame) {
		caught = append(caught, latin(group))
	}
	return caught
}

// latin makes text of bytes whatever they are, one sign a byte.
func latin(b []byte) string {
	signs := make([]rune, len(b))
	for i, c := range b {
		signs[i] = rune(c)
	}
	return string(signs)
}

var errNoEnd = errors.New("say how the answer ends: length, length_at, terminator, or gap")
