package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/bridge"
)

const (
	// maxCycle is how many messages go in one cycle.
	maxCycle = 8192
	// firstCycle is how many bytes the first cycle of a link may have. The size then follows the
	// line: a cycle that takes longer than slowCycle is halved, down to smallestCycle, one that
	// takes less than fastCycle may double. Else a line of 64 kbit/s would spend the whole of
	// AckTimeout on one batch.
	firstCycle    = 128 << 10
	smallestCycle = 8 << 10
	slowCycle     = 5 * time.Second
	fastCycle     = time.Second
)

// cycle is the goroutine that hands messages to franz-go and answers them, one cycle after the other.
//
// Kafka rejects batches as a whole, and franz-go has up to five requests in flight, also of one
// partition: a batch behind one that is rejected may get through. So nothing is handed over while a
// cycle is in flight, and a cycle has no more bytes than one batch may have: each partition gets at
// most one.
func (l *link) cycle() {
	known := make(map[string]bool) // topics that franz-go knows the partitions of
	limit := min(firstCycle, l.options.room())
	for l.await(limit) {
		items, more := l.cut(limit, known)
		from := time.Now()
		refused := l.deliver(items)
		took := time.Since(from)
		switch {
		case took > slowCycle:
			limit = max(limit/2, min(smallestCycle, l.options.room()))
		case took < fastCycle && more:
			limit = min(2*limit, l.options.room())
		}
		for _, it := range items {
			if it.err == nil {
				known[it.at.topic] = true
			} else {
				delete(known, it.at.topic)
			}
		}
		l.hold(refused)
	}
	l.mu.Lock()
	left := append([]*item(nil), l.waiting...)
	l.keepLocked(nil)
	l.mu.Unlock()
	for _, it := range left {
		it.done(l.err)
	}
}

// await waits until a cycle is due, and says no when the link is lost first.
func (l *link) await(limit int) bool {
	for {
		if l.Err() != nil {
			return false
		}
		if n, _ := l.queued(limit); n > 0 {
			break
		}
		select {
		case <-l.wake:
		case <-l.lost:
		}
	}
	linger := time.NewTimer(l.options.Linger)
	defer linger.Stop()
	for {
		if _, full := l.queued(limit); full {
			return true
		}
		select {
		case <-l.wake:
		case <-linger.C:
			return true
		case <-l.lost:
			return false
		}
	}
}

// queued says how many messages wait, and whether waiting longer would not add to the next cycle.
func (l *link) queued(limit int) (n int, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting), len(l.waiting) >= maxCycle || l.bytes >= limit || l.room != nil
}

// cut takes what goes in the next cycle, and says whether more could have gone if limit was larger. Of
// a topic that is not known yet only the first message goes: franz-go makes batches of those that
// follow while the first is on its way already.
func (l *link) cut(limit int, known map[string]bool) (items []*item, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rest []*item
	asked := make(map[string]bool)
	bytes := 0
	for i, it := range l.waiting {
		if len(items) == maxCycle || len(items) > 0 && bytes+it.size > limit {
			rest, more = append(rest, l.waiting[i:]...), true
			break
		}
		if !known[it.at.topic] {
			if asked[it.at.topic] {
				rest = append(rest, it)
				continue
			}
			asked[it.at.topic] = true
		}
		items = append(items, it)
		bytes += it.size
	}
	l.keepLocked(append(l.waiting[:0], rest...))
	return items, more
}

// hold answers what waits behind something that was refused, and what came since it was answered. What comes later is a
// new try.
func (l *link) hold(refused map[order]bool) {
	if len(refused) == 0 {
		return
	}
	l.mu.Lock()
	var held []*item
	rest := l.waiting[:0]
	for _, it := range l.waiting {
		if refused[it.at] {
			held = append(held, it)
		} else {
			rest = append(rest, it)
		}
	}
	l.keepLocked(rest)
	l.mu.Unlock()
	for _, it := range held {
		it.done(bridge.ErrHeld)
	}
}

// deliver sends items, answers them, and says where a message was refused. A batch that is refused
// for the sake of one record is sent again in halves until that one is alone.
func (l *link) deliver(items []*item) (refused map[order]bool) {
	l.produce(items)
	refused = make(map[order]bool)
	var doubtful []*item
	for _, it := range items {
		why, some := refusal(it.at.topic, it.err)
		switch {
		case it.err == nil:
			it.done(nil)
		case refused[it.at]:
			it.done(bridge.ErrHeld)
		case why == nil:
			l.lose(plainWords(it.err))
			it.done(l.err)
		case some && len(items) > 1:
			doubtful = append(doubtful, it)
		default:
			refused[it.at] = true
			it.done(why)
		}
	}
	if len(doubtful) == 0 {
		return refused
	}
	half := (len(doubtful) + 1) / 2
	for _, part := range [][]*item{doubtful[:half], doubtful[half:]} {
		var again []*item
		for _, it := range part {
			if refused[it.at] {
				it.err = bridge.ErrHeld
				it.done(it.err)
				continue
			}
			again = append(again, it)
		}
		if len(again) == 0 {
			continue
		}
		for at := range l.deliver(again) {
			refused[at] = true
		}
	}
	return refused
}

// produce hands items to franz-go and waits for what becomes of each.
func (l *link) produce(items []*item) {
	var answers sync.WaitGroup
	l.producing.Lock()
	err := l.Err()
	for _, it := range items {
		if it.err = err; err != nil {
			continue
		}
		answers.Add(1)
		l.client.Produce(context.Background(), it.record, func(_ *kgo.Record, err error) {
			it.err = err
			answers.Done()
		})
	}
	l.producing.Unlock()
	if err != nil {
		return
	}
	l.note(time.Now())
	// Only now anything is sent. It ends also when the client is closed.
	_ = l.client.Flush(context.Background())
	answers.Wait()
	l.note(time.Time{})
	if err := l.Err(); err != nil {
		for _, it := range items {
			if it.err != nil {
				it.err = err
			}
		}
	}
}

func (l *link) note(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began = began
}
