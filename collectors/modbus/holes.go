package modbus

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

// memory is how long a refusal counts. Then the plan tries what it would do without it, since
// somebody may have changed the device meanwhile.
const memory = 24 * time.Hour

// holes is what was learned about what a device refuses: addresses that it does not have, blocks
// that it does not read across, more registers than it takes at once. The parts of a device share it.
type holes struct {
	mu      sync.Mutex // guards what follows
	areas   knowledge
	version uint64 // grows whenever another plan might be better
}

// knowledge is what is known at one moment, by area.
type knowledge [len(areaNames)]tract

func (k *knowledge) of(area Area) *tract { return &k[area] }

// tract is what is known about one area. The slice is never changed, only replaced.
type tract struct {
	refused []refusal // by start; none contains another
	bad     int       // the least that is refused for being too much at once; 0: nothing is
	good    int       // the most that was not
	at      time.Time // when bad was learned
	largest int       // the most that ever was answered at once
}

// refusal is a span that the device does not read, though it may well read each part of it. Every
// request that contains it would be refused too.
type refusal struct {
	span
	code exception
	at   time.Time
}

// most is how much one request may read: while it is not known exactly, the middle between what was
// refused and what was not, so that the plan itself is the search.
func (t *tract) most() int {
	switch {
	case t.bad == 0:
		return math.MaxInt
	case t.good+1 >= t.bad:
		return max(t.good, 1)
	}
	return (t.good + t.bad) / 2
}

// within finds a refusal that a request for s would run into.
func (t *tract) within(s span) (refusal, bool) {
	for _, r := range t.refused {
		if s.contains(r.span) {
			return r, true
		}
	}
	return refusal{}, false
}

// next finds the refusal that a request from start on meets first.
func (t *tract) next(start int) (first refusal, found bool) {
	for _, r := range t.refused {
		if r.start >= start && (!found || r.end() < first.end()) {
			first, found = r, true
		}
	}
	return first, found
}

// look gives what is known now. Nothing is known by nil.
func (h *holes) look() knowledge {
	if h == nil {
		return knowledge{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.areas
}

// changes tells by its value whether something was learned since it was asked last. What is too old
// is forgotten now.
func (h *holes) changes() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	var old time.Time // the clock is not asked when there is nothing to forget
	for area := range h.areas {
		t := &h.areas[area]
		if t.bad == 0 && len(t.refused) == 0 {
			continue
		}
		if old.IsZero() {
			old = time.Now().Add(-memory)
		}
		if t.bad != 0 && t.at.Before(old) {
			t.bad, t.good = 0, 0
			h.version++
		}
		h.keepLocked(t, func(r refusal) bool { return r.at.After(old) })
	}
	return h.version
}

// refuse notes that a request for s was refused.
func (h *holes) refuse(s span, code exception) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &h.areas[s.area]
	this := refusal{s, code, time.Now()}
	for i, r := range t.refused {
		if r.span == s {
			t.refused = slices.Clone(t.refused)
			t.refused[i] = this
			return
		}
		if s.contains(r.span) {
			return // that was to be expected
		}
	}
	h.keepLocked(t, func(r refusal) bool { return !r.contains(s) }) // the smaller one says more
	t.refused = append(slices.Clip(t.refused), this)
	slices.SortFunc(t.refused, func(a, b refusal) int { return cmp.Compare(a.start, b.start) })
	h.version++
}

// answered notes that a request for s was answered: nothing within it is refused any more.
func (h *holes) answered(s span) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &h.areas[s.area]
	t.largest = max(t.largest, s.count)
	h.keepLocked(t, func(r refusal) bool { return !s.contains(r.span) })
	if t.bad != 0 && s.count > t.good {
		t.good = s.count
		if t.good >= t.bad {
			t.bad, t.good = 0, 0
		}
		h.version++
	}
}

// tooMuch notes that count at once was refused, though good at once were not and no part is to blame.
func (h *holes) tooMuch(area Area, count, good int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &h.areas[area]
	if t.bad == 0 || count < t.bad {
		t.bad, t.at = count, time.Now()
	}
	t.good = min(max(t.good, good), t.bad-1)
	h.keepLocked(t, func(r refusal) bool { return r.count < t.bad }) // this explains them
	h.version++
}

// doubt takes back what refuse noted of exactly this span.
func (h *holes) doubt(s span) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keepLocked(&h.areas[s.area], func(r refusal) bool { return r.span != s })
}

// largest is the most of an area that was ever answered at once.
func (h *holes) largest(area Area) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.areas[area].largest
}

// limited says whether the device is known to take less at once than count.
func (h *holes) limited(area Area, count int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &h.areas[area]
	return t.bad != 0 && count > t.good
}

// forbids says whether a request for s would be refused, as far as is known.
func (h *holes) forbids(s span) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &h.areas[s.area]
	_, refused := t.within(s)
	return refused || t.bad != 0 && s.count >= t.bad
}

// keepLocked drops the refusals that are not to be kept.
func (h *holes) keepLocked(t *tract, keep func(refusal) bool) {
	if !slices.ContainsFunc(t.refused, func(r refusal) bool { return !keep(r) }) {
		return
	}
	var kept []refusal
	for _, r := range t.refused {
		if keep(r) {
			kept = append(kept, r)
		}
	}
	t.refused = kept
	h.version++
}
