package store

import (
	"errors"
	"slices"

	"sluice/gateway/message"
)

// Range is a span of positions, both inclusive.
type Range struct{ First, Last message.Position }

// maxRanges is how many done ranges a cursor may have beyond its position: its value must stay small
// enough to ride in any transaction.
const maxRanges = 16

// ErrManyRanges is what MarkDone says to a range that would be one too many.
var ErrManyRanges = errors.New("the cursor has too many done ranges already")

// Done gives the position up to which everything is done, and the ranges beyond it that are done too,
// in order and never touching.
func (c *Cursor) Done() (message.Position, []Range) {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	return c.position, slices.Clone(c.done)
}

// MarkDone records that everything from first to last is done; it becomes durable like a Move. Ranges
// that touch become one, and when one touches the position that moves over it. One that would be the
// 17th is refused with ErrManyRanges. It leads no further than the last durable message.
func (c *Cursor) MarkDone(first, last message.Position) error {
	_, tail := c.set.ends()
	r := Range{first, min(last, tail)}
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	if c.dropped || r.Last < r.First {
		return nil
	}
	if !c.joinsLocked(r) && len(c.done)+c.reserved >= maxRanges {
		return ErrManyRanges
	}
	c.passLocked(r)
	return nil
}

// NextDone gives the first span of what is done that ends at or behind from: a done range, or everything
// up to the position.
func (c *Cursor) NextDone(from message.Position) (first, last message.Position, found bool) {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	if from <= c.position {
		return 0, c.position, true
	}
	for _, r := range c.done {
		if r.Last >= from {
			return r.First, r.Last, true
		}
	}
	return 0, 0, false
}

// Ranges is how many done ranges there are beyond the position, and how many there may be.
func (c *Cursor) Ranges() (n, most int) {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	return len(c.done) + c.reserved, maxRanges
}

// DurableFrom gives the end of what a power cut would leave done from first on: first-1 when that is
// nothing.
func (c *Cursor) DurableFrom(first message.Position) message.Position {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	if first <= c.found {
		return c.found
	}
	for _, r := range c.foundDone {
		if first >= r.First && first <= r.Last {
			return r.Last
		}
	}
	return first - 1
}

// joinsLocked says whether marking r makes no new range.
func (c *Cursor) joinsLocked(r Range) bool {
	return r.First <= c.position+1 || r.Last < r.First || slices.ContainsFunc(c.done, func(known Range) bool {
		return known.First <= r.Last+1 && r.First <= known.Last+1
	})
}

// passLocked notes that r is done.
func (c *Cursor) passLocked(r Range) {
	if !c.coverLocked(r) {
		return
	}
	if !c.dirty {
		c.used = c.set.clock()
	}
	c.set.soilLocked(c)
}

// coverLocked puts r into what is done, and says whether that is more now.
func (c *Cursor) coverLocked(r Range) (changed bool) {
	switch {
	case r.Last <= c.position, r.Last < r.First:
		return false
	case r.First <= c.position+1:
		c.position, c.done = absorb(r.Last, c.done)
		return true
	case slices.ContainsFunc(c.done, func(known Range) bool { return known.First <= r.First && r.Last <= known.Last }):
		return false
	}
	c.done = insertRange(c.done, r)
	return true
}

// absorb moves a position over the ranges that it touches, and leaves those that it does not.
func absorb(at message.Position, done []Range) (message.Position, []Range) {
	n := 0
	for ; n < len(done) && done[n].First <= at+1; n++ {
		at = max(at, done[n].Last)
	}
	if n == len(done) {
		return at, nil
	}
	return at, done[n:]
}

// insertRange puts r in its place and makes one of what touches.
func insertRange(done []Range, r Range) []Range {
	i := 0
	for i < len(done) && done[i].Last+1 < r.First {
		i++
	}
	j := i
	for ; j < len(done) && done[j].First <= r.Last+1; j++ {
		r = Range{min(r.First, done[j].First), max(r.Last, done[j].Last)}
	}
	return slices.Replace(done, i, j, r)
}

// fitRanges takes of done what lies between a position and a tail.
func fitRanges(at, tail message.Position, done []Range) (message.Position, []Range) {
	var kept []Range
	for _, r := range done {
		if r.Last = min(r.Last, tail); r.First <= r.Last {
			kept = append(kept, r)
		}
	}
	return absorb(at, kept)
}

// soundRanges says whether done could be the ranges of a cursor that stands at at.
func soundRanges(at message.Position, done []Range) bool {
	if len(done) > maxRanges {
		return false
	}
	for _, r := range done {
		if r.First <= at+1 || r.Last < r.First || r.Last >= 1<<62 {
			return false
		}
		at = r.Last
	}
	return true
}

// intersect gives what lies in both, each of which is in order.
func intersect(a, b []Range) (both []Range) {
	for len(a) > 0 && len(b) > 0 {
		if r := (Range{max(a[0].First, b[0].First), min(a[0].Last, b[0].Last)}); r.First <= r.Last {
			both = append(both, r)
		}
		if a[0].Last < b[0].Last {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return both
}

// passedByAll gives what every cursor has durably done, up to most at least for those that are not
// cursors, in order.
func (c *cursors) passedByAll(others message.Position) []Range {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Range // nil: nobody had ranges so far
	lowest := others
	for _, known := range c.byName {
		if len(known.foundDone) == 0 {
			lowest = min(lowest, known.found)
			continue
		}
		mine := append([]Range{{0, known.found}}, known.foundDone...)
		if all == nil {
			all = mine
		} else {
			all = intersect(all, mine)
		}
	}
	upTo := []Range{{0, lowest}}
	if all == nil {
		return upTo
	}
	return intersect(all, upTo)
}
