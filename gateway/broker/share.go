package broker

import (
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

// hand is the router's: a message that the log does not hold.
func (sh *share) hand(record *message.Record) (taken bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i := item{record: record}
	if sh.waiting.n == 0 && sh.giveLocked(i) {
		return true
	}
	if len(sh.members) == 0 || !sh.live || !sh.waiting.room(i) {
		return false
	}
	sh.waiting.push(i)
	return true
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
	if first, found := sh.waiting.firstOf(item.logged); found {
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
	first, found := sh.waiting.firstOf(item.logged)
	if found && first.at <= old {
		sh.waiting.rework(func(i *item) bool { return !i.logged() })
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
