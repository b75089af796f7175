package broker

import (
	"sync"

	"sluice/gateway/message"
)

// What an inbox may hold: more than the dispatcher gives at once, and no more than a slow reader may
// cost. One message goes in however large it is.
const (
	maxInbox      = 1024
	maxInboxBytes = 256 << 10 // of payload
)

// inbox holds what a reader is to have next, oldest first. An empty one costs nothing. Its owner
// guards it.
type inbox struct {
	first, last *chunk
	head, tail  int // of first and last
	n           int
	bytes       int
}

// item is one message in an inbox. record is nil when it is to be read from the log again.
type item struct {
	record *message.Record
	at     message.Position // 0: the log does not hold it
	member *member          // nil: it is the reader's own
}

type chunk struct {
	items [64]item
	next  *chunk
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

func (i item) bytes() int {
	if i.record == nil {
		return 0
	}
	return len(i.record.Payload)
}

// own says that it came from the log on the reader's own account.
func (i item) own() bool { return i.member == nil && i.at != 0 }

// logged says that the log holds it.
func (i item) logged() bool { return i.at != 0 }

// room says whether a message fits.
func (b *inbox) room(i item) bool {
	return b.n == 0 || b.n < maxInbox && b.bytes+i.bytes() <= maxInboxBytes
}

func (b *inbox) push(i item) {
	if b.last == nil || b.tail == len(b.last.items) {
		added := chunks.Get().(*chunk)
		if b.last == nil {
			b.first = added
		} else {
			b.last.next = added
		}
		b.last, b.tail = added, 0
	}
	b.last.items[b.tail] = i
	b.tail++
	b.n++
	b.bytes += i.bytes()
}

// pop takes the oldest; there must be one.
func (b *inbox) pop() item {
	i := b.first.items[b.head]
	b.first.items[b.head] = item{}
	b.head++
	b.n--
	b.bytes -= i.bytes()
	if b.n == 0 || b.head == len(b.first.items) {
		gone := b.first
		b.first, b.head = gone.next, 0
		gone.next = nil
		chunks.Put(gone)
		if b.n == 0 {
			*b = inbox{}
		}
	}
	return i
}

// firstOf gives the oldest that is wanted.
func (b *inbox) firstOf(wanted func(item) bool) (item, bool) {
	at := b.head
	left := b.n
	for c := b.first; left > 0; c, at = c.next, 0 {
		for ; at < len(c.items) && left > 0; at, left = at+1, left-1 {
			if wanted(c.items[at]) {
				return c.items[at], true
			}
		}
	}
	return item{}, false
}

// rework puts each of them to change, which may alter it or say that it goes.
func (b *inbox) rework(change func(*item) (stays bool)) {
	for range b.n {
		if i := b.pop(); change(&i) {
			b.push(i)
		}
	}
}
