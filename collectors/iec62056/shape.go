package iec62056

import (
	"fmt"
	"hash/fnv"
)

// shapes remembers the form of a meter's messages: how long they are and where their signs stand.
// Meters write their numbers with all their noughts, so that it hardly ever changes. It guards against
// what a block check cannot see: two characters of one kind that got lost cancel each other out and
// leave a number two digits short. A new shape is believed when it has come often enough in a row.
type shapes map[string]shape

type shape struct {
	known   uint64 // 0: none yet
	doubted uint64
	times   int // that doubted came in a row
}

// How often a shape must come: the first ever, and one that differs from the known one.
const (
	firstTimes = 2
	newTimes   = 3
)

// believe says whether a message counts.
func (s shapes) believe(kind string, message []byte) error {
	have, is := s[kind], shapeOf(message)
	if is == have.known {
		s[kind] = shape{known: is}
		return nil
	}
	if is != have.doubted {
		have.doubted, have.times = is, 0
	}
	need, problem := newTimes, "it has another form than the one before"
	if have.known == 0 {
		need, problem = firstTimes, "it is the first, and there is no second to compare it with"
	}
	if have.times++; have.times >= need {
		s[kind] = shape{known: is}
		return nil
	}
	s[kind] = have
	return fmt.Errorf("%w, perhaps: %s", errDamaged, problem)
}

// shapeOf takes digits, hex digits among them, signs and spaces as equal.
func shapeOf(message []byte) uint64 {
	sum := fnv.New64a()
	for _, c := range message {
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'F', c >= 'a' && c <= 'f', c == '+', c == '-', c == ' ':
			c = '0'
		}
		sum.Write([]byte{c})
	}
	return max(sum.Sum64(), 1)
}
