package broker

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

	"sluice/gateway/message"
)

// share is a shared subscription: each message goes to one of its members. Like a subscription it is
// live or behind; then it is its members that read the log for it, whichever wants more.
type share struct {
	broker *Broker
	name   string // "share/GROUP/FILTER"
	number int
	filter string
	in     *interest
	listed bool // in age.listed; guarded by the router's mutex

	mu       sync.Mutex // guards what follows
	members  []*member
	turn     int  // of members: who is asked first
	live     bool // changes under the router's mutex too
	seen     message.Position
	next     message.Position // where reading the log goes on; of one that is behind
	scanning bool             // a member reads the log
	waiting  inbox            // for a member that takes more
	out      []given          // to members and not done, in order
	done     int              // of out: done with
	loose    int              // of out: to be given again
	cursor   Cursor           // of one that is durable, else nil
	sleepers int              // that are durable members
	ended    bool
}

// member is one subscription's part in a share.
type member struct {
	share *share
	sub   *Subscription

	durable bool // guarded by share.mu
	held    int  // given and not done; guarded by share.mu

	queued int  // in the inbox of sub; guarded by sub.mu
	gone   bool // guarded by sub.mu
}

// given is a message on its way to a client.
type given struct {
	at     message.Position
	member *member // nil: to be given to somebody else
	done   bool
}

const (
	shareWindow  = 16    // messages that wait in a member's inbox: those of a slow one wait for it
	maxShareHeld = 65535 // messages that a member has not done, which is what MQTT's receive maximum allows
)

// Join makes s a member of the shared subscription of that group and filter: each message goes to one of its
// members. Its number stands in the deliveries that come through it. durable says that the member's
// session outlives its connection: the share's place is then kept under the cursor "share/GROUP/FILTER".
func (s *Subscription) Join(group, filter string, durable bool) (number int, err error) {
	r := &s.broker.router
	r.mu.Lock()
	defer r.mu.Unlock()
	sh, err := s.broker.shareLocked(group, filter, durable)
	if err != nil {
		return 0, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := slices.IndexFunc(sh.members, func(m *member) bool { return m.sub == s }); i >= 0 {
		sh.members[i].durable = durable
		return sh.number, nil
	}
	m := &member{share: sh, sub: s, durable: durable}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.members = append(slices.Clip(s.members), m)
	}
	s.mu.Unlock()
	if closed {
		s.broker.endShareLocked(sh)
		return 0, message.ErrClosed
	}
	sh.members = append(sh.members, m)
	r.listLocked(s, r.position())
	sh.distributeLocked()
	s.signal()
	return sh.number, nil
}

// Leave ends a membership: what the member was given and has not done goes to another one, or waits. ended
// says that its session ends, too: with the last durable one the share's place is forgotten.
func (s *Subscription) Leave(number int, ended bool) {
	s.mu.Lock()
	i := slices.IndexFunc(s.members, func(m *member) bool { return m.share.number == number })
	if i < 0 {
		s.mu.Unlock()
		return
	}
	m := s.members[i]
	m.gone = true
	s.members = slices.Delete(slices.Clone(s.members), i, i+1)
	s.inbox.rework(func(i *item) bool { return i.member != m })
	s.mu.Unlock()

	r := &s.broker.router
	r.mu.Lock()
	defer r.mu.Unlock()
	sh := m.share
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := slices.Index(sh.members, m); i >= 0 {
		sh.members = slices.Delete(sh.members, i, i+1)
	}
	for i := range sh.out {
		if g := &sh.out[i]; g.member == m && !g.done {
			g.member = nil
			sh.loose++
		}
	}
	sh.distributeLocked()
	sh.wakeLocked()
	if ended && m.durable {
		s.broker.forgetLocked(sh)
	}
	s.broker.endShareLocked(sh)
}

// Done says that the member's client has the message at that position: with QoS 0 that it was written.
func (s *Subscription) Done(number int, at message.Position) {
	m := s.member(number)
	if m == nil {
		return
	}
	m.share.mu.Lock()
	defer m.share.mu.Unlock()
	m.share.doneLocked(m, at)
}

func (s *Subscription) member(number int) *member {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		if m.share.number == number {
			return m
		}
	}
	return nil
}

// shareLocked finds a share, or makes it. The router's mutex is held.
func (b *Broker) shareLocked(group, filter string, durable bool) (*share, error) {
	r := &b.router
	name := "share/" + group + "/" + filter
	sh := r.shares[name]
	made := sh == nil
	if made {
		tail, _ := r.log.Tail()
		sh = &share{broker: b, name: name, number: r.numbers + 1, filter: filter, live: true, seen: tail}
		sh.in = &interest{share: sh, filter: filter}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if durable && sh.cursor == nil {
		place := sh.lowestLocked() - 1
		cursor, err := r.log.OpenCursor(name, place)
		if err != nil {
			return nil, fmt.Errorf("open the cursor %s: %w", name, err)
		}
		sh.cursor = cursor
		switch {
		case !made:
			cursor.Move(place)
		case cursor.Position() < place: // it was there before
			sh.live, sh.next = false, cursor.Position()+1
		}
		b.durable.add(filter)
	}
	if made {
		r.numbers++
		r.shares[name] = sh
		r.trie.add(filter, sh.in)
		r.listLocked(sh, r.position())
	}
	return sh, nil
}

// forgetLocked drops the place of a share that has no durable member any more.
func (b *Broker) forgetLocked(sh *share) {
	if sh.cursor == nil || sh.sleepers > 0 || slices.ContainsFunc(sh.members, func(m *member) bool { return m.durable }) {
		return
	}
	sh.cursor.Close()
	sh.cursor = nil
	b.durable.remove(sh.filter)
	if log, can := b.log.(forgetfulLog); can {
		_ = log.DropCursor(sh.name) // it fails only when the log is closing, and then the next start finds the cursor again
	}
}

// endShareLocked lets a share go that nobody needs any more.
func (b *Broker) endShareLocked(sh *share) {
	if len(sh.members) > 0 || sh.cursor != nil {
		return
	}
	sh.ended = true
	sh.waiting.rework(func(*item) bool { return false })
	b.router.trie.remove(sh.filter, sh.in)
	delete(b.router.shares, sh.name)
}

// offer is the router's: a record that matches. Without a member it stays in the log.
func (sh *share) offer(record *message.Record) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !sh.live || record.Position <= sh.seen {
		return
	}
	sh.seen = record.Position
	i := item{record: record, at: record.Position}
	switch {
	case sh.loose == 0 && sh.waiting.n == 0 && sh.giveLocked(i):
	case len(sh.members) > 0 && sh.waiting.room(i):
		sh.waiting.push(i)
	default:
		sh.live, sh.next = false, record.Position
	}
}

// giveLocked gives a message to the next member that takes more.
func (sh *share) giveLocked(i item) bool {
	for n := range sh.members {
		at := (sh.turn + n) % len(sh.members)
		m := sh.members[at]
		if m.held >= maxShareHeld || !m.take(i) {
			continue
		}
		sh.turn = at + 1
		if i.at != 0 {
			m.held++
			sh.out = append(sh.out, given{at: i.at, member: m})
		}
		sh.broker.router.handed.Add(1)
		return true
	}
	return false
}

// take puts a message into the member's inbox, unless it has enough.
func (m *member) take(i item) bool {
	s := m.sub
	s.mu.Lock()
	i.member = m
	taken := !m.gone && !s.closed && m.queued < shareWindow && s.inbox.room(i)
	if taken {
		m.queued++
		s.inbox.push(i)
	}
	s.mu.Unlock()
	if taken {
		s.signal()
	}
	return taken
}

// distributeLocked gives what waits to the members that take more: first what others were given
// and had not done.
func (sh *share) distributeLocked() {
	for i := 0; sh.loose > 0 && i < len(sh.out); i++ {
		if sh.out[i].member != nil || sh.out[i].done {
			continue
		}
		m := sh.regiveLocked(item{at: sh.out[i].at})
		if m == nil {
			return
		}
		sh.out[i].member = m
		m.held++
		sh.loose--
	}
	for sh.waiting.n > 0 {
		i, _ := sh.waiting.firstOf(func(item) bool { return true })
		if !sh.giveLocked(i) {
			return
		}
		sh.waiting.pop()
	}
}

func (sh *share) regiveLocked(i item) *member {
	for n := range sh.members {
		at := (sh.turn + n) % len(sh.members)
		if m := sh.members[at]; m.held < maxShareHeld && m.take(i) {
			sh.turn = at + 1
			return m
		}
	}
	return nil
}

// serveShares gives s more of its shares' messages when it has room for them.
func (s *Subscription) serveShares(ctx context.Context) error {
	s.mu.Lock()
	members := s.members
	s.mu.Unlock()
	for _, m := range members {
		for ctx.Err() == nil {
			s.mu.Lock()
			wants := m.queued < shareWindow/2 && !m.gone
			s.mu.Unlock()
			if !wants {
				break
			}
			more, err := m.share.serve()
			if err != nil {
				return err
			}
			if !more {
				break
			}
		}
	}
	return nil
}

// serve gives what waits to those who take more, and reads the log when nothing waits and the share is
// behind. It says whether there may be more to read.
func (sh *share) serve() (more bool, err error) {
	sh.mu.Lock()
	sh.distributeLocked()
	if sh.live || sh.scanning || sh.waiting.n > 0 || sh.loose > 0 {
		sh.mu.Unlock()
		return false, nil
	}
	sh.scanning = true
	from := sh.next
	sh.mu.Unlock()

	r := &sh.broker.router
	buffer := scratch.Get().(*[]message.Record)
	defer scratch.Put(buffer)
	tail, _ := r.log.Tail()
	records, next, err := scan(r.log, (*buffer)[:0], from, scanRecords/4, filters{sh.filter})
	kept := slices.Clone(records)
	*buffer = records
	clear(records)
	if next <= from && err == nil { // nothing was there
		next = max(from, tail+1)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.scanning = false
	defer sh.wakeLocked() // one of the others may have to read on
	if err != nil {
		return false, err
	}
	for i := range kept {
		it := item{record: &kept[i], at: kept[i].Position}
		if !sh.waiting.room(it) {
			next = it.at
			break
		}
		sh.waiting.push(it)
	}
	sh.next = next
	if next > r.position() {
		sh.live = true
		sh.seen = max(sh.seen, next-1)
	}
	sh.distributeLocked()
	return !sh.live, nil
}

// wakeLocked wakes the members of a share that is behind while nobody reads for it.
func (sh *share) wakeLocked() {
	if sh.live || sh.scanning {
		return
	}
	for _, m := range sh.members {
		m.sub.signal()
	}
}

// doneLocked takes a message off what is out.
func (sh *share) doneLocked(m *member, at message.Position) {
	g := sh.givenLocked(m, at)
	if g == nil {
		return
	}
	g.done = true
	sh.done++
	m.held--
	if sh.out[0].done {
		for len(sh.out) > 0 && sh.out[0].done {
			sh.out = sh.out[1:]
			sh.done--
		}
		sh.followLocked()
	}
	if sh.done > len(sh.out)/2 { // behind one that takes its time
		sh.out = slices.DeleteFunc(sh.out, func(g given) bool { return g.done })
		sh.done = 0
	}
}

// givenLocked finds what a member was given and has not done.
func (sh *share) givenLocked(m *member, at message.Position) *given {
	i := sort.Search(len(sh.out), func(i int) bool { return sh.out[i].at >= at })
	if i == len(sh.out) || sh.out[i].at != at || sh.out[i].member != m || sh.out[i].done {
		return nil
	}
	return &sh.out[i]
}

// followLocked moves the share's cursor to what nobody wants again.
func (sh *share) followLocked() {
	if sh.cursor != nil {
		sh.cursor.Move(sh.lowestLocked() - 1)
	}
}

// lowestLocked is the position of the first message that is not done.
func (sh *share) lowestLocked() message.Position {
	if len(sh.out) > 0 { // the first of them is never done
		return sh.out[0].at
	}
	if first, found := sh.waiting.firstOf(func(i item) bool { return i.at != 0 }); found {
		return first.at
	}
	if !sh.live {
		return sh.next
	}
	return max(sh.seen, sh.broker.router.position()) + 1
}

func (sh *share) fallBehind(next message.Position) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.live {
		sh.live, sh.next = false, max(next, sh.seen+1)
	}
	sh.wakeLocked()
}

func (sh *share) retire(old message.Position) (oldest message.Position, some bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	first, found := sh.waiting.firstOf(func(i item) bool { return true })
	if found && first.at <= old {
		sh.waiting.rework(func(*item) bool { return false })
		sh.live, sh.next = false, first.at
		sh.wakeLocked()
		found = false
	}
	if !found {
		first.at = sh.broker.router.position()
	}
	return first.at, !sh.ended
}

func (sh *share) isListed() *bool { return &sh.listed }

// load reads from the log what came through a share without its record: because another member had it
// before, or because it lay in the inbox for too long. What was trimmed meanwhile is done with; what
// cannot be read goes back.
func (s *Subscription) load(dst []message.Delivery, start int) ([]message.Delivery, error) {
	kept := start
	var failed error
	for i := start; i < len(dst); i++ {
		if d := &dst[i]; d.Topic == "" {
			found, err := s.broker.log.Read(nil, d.Position, 1)
			switch {
			case err != nil:
				failed = err
				s.giveBack(d.Share, d.Position)
				continue
			case len(found) == 0 || found[0].Position != d.Position:
				s.Done(d.Share, d.Position)
				continue
			}
			d.Record = found[0]
		}
		dst[kept] = dst[i]
		kept++
	}
	clear(dst[kept:])
	if dst = dst[:kept]; kept > start {
		failed = nil
	}
	return dst, failed
}

// giveBack makes a message that s was given one for the next member.
func (s *Subscription) giveBack(number int, at message.Position) {
	m := s.member(number)
	if m == nil {
		return
	}
	m.share.mu.Lock()
	defer m.share.mu.Unlock()
	if g := m.share.givenLocked(m, at); g != nil {
		g.member = nil
		m.held--
		m.share.loose++
	}
}
