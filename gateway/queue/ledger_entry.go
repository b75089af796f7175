package queue

import (
	"fmt"
	"strconv"

	"sluice/gateway/message"
)

// entry is what memory has of one that is not done.
type entry struct {
	note
	offset       uint64           // in the ledger's topic
	at           message.Position // of its record
	key          uint64           // a hash of what it is looked for by: of a half message its producer group, once it is missed
	size         int
	index        int // in dues; untimed: somebody is at it
	done         bool
	missed       bool // nobody of its producer group was there to be asked
	older, newer *entry
}

const untimed = -1

// note is what the log keeps of an entry beside its message.
type note struct {
	due    int64            // in milliseconds of the ledger's clock
	clock  int64            // what it was when this was written
	since  int64            // what it was when the entry was made
	order  uint64           // the offset that the entry was first given: whoever was told knows it by that
	origin message.Position // its position then; 0: this is the first
	checks int              // how often its producer was asked
}

// ledgerNote is the name of the property that a note travels in.
const ledgerNote = "\x00ledger"

func (n note) String() string {
	return fmt.Sprintf("%d %d %d %d %d %d", n.due, n.clock, n.since, n.order, n.origin, n.checks)
}

// readNote reads what String wrote.
func readNote(text string) (note, bool) {
	fields, ok := numbers(text)
	if !ok {
		return note{}, false
	}
	n := note{fields[0], fields[1], fields[2], uint64(fields[3]), message.Position(fields[4]), int(fields[5])}
	return n, n.due >= 0 && n.clock >= 0 && n.since >= 0 && fields[3] >= 0 && fields[4] >= 0 && n.checks >= 0
}

func numbers(text string) (fields [6]int64, ok bool) {
	for i := range fields {
		end := 0
		for end < len(text) && text[end] != ' ' {
			end++
		}
		var err error
		if fields[i], err = strconv.ParseInt(text[:end], 10, 64); err != nil {
			return fields, false
		}
		text = text[min(end+1, len(text)):]
	}
	return fields, text == ""
}

// dues is a heap of entries: the first is due first, and of those due at the same time came first.
type dues []*entry

func (d dues) Len() int { return len(d) }

func (d dues) Less(i, j int) bool {
	return d[i].due < d[j].due || d[i].due == d[j].due && d[i].order < d[j].order
}

func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

// Push implements heap.Interface.
func (d *dues) Push(e any) {
	e.(*entry).index = len(*d)
	*d = append(*d, e.(*entry))
}

// Pop implements heap.Interface.
func (d *dues) Pop() any {
	last := len(*d) - 1
	e := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	e.index = untimed
	return e
}
