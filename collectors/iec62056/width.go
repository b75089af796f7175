package iec62056

import "fmt"

// widths remembers how long a meter's messages are. Meters write their numbers with all their noughts,
// so that a message is always as long as the one before. It guards against what a block check cannot
// see: two characters of the same kind that got lost, which cancel each other out and leave a number
// two digits short. A message of another length is believed when the next one has it too.
type widths map[string]width

type width struct{ length, doubt int }

// believe says whether a message of n characters counts. An unchecked one, whose every lost character
// goes unnoticed, needs a second one from the beginning.
func (w widths) believe(kind string, n int, checked bool) error {
	known := w[kind]
	if n == known.length || n == known.doubt || known.length == 0 && checked {
		w[kind] = width{length: n}
		return nil
	}
	w[kind] = width{length: known.length, doubt: n}
	if known.length == 0 {
		return fmt.Errorf("%w, perhaps: it has no checksum, and no second one was heard to compare it with", errDamaged)
	}
	return fmt.Errorf("%w, perhaps: it has %d characters where the one before had %d", errDamaged, n, known.length)
}
