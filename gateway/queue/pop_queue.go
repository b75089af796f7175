package queue

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// pops are what was handed out, by group and queue.
type pops struct {
	start time.Time // deadlines are counted from here: no clock that jumps ends them
	turn  atomic.Uint32
	total atomic.Int64  // entries of all windows
	last  atomic.Int64  // the last pop time
	early chan struct{} // holds one when something is due before planned
	// failing says that messages could not be moved when last tried. Only expire looks at it.
	failing bool

	mu         sync.Mutex // guards what follows; it is taken with a popQueue's or without, never before it
	queues     map[popKey]*popQueue
	held       map[holder]map[*PopWaiter]struct{}
	holders    map[uint16]bool // of numbers that are taken
	lastHolder uint16
	planned    time.Duration // when expire looks next
}

// holder names those whose pops find nothing and wait.
type holder struct{ group, topic string }

type popKey struct {
	group string
	place // with the topic as RocketMQ names it
}

// popQueue is what one group has of one queue. floor is the group's offset: all below is acknowledged.
// From there to next lies the window: what was handed out, and between its entries what the filter did
// not let through.
type popQueue struct {
	popKey
	base string

	mu       sync.Mutex // guards what follows
	begun    bool
	floor    uint64 // as it was last committed
	next     uint64 // the first that was never handed out
	window   []handedOut
	open     int           // entries that are not done
	returned int           // entries of that state
	soonest  time.Duration // nothing in flight is due before
	attempt  string
	refused  bool // somebody was told that the queue is blocked
	used     time.Duration
	gone     bool // out of the table
}

// handedOut is a message that a consumer has, or had.
type handedOut struct {
	offset   uint64
	popTime  int64         // Unix milliseconds, which the handle carries
	due      time.Duration // by the clock of pops
	times    uint16
	holder   uint16 // 0: nobody who is told of
	renewals uint16
	state    popState
	ordered  bool
}

type popState byte

const (
	inFlight popState = iota
	moving            // its time was over: it is being put on the retry topic
	returned          // its time was over, and it is handed out from here again
	done
)

func (s *pops) init() {
	s.start, s.planned = time.Now(), never
	s.early = make(chan struct{}, 1)
	s.holders = make(map[uint16]bool)
	s.queues, s.held = make(map[popKey]*popQueue), make(map[holder]map[*PopWaiter]struct{})
}

func (s *pops) now() time.Duration { return time.Since(s.start) }

// stamp gives the time of a pop, in Unix milliseconds. It tells the pops of a message apart, so it does not
// repeat within a second even if the clock does.
func (s *pops) stamp() int64 {
	for {
		last, now := s.last.Load(), time.Now().UnixMilli()
		if now <= last && last-now < 1000 {
			now = last + 1
		}
		if s.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// lock gives a queue, which is made if need be, with its lock held.
func (s *pops) lock(key popKey, base string) *popQueue {
	for {
		s.mu.Lock()
		p := s.queues[key]
		if p == nil {
			p = &popQueue{popKey: key, base: base, soonest: never}
			s.queues[key] = p
		}
		s.mu.Unlock()
		p.mu.Lock()
		if !p.gone {
			p.used = s.now()
			return p
		}
		p.mu.Unlock()
	}
}

// find is lock for a queue that must be there; nil: it is not.
func (s *pops) find(key popKey) *popQueue {
	s.mu.Lock()
	p := s.queues[key]
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	p.mu.Lock()
	if p.gone {
		p.mu.Unlock()
		return nil
	}
	p.used = s.now()
	return p
}

// has says whether a group pops a topic.
func (s *pops) has(group, topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.queues {
		if key.group == group && key.topic == topic {
			return true
		}
	}
	return false
}

// beginLocked finds the group's place. Where somebody has set it to another, what was handed out is
// forgotten and goes on from there.
func (p *popQueue) beginLocked(q *Queues, fromLast bool) error {
	if p.currentLocked(q) {
		return nil
	}
	offset, known := q.log.Offset(p.group, p.topic, p.queue)
	start := uint64(offset)
	if !known {
		var err error
		if start, err = q.StartOffset(p.topic, p.queue, fromLast && !strings.HasPrefix(p.topic, RetryPrefix)); err != nil {
			return err
		}
		if err := q.Commit(p.group, p.topic, p.queue, int64(start)); err != nil {
			return err
		}
	}
	p.begun, p.floor, p.next = true, start, start
	return nil
}

// currentLocked says whether the group stands where it was left, and forgets all if it does not.
func (p *popQueue) currentLocked(q *Queues) bool {
	offset, known := q.log.Offset(p.group, p.topic, p.queue)
	if p.begun && known && uint64(offset) == p.floor {
		return true
	}
	p.begun = false
	q.pops.total.Add(-int64(p.forgetLocked()))
	return false
}

// forgetLocked empties the window and gives how much was in it.
func (p *popQueue) forgetLocked() int {
	n := len(p.window)
	p.window, p.open, p.returned, p.soonest, p.attempt = nil, 0, 0, never, ""
	return n
}

// settleLocked moves the floor up to the first message that is not acknowledged.
func (p *popQueue) settleLocked(q *Queues) error {
	passed := 0
	for passed < len(p.window) && p.window[passed].state == done {
		passed++
	}
	p.window = p.window[passed:]
	q.pops.total.Add(-int64(passed))
	floor := p.next
	if len(p.window) > 0 {
		floor = p.window[0].offset
	} else {
		p.window = nil
	}
	if floor == p.floor {
		return nil
	}
	if err := q.Commit(p.group, p.topic, p.queue, int64(floor)); err != nil {
		return err
	}
	p.floor = floor
	return nil
}

// blockedLocked says that nothing is handed out for now.
func (p *popQueue) blockedLocked(ordered bool) bool {
	if !ordered {
		return p.returned == 0 && (p.open >= popWindow || len(p.window) >= popSpan)
	}
	for i := range p.window {
		if p.window[i].state == inFlight || p.window[i].state == moving {
			return true
		}
	}
	return false
}

// returnAllLocked takes back what is in flight, as if it had never been handed out.
func (p *popQueue) returnAllLocked() {
	for i := range p.window {
		if p.window[i].state == inFlight {
			p.window[i].state = returned
			p.window[i].times--
			p.returned++
		}
	}
}

// entryLocked finds what was handed out.
func (p *popQueue) entryLocked(offset uint64) *handedOut {
	i, found := slices.BinarySearchFunc(p.window, offset, func(e handedOut, offset uint64) int {
		switch {
		case e.offset < offset:
			return -1
		case e.offset > offset:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return &p.window[i]
}
