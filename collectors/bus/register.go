package bus

import "bytes"

// registered tells by what a DTU has sent so far which of the patterns it is registered under. The
// bytes behind the pattern are data already. undecided: more bytes are needed.
func registered(patterns [][]byte, sent []byte) (which int, rest []byte, undecided bool) {
	for i, pattern := range patterns {
		if bytes.HasPrefix(sent, pattern) {
			return i, sent[len(pattern):], false // no other can match: none begins with another
		}
		undecided = undecided || bytes.HasPrefix(pattern, sent)
	}
	return -1, nil, undecided
}

// clash says whether two lines at one address could not tell their DTUs apart.
func clash(a, b []byte) bool {
	return bytes.HasPrefix(a, b) || bytes.HasPrefix(b, a)
}
