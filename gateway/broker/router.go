package broker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/message"
)

// router reads what is new in the log once and puts each message into the inboxes of the live readers
// that it is for. A reader whose inbox is full is live no longer: it reads the log itself until it
// has caught up with the router. So nobody ever waits for a reader, and a reader costs no more than
// its inbox.
//
// Locks are taken in this order: the router's, a share's, a subscription's.
type router struct {
	log     Log
	at      atomic.Uint64 // everything up to this position has been handed to the live readers; changed under mu
	handed  atomic.Uint64 // messages put into inboxes
	dropped atomic.Uint64 // messages that the log does not hold and for which an inbox had no room

	mu       sync.Mutex // guards what follows
	trie     trie[*interest]
	open     map[*Subscription]struct{}
	shares   map[string]*share // by name
	numbers  int               // of shares that there ever were
	sleepers map[string]*sleeper
	settled  []*sleeper // those for which nothing has come
	turn     int        // of settled: who is moved next
	unsure   []*sleeper // those of which that must be found out
	roused   []*sleeper
	touched  []touch // subscriptions that the records at hand are for
	hits     []hit
	hands    uint64 // messages given by Hand
	age      age

	doubts chan struct{} // capacity 1: unsure is not empty
}

// interest is one filter of one reader.
type interest struct {
	sub     *Subscription // one of these
	share   *share
	sleeper *sleeper
	filter  string
	after   message.Position // what stands there or before does not count
}

// hit is a record that somebody may want.
type hit struct {
	record    int
	interests []*interest
}

// touch is what the records at hand bring to a subscription.
type touch struct {
	sub   *Subscription
	items []item
}

const (
	dispatchRecords    = 256     // are read at once, unless they are large:
	dispatchBytes      = 1 << 20 // of payload, which all stay in memory meanwhile,
	dispatchDeliveries = 1 << 14 // or for so many readers that others wait too long for the mutex
	keptTouches        = 64      // whose memory is used again
	pauseOfFailure     = time.Second
)

func (r *router) init(log Log) {
	r.log = log
	r.open = make(map[*Subscription]struct{})
	r.shares = make(map[string]*share)
	r.sleepers = make(map[string]*sleeper)
	r.doubts = make(chan struct{}, 1)
	tail, _ := log.Tail()
	r.at.Store(uint64(tail))
}

func (r *router) position() message.Position { return message.Position(r.at.Load()) }

// Run hands what comes into the log to the live subscriptions until ctx ends. Subscriptions that are
// opened before it runs, or after it, wait.
func (b *Broker) Run(ctx context.Context) error {
	r := &b.router
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { r.followSleepers(ctx) })
	buffer := make([]message.Record, 0, dispatchRecords)
	most := dispatchRecords
	for ctx.Err() == nil {
		tail, grown := r.log.Tail()
		from := r.position() + 1
		if from > tail {
			select {
			case <-grown:
			case <-ctx.Done():
			}
			continue
		}
		if r.pass(tail) {
			continue
		}
		records, err := r.log.Read(buffer[:0], from, most)
		if err != nil {
			r.disperse()
			wait(ctx, pauseOfFailure)
			continue
		}
		if len(records) == 0 { // all of it was trimmed
			r.mu.Lock()
			r.at.Store(uint64(tail))
			r.mu.Unlock()
		}
		large := r.dispatch(records)
		clear(records) // they keep their blocks in memory
		if large {
			most = max(most/2, 1)
		} else {
			most = min(most+most/4+1, dispatchRecords)
		}
	}
	return nil
}

// pass moves on to the tail without reading when nobody has a filter.
func (r *router) pass(tail message.Position) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trie.n > 0 {
		return false
	}
	r.at.Store(uint64(tail))
	return true
}

// disperse lets the live readers find out themselves why the log cannot be read.
func (r *router) disperse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.position() + 1
	for s := range r.open {
		s.mu.Lock()
		if s.live && len(s.filters) > 0 {
			s.fallBehindLocked(next)
		}
		s.mu.Unlock()
		s.signal()
	}
	for _, s := range r.shares {
		s.fallBehind(next)
	}
}

// dispatch hands over records that follow what was handed over before. It says whether fewer should be
// handed over at once.
func (r *router) dispatch(records []message.Record) (large bool) {
	if len(records) == 0 {
		return false
	}
	bytes, deliveries := 0, 0
	r.mu.Lock()
	defer r.mu.Unlock()
	var found matched[*interest]
	for i := range records {
		bytes += len(records[i].Payload)
		if topic := records[i].Topic; i == 0 || topic != found.topic {
			found = r.trie.match(topic)
		}
		if len(found.entries) > 0 {
			r.hits = append(r.hits, hit{i, found.entries})
			deliveries += len(found.entries)
		}
	}
	var kept []message.Record // by those for whom they are
	for i, h := range r.hits {
		var record *message.Record
		for _, in := range h.interests {
			if !r.wants(in, records[h.record].Position) {
				continue
			}
			if record == nil {
				if kept == nil {
					kept = make([]message.Record, 0, len(r.hits)-i)
				}
				kept = append(kept, records[h.record])
				record = &kept[len(kept)-1]
			}
			r.give(in, record)
		}
	}
	clear(r.hits)
	r.hits = r.hits[:0]
	for i := range r.touched {
		r.deliver(&r.touched[i])
		if i >= keptTouches {
			r.touched[i].items = nil
		}
	}
	r.touched = r.touched[:0]
	last := records[len(records)-1].Position
	r.at.Store(uint64(last))
	r.rouseLocked()
	r.retireLocked(last, bytes+len(records)*recordCost)
	return bytes > dispatchBytes || deliveries > dispatchDeliveries
}

// wants says whether a record at that position is to be given to the reader behind a matching filter:
// that depends on where the reader stands, and it gets each record once.
func (r *router) wants(in *interest, at message.Position) bool {
	switch {
	case at <= in.after:
		return false
	case in.sub != nil:
		return in.sub.live && at > in.sub.seen
	case in.share != nil:
		return true // it knows itself
	}
	return !in.sleeper.waiting
}

func (r *router) give(in *interest, record *message.Record) {
	switch s := in.sub; {
	case s != nil:
		s.seen = record.Position
		if s.touched == 0 {
			r.touched = extended(r.touched)
			s.touched = len(r.touched)
			r.touched[s.touched-1].sub = s
		}
		t := &r.touched[s.touched-1]
		t.items = append(t.items, item{record: record, at: record.Position})
	case in.share != nil:
		in.share.offer(record)
	default:
		in.sleeper.rouse(record.Position)
		r.roused = append(r.roused, in.sleeper)
	}
}

// extended gives the list one more element, which may be one that was used before: its memory is.
func extended(list []touch) []touch {
	if len(list) < cap(list) {
		return list[:len(list)+1]
	}
	return append(list, touch{})
}

// deliver puts into an inbox what is for it, all at once, and wakes its reader once.
func (r *router) deliver(t *touch) {
	s := t.sub
	s.mu.Lock()
	handed := 0
	for _, i := range t.items {
		if !s.inbox.room(i) {
			s.fallBehindLocked(i.at)
			break
		}
		s.inbox.push(i)
		s.logged++
		handed++
	}
	s.mu.Unlock()
	s.signal()
	r.handed.Add(uint64(handed))
	r.listLocked(s, t.items[0].at)
	s.touched = 0
	t.sub = nil
	clear(t.items)
	t.items = t.items[:0]
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
