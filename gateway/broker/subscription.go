package broker

import (
	"context"
	"math"
	"sync"

	"sluice/gateway/message"
)

// FromNow is where a subscription begins that wants only what is published from now on.
const FromNow message.Position = math.MaxUint64

// Subscription sees what is published after each of its filters was added. However slow its reader
// is, it holds up nobody and costs no more than its inbox: it is live, and the router puts what
// matches there, or behind, and reads the log itself until it has caught up with the router. One
// goroutine calls Next and Skip; the rest may be called from any.
type Subscription struct {
	broker *Broker
	wake   chan struct{} // capacity 1: there may be something new

	// guarded by the router's mutex
	seen    message.Position // up to there the dispatcher hands over nothing any more
	touched int              // its place in router.touched, counted from 1; 0: none
	listed  bool             // in age.listed
	hand    uint64           // the last message of Hand that it got

	mu      sync.Mutex // guards what follows
	live    bool       // changes under the router's mutex too
	filters map[string]*interest
	newest  message.Position // after which the last filter counts that was added
	changes uint64           // of filters
	names   filters          // of filters, as they were after so many changes:
	namesOf uint64
	next    message.Position // where reading the log goes on; of one that is behind
	joined  message.Position // up to there it had read the log itself when it became live
	inbox   inbox
	logged  int // of the inbox: records of its own
	logTurn bool
	members []*member     // in shared subscriptions; another slice after each change
	roomy   chan struct{} // closed when the inbox has room again; nil while nobody waits
	slow    bool          // somebody has waited in vain since the inbox was empty
	closed  bool
}

// Subscribe opens a subscription without a filter that begins behind after: FromNow, or where a
// session's cursor stands.
func (b *Broker) Subscribe(after message.Position) *Subscription {
	s := &Subscription{broker: b, wake: make(chan struct{}, 1)}
	r := &b.router
	r.mu.Lock()
	defer r.mu.Unlock()
	if after == FromNow {
		tail, _ := b.log.Tail()
		s.live, s.joined, s.seen = true, tail, tail
	} else {
		s.next = after + 1
	}
	r.open[s] = struct{}{}
	return s
}

// Add lets through what matches filter and comes from now on, and says behind which position that is.
// A filter that is there already stays as it was.
func (s *Subscription) Add(filter string) (after message.Position) {
	return s.add(filter, FromNow)
}

// Resume is Add for a filter that a session has had since after. It comes before the first Next: a
// subscription does not go back.
func (s *Subscription) Resume(filter string, after message.Position) { s.add(filter, after) }

func (s *Subscription) add(filter string, after message.Position) message.Position {
	r := &s.broker.router
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.filters[filter]; in != nil {
		return in.after
	}
	if after == FromNow {
		after, _ = s.broker.log.Tail()
	}
	if s.closed {
		return after
	}
	if s.filters == nil {
		s.filters = make(map[string]*interest)
	}
	in := &interest{sub: s, filter: filter, after: after}
	s.filters[filter] = in
	s.newest = max(s.newest, after)
	s.changes++
	r.trie.add(filter, in)
	return after
}

// Remove takes a filter back: what was not returned yet is not returned any more.
func (s *Subscription) Remove(filter string) {
	r := &s.broker.router
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.filters[filter]
	if in == nil {
		return
	}
	delete(s.filters, filter)
	s.changes++
	r.trie.remove(filter, in)
	s.logged = 0
	s.inbox.rework(func(i *item) bool {
		if i.member == nil && !s.wantsLocked(i.record) {
			return false
		}
		if i.own() {
			s.logged++
		}
		return true
	})
}

// wantsLocked says whether a filter lets a record through.
func (s *Subscription) wantsLocked(record *message.Record) bool {
	for _, in := range s.filters {
		if (record.Position > in.after || record.Position == 0) && message.Match(in.filter, record.Topic) {
			return true
		}
	}
	return false
}

// Next waits for at least one message and appends up to most of them to dst: each record once, however
// many filters let it through, in order. What comes through a shared subscription has an order of its own.
func (s *Subscription) Next(ctx context.Context, dst []message.Delivery, most int) ([]message.Delivery, error) {
	start := len(dst)
	if most < 1 {
		return dst, nil
	}
	for {
		if err := ctx.Err(); err != nil {
			return dst, err
		}
		if err := s.serveShares(ctx); err != nil {
			return dst, err
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return dst, message.ErrClosed
		}
		// What the log does not hold must not keep a reader that is behind from reading on.
		if s.live || s.logged > 0 || !s.logTurn {
			dst = s.takeLocked(dst, most)
		}
		s.logTurn = len(dst) > start
		live := s.live
		s.mu.Unlock()
		switch {
		case len(dst) > start:
			if dst, err := s.load(dst, start); err != nil || len(dst) > start {
				return dst, err
			}
			dst = dst[:start] // all of it was trimmed
		case !live:
			var err error
			if dst, err = s.catchUp(dst, most); err != nil {
				return dst, err
			}
		default:
			select {
			case <-s.wake:
			case <-ctx.Done():
			}
		}
		if len(dst) > start {
			return dst, nil
		}
	}
}

// takeLocked takes from the inbox.
func (s *Subscription) takeLocked(dst []message.Delivery, most int) []message.Delivery {
	for range min(most, s.inbox.n) {
		i := s.inbox.pop()
		dst = append(dst, message.Delivery{})
		d := &dst[len(dst)-1]
		if i.record != nil {
			d.Record = *i.record
		} else {
			d.Position = i.at
		}
		if i.member != nil {
			i.member.queued--
			d.Share = i.member.share.number
		} else if i.at != 0 {
			s.logged--
		}
	}
	s.roomLocked()
	return dst
}

// catchUp reads the log behind what was read before, and makes the subscription live when that
// was all that the router has handed over meanwhile. It may append nothing.
func (s *Subscription) catchUp(dst []message.Delivery, most int) ([]message.Delivery, error) {
	r := &s.broker.router
	buffer := scratch.Get().(*[]message.Record)
	defer scratch.Put(buffer)
	s.mu.Lock()
	from, changes, names := s.next, s.changes, s.namesLocked()
	s.mu.Unlock()
	tail, _ := r.log.Tail()
	records, next := (*buffer)[:0], r.position()+1
	defer func() {
		clear(records) // they keep their blocks in memory
		*buffer = records
	}()
	if len(names) > 0 {
		var err error
		records, next, err = scan(r.log, records, from, min(most, scanRecords), names)
		if err != nil {
			return dst, err
		}
	}
	if next <= from { // nothing was there
		next = max(from, tail+1)
	}
	s.mu.Lock()
	if s.changes != changes { // a filter that was added meanwhile must not miss what was passed over
		s.mu.Unlock()
		return dst, nil
	}
	for i := range records {
		if records[i].Position > s.newest || s.wantsLocked(&records[i]) {
			dst = append(dst, message.Delivery{Record: records[i]})
		}
	}
	s.next = next
	s.mu.Unlock()
	if next > r.position() {
		r.mu.Lock()
		s.joinLocked()
		r.mu.Unlock()
	}
	return dst, nil
}

var scratch = sync.Pool{New: func() any { return new(make([]message.Record, 0, scanRecords)) }}

// joinLocked makes a subscription live that has read on beyond what the router has handed over.
func (s *Subscription) joinLocked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live || s.next <= s.broker.router.position() {
		return
	}
	s.live = true
	s.joined = s.next - 1
	s.seen = max(s.seen, s.joined)
}

// fallBehindLocked makes it read the log itself from next on.
func (s *Subscription) fallBehindLocked(next message.Position) {
	s.live = false
	s.next = max(next, s.joined+1)
}

func (s *Subscription) namesLocked() filters {
	if s.namesOf != s.changes {
		s.names = make(filters, 0, len(s.filters))
		for name := range s.filters {
			s.names = append(s.names, name)
		}
		s.namesOf = s.changes
	}
	return s.names
}

func (s *Subscription) retire(old message.Position) (oldest message.Position, some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, found := s.inbox.firstOf(item.own); found && first.at <= old {
		s.inbox.rework(func(i *item) bool { return !i.own() })
		s.logged = 0
		if s.live {
			s.fallBehindLocked(first.at)
		} else {
			s.next = first.at
		}
		s.signal()
	}
	s.inbox.rework(func(i *item) bool {
		if i.member != nil && i.at <= old && i.at != 0 {
			i.record = nil
		}
		return true
	})
	first, found := s.inbox.firstOf(func(i item) bool { return i.at != 0 && i.record != nil })
	if !found && len(s.members) > 0 {
		return s.broker.router.position(), true // shares fill it at any time
	}
	return first.at, found
}

func (s *Subscription) isListed() *bool { return &s.listed }

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Passed gives a position: everything up to it was returned by Next, or no filter lets it through. It
// follows the log while nothing waits to be returned. What comes through shares is not counted.
func (s *Subscription) Passed() message.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logged > 0 {
		first, _ := s.inbox.firstOf(item.own)
		return first.at - 1
	}
	if s.live {
		return max(s.joined, s.broker.router.position())
	}
	return s.next - 1
}

// Behind is how many messages wait for the reader; of one that is not live messages of any topic
// count.
func (s *Subscription) Behind() uint64 {
	tail, _ := s.broker.log.Tail()
	s.mu.Lock()
	defer s.mu.Unlock()
	behind := uint64(s.inbox.n)
	if !s.live && tail >= s.next {
		behind += uint64(tail - s.next + 1)
	}
	return behind
}

// Skip drops everything up to now that did not come through a share, and says how many messages that was,
// counted as Behind does.
func (s *Subscription) Skip() (dropped uint64) {
	r := &s.broker.router
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.inbox.n
	s.inbox.rework(func(i *item) bool { return i.member != nil })
	s.logged = 0
	dropped = uint64(before - s.inbox.n)
	s.roomLocked()
	tail, _ := r.log.Tail()
	if s.live {
		s.joined = max(s.joined, tail)
		s.seen = max(s.seen, tail)
	} else if tail >= s.next {
		dropped += uint64(tail - s.next + 1)
		s.next = tail + 1
	}
	return dropped
}

// Close ends the subscription: Next gives message.ErrClosed. It leaves its shares.
func (s *Subscription) Close() {
	r := &s.broker.router
	r.mu.Lock()
	s.mu.Lock()
	members := s.members
	for filter, in := range s.filters {
		r.trie.remove(filter, in)
	}
	s.filters = nil
	s.changes++
	s.closed = true
	s.roomLocked()
	s.inbox.rework(func(i *item) bool { return i.member != nil })
	s.logged = 0
	delete(r.open, s)
	s.mu.Unlock()
	r.mu.Unlock()
	for _, m := range members {
		s.Leave(m.share.number, false)
	}
	s.signal()
}
