package gateway

import "slices"

// coverage is which sequence numbers of one device have come, as few spans of numbers without a hole.
type coverage struct {
	spans []span // in their order, with a hole between each two
	lost  uint64 // in holes that were closed because there were too many
}

type span struct{ first, last uint64 }

// mostSpans bounds a coverage: readings come in one order, or in two with live-first.
const mostSpans = 64

// add takes a number.
func (c *coverage) add(seq uint64) {
	i, found := slices.BinarySearchFunc(c.spans, seq, func(s span, seq uint64) int {
		switch {
		case s.last < seq:
			return -1
		case s.first > seq:
			return 1
		}
		return 0
	})
	if found {
		return
	}
	after, before := i > 0 && c.spans[i-1].last+1 == seq, i < len(c.spans) && c.spans[i].first == seq+1
	switch {
	case after && before:
		c.spans[i-1].last = c.spans[i].last
		c.spans = slices.Delete(c.spans, i, i+1)
	case after:
		c.spans[i-1].last = seq
	case before:
		c.spans[i].first = seq
	default:
		c.spans = slices.Insert(c.spans, i, span{seq, seq})
	}
	if len(c.spans) > mostSpans {
		c.lost += c.spans[1].first - c.spans[0].last - 1
		c.spans[1].first = c.spans[0].first
		c.spans = slices.Delete(c.spans, 0, 1)
	}
}

// missing is how many numbers from first to last have not come.
func (c *coverage) missing(first, last uint64) uint64 {
	missing := c.lost
	for _, s := range c.spans {
		if s.last < first {
			continue
		}
		if s.first > last {
			break
		}
		if s.first > first {
			missing += s.first - first
		}
		first = s.last + 1
	}
	if first <= last {
		missing += last - first + 1
	}
	return missing
}

// newest is the highest number that has come, 0 for none.
func (c *coverage) newest() uint64 {
	if len(c.spans) == 0 {
		return 0
	}
	return c.spans[len(c.spans)-1].last
}
