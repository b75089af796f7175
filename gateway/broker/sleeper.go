package broker

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"sluice/gateway/message"
)

// sleeper is a session whose client is away. While nothing has come for it its cursor follows the
// log, so that it does not pin what it does not want. Once something has, it is out of the router's
// way.
type sleeper struct {
	name    string
	cursor  Cursor
	filters []*interest
	shares  []*share // that it is a durable member of

	// guarded by the router's mutex
	waiting bool             // something has come for it, or may have
	upTo    message.Position // nothing has up to here
	place   int              // in router.settled
	gone    bool
}

const (
	followEvery  = 5 * time.Second
	followAtOnce = 100 // cursors: thousands that follow a busy log all at once would wear out flash
	doubtPause   = 10 * time.Millisecond
)

// Sleep takes care of a session whose client is away: it has filters, those of shared subscriptions as
// "$share/GROUP/FILTER", and a cursor, which nobody else moves until Wake. While nothing comes for it
// the cursor follows the log. What the cursor has not passed yet is looked through in the background.
// Messages for it are kept in the log whatever their QoS.
func (b *Broker) Sleep(name string, filters []string, cursor Cursor) error {
	r := &b.router
	r.mu.Lock()
	defer r.mu.Unlock()
	b.wakeLocked(name)
	s := &sleeper{name: name, cursor: cursor, upTo: cursor.Position(), waiting: true}
	for _, filter := range filters {
		group, shared := strings.CutPrefix(filter, "$share/")
		if !shared {
			s.filters = append(s.filters, &interest{sleeper: s, filter: filter})
			continue
		}
		group, filter, _ = strings.Cut(group, "/")
		sh, err := b.shareLocked(group, filter, true)
		if err != nil {
			return fmt.Errorf("sleep: %w", err)
		}
		if !slices.Contains(s.shares, sh) {
			s.shares = append(s.shares, sh)
		}
	}
	for _, in := range s.filters {
		b.durable.add(in.filter)
	}
	for _, sh := range s.shares {
		sh.mu.Lock()
		sh.sleepers++
		sh.mu.Unlock()
	}
	r.sleepers[name] = s
	if !r.settleLocked(s) {
		r.unsure = append(r.unsure, s)
		r.doubt()
	}
	return nil
}

func (r *router) doubt() {
	select {
	case r.doubts <- struct{}{}:
	default:
	}
}

// Wake ends what Sleep began: the session is about to subscribe again, from its cursor on.
func (b *Broker) Wake(name string) {
	r := &b.router
	r.mu.Lock()
	defer r.mu.Unlock()
	b.wakeLocked(name)
}

// Sleepers lists the sessions that sleep.
func (b *Broker) Sleepers() []string {
	r := &b.router
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.sleepers))
}

// Forget is Wake for a session that has ended: shared subscriptions whose last durable member it was
// lose their place.
func (b *Broker) Forget(name string) {
	r := &b.router
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sh := range b.wakeLocked(name) {
		sh.mu.Lock()
		b.forgetLocked(sh)
		b.endShareLocked(sh)
		sh.mu.Unlock()
	}
}

func (b *Broker) wakeLocked(name string) (shares []*share) {
	r := &b.router
	s := r.sleepers[name]
	if s == nil {
		return nil
	}
	delete(r.sleepers, name)
	s.gone = true
	if !s.waiting {
		r.unsettleLocked(s)
		s.cursor.Move(r.position())
	}
	for _, in := range s.filters {
		b.durable.remove(in.filter)
	}
	for _, sh := range s.shares {
		sh.mu.Lock()
		sh.sleepers--
		sh.mu.Unlock()
	}
	return s.shares
}

// settleLocked lets a sleeper wait for what the router hands over, if it has passed all of what was.
func (r *router) settleLocked(s *sleeper) bool {
	if s.upTo < r.position() {
		return false
	}
	s.waiting = false
	for _, in := range s.filters {
		in.after = s.upTo
		r.trie.add(in.filter, in)
	}
	s.place = len(r.settled)
	r.settled = append(r.settled, s)
	return true
}

func (r *router) unsettleLocked(s *sleeper) {
	for _, in := range s.filters {
		r.trie.remove(in.filter, in)
	}
	last := len(r.settled) - 1
	moved := r.settled[last]
	r.settled[s.place] = moved
	moved.place = s.place
	r.settled[last] = nil
	r.settled = r.settled[:last]
}

// rouse notes the first record that has come for a sleeper. It stays in the log, which its cursor pins
// from then on.
func (s *sleeper) rouse(at message.Position) {
	s.waiting = true
	s.upTo = at - 1
}

func (r *router) rouseLocked() {
	for _, s := range r.roused {
		r.unsettleLocked(s)
		s.cursor.Move(s.upTo)
	}
	clear(r.roused)
	r.roused = r.roused[:0]
}

// followSleepers moves the cursors of those for whom nothing comes, and finds out for whom something has.
func (r *router) followSleepers(ctx context.Context) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	r.doubt() // those that an earlier run has left
	for {
		select {
		case <-ctx.Done():
			r.follow(math.MaxInt) // whoever starts next finds them where they are
			return
		case <-ticker.C:
			r.follow(followAtOnce)
		case <-r.doubts:
			for ctx.Err() == nil && r.resolve() {
				wait(ctx, doubtPause)
			}
		}
	}
}

// follow moves so many cursors to where the router is; the next call goes on behind them.
func (r *router) follow(most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.position()
	for range min(most, len(r.settled)) {
		r.turn = (r.turn + 1) % len(r.settled)
		if s := r.settled[r.turn]; s.upTo < at {
			s.upTo = at
			s.cursor.Move(at)
		}
	}
	for _, sh := range r.shares {
		sh.mu.Lock()
		sh.followLocked()
		sh.mu.Unlock()
	}
}

// resolve looks a bit further through what one sleeper's cursor has not passed. It says whether there
// is more to do.
func (r *router) resolve() bool {
	r.mu.Lock()
	var s *sleeper
	for len(r.unsure) > 0 && s == nil {
		if s = r.unsure[0]; s.gone || r.settleLocked(s) {
			r.unsure[0] = nil
			r.unsure = r.unsure[1:]
			s = nil
		}
	}
	if s == nil {
		r.mu.Unlock()
		return false
	}
	from := s.upTo + 1
	r.mu.Unlock()

	wanted := make(filters, len(s.filters))
	for i, in := range s.filters {
		wanted[i] = in.filter
	}
	tail, _ := r.log.Tail()
	found, next := []message.Record(nil), tail+1
	var err error
	if len(wanted) > 0 {
		buffer := scratch.Get().(*[]message.Record)
		defer scratch.Put(buffer)
		found, next, err = scan(r.log, (*buffer)[:0], from, scanRecords, wanted)
		defer func() {
			*buffer = found
			clear(found)
		}()
	}
	if next <= from {
		next = max(from, tail+1)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case s.gone:
	case len(found) > 0 || err != nil: // what cannot be read stays pinned
		r.unsure[0] = nil
		r.unsure = r.unsure[1:]
		if len(found) > 0 {
			s.upTo = found[0].Position - 1
		}
		s.cursor.Move(s.upTo)
	default:
		s.upTo = next - 1
		r.settleLocked(s)
		if !s.waiting {
			r.unsure[0] = nil
			r.unsure = r.unsure[1:]
		}
		s.cursor.Move(s.upTo)
	}
	return true
}
