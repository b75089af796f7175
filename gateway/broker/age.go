package broker

import "sluice/gateway/message"

// A record keeps the block in memory that it was read from. So an inbox that nobody empties is
// emptied when the log has grown by this much behind its oldest record: who takes from it later finds
// the records in the log.
const (
	maxAge     = 4 << 20 // of payload, and recordCost for each record
	recordCost = 256
	ageStep    = maxAge / 64
)

// age knows which records are too old to stay in memory.
type age struct {
	passed uint64 // bytes
	marks  []mark // oldest first
	old    message.Position
	listed []listed // readers that may hold something, by its age
}

type mark struct {
	at     message.Position
	passed uint64
}

type listed struct {
	reader retiring
	oldest message.Position // of what it held when it was listed
}

// retiring is a reader with an inbox. The router's mutex is held when these are called.
type retiring interface {
	// retire lets go of what stands at old or before. It gives the position of the oldest that
	// stays, and says whether there is one.
	retire(old message.Position) (oldest message.Position, some bool)
	// isListed is where the router notes that it watches the reader's age.
	isListed() *bool
}

// listLocked notes that a reader has been given a record that stands there.
func (r *router) listLocked(reader retiring, at message.Position) {
	if on := reader.isListed(); !*on {
		*on = true
		r.age.listed = append(r.age.listed, listed{reader, at})
	}
}

// retireLocked goes on to a position that lies so many bytes further, and empties the inboxes of those who
// have not touched them for too long.
func (r *router) retireLocked(at message.Position, bytes int) {
	a := &r.age
	a.passed += uint64(bytes)
	if n := len(a.marks); n == 0 || a.passed-a.marks[n-1].passed >= ageStep {
		a.marks = append(a.marks, mark{at, a.passed})
	}
	n := 0
	for n < len(a.marks) && a.passed-a.marks[n].passed > maxAge {
		a.old = a.marks[n].at
		n++
	}
	a.marks = append(a.marks[:0], a.marks[n:]...)
	n = 0
	for end := len(a.listed); n < end && a.listed[n].oldest <= a.old; n++ {
		reader := a.listed[n].reader
		if oldest, some := reader.retire(a.old); some {
			a.listed = append(a.listed, listed{reader, oldest})
		} else {
			*reader.isListed() = false
		}
	}
	if n > 0 {
		left := copy(a.listed, a.listed[n:])
		clear(a.listed[left:])
		a.listed = a.listed[:left]
	}
}
