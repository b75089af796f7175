package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"sluice/gateway/message"
)

// Session is what the log keeps of a client between its connections: subscriptions, a cursor, and what
// is under way of QoS 2 in both directions. All methods may be called from any goroutine.
type Session struct {
	slotted
	sessionValue
	set      *sessions
	holders  int
	noted    int64 // used as it is on disk
	cursor   *Cursor
	received received
	flights  flights
	filters  map[string]*subscription
	left     []*tracked // filters that were removed, perhaps not durably yet
}

// sessionValue is the session as the database has it. Subscriptions and what is under way name it by
// number, which is never given out again: what a session leaves behind when it ends is nobody's.
type sessionValue struct {
	id            string
	number        uint64
	created, used int64 // ms of the log clock
	idle          int64 // ms without use after which it expires; 0: it ends with its connection; less: never
}

// SessionStatus is one session as Sessions lists it.
type SessionStatus struct {
	ID            string
	Cursor        string           // its name; empty: it has none and pins nothing
	Position      message.Position // of the cursor
	Subscriptions int
	Open          bool
	Age, Unused   time.Duration // by the log clock; Unused is 0 while it is open
	Limit         time.Duration // of Unused, after which it expires; NeverExpires
}

// NeverExpires is the expiry of a session that waits for its client for ever.
const NeverExpires time.Duration = -1

// ErrNoSession is what a session gives that has ended: it expired, was dropped, or begun anew.
var ErrNoSession = errors.New("the session has ended")

// sessionCursor begins the names of the cursors of sessions. The slot follows, not the id: a name
// keeps its key for ever, and clients may have any number of ids.
const sessionCursor = "session/"

type sessions struct {
	small *small
	slots
	filters    slots
	byID       map[string]*Session
	subscribed int
	expired    uint64
	ahead      []*tracked // at open: what the database says of positions that the log does not reach
}

func newSessions(m *small) sessions {
	return sessions{
		small: m, slots: slots{kind: smallSession, most: maxSessions}, filters: slots{kind: smallSubscription, most: maxSubscriptions},
		byID: make(map[string]*Session),
	}
}

// OpenSession finds a client's session, which is then present, or makes one; with fresh it makes one
// in any case, and what was there ends. The session is in use until Close. A kill ends one whose expiry
// is 0, as Close does.
func (s *Store) OpenSession(id string, expiry time.Duration, fresh bool) (session *Session, present bool, err error) {
	m := &s.small
	m.mu.Lock()
	defer m.mu.Unlock()
	if session, present, err = m.sessions.openLocked(id, expiry, fresh); err != nil {
		return nil, false, fmt.Errorf("open session %q: %w", id, err)
	}
	return session, present, nil
}

func (ss *sessions) openLocked(id string, expiry time.Duration, fresh bool) (*Session, bool, error) {
	if err := checkName("session", id); err != nil {
		return nil, false, err
	}
	now := ss.small.store.clock()
	known, ok := ss.byID[id]
	if ok && known.expiredLocked(now) { // a moment before expireLocked comes round
		fresh = true
		ss.expired++
	}
	if ok && fresh {
		ss.dropLocked(known)
	}
	if ok && !fresh {
		known.holders++
		known.used, known.idle = now, idleOf(expiry)
		if known.cursor != nil {
			known.cursor.openLocked(0)
		}
		ss.small.soilLocked(&known.tracked)
		return known, true, nil
	}
	if err := ss.small.roomLocked(len(id) + 48); err != nil {
		return nil, false, err
	}
	slot, err := ss.takeLocked()
	if err != nil {
		return nil, false, err
	}
	x := &Session{slotted: slotted{slot: slot}, set: ss, holders: 1}
	x.sessionValue = sessionValue{id: id, number: rand.Uint64(), created: now, used: now, idle: idleOf(expiry)}
	x.wireLocked()
	// What the client sent before, and what of it still waits for the disk, was in another session.
	x.received.asOf = ss.small.store.given()
	ss.byID[id] = x
	ss.small.sizeLocked(&x.slotted, len(id)+48)
	ss.small.soilLocked(&x.received.tracked)
	ss.small.soilLocked(&x.tracked)
	return x, false, nil
}

func (x *Session) wireLocked() {
	x.item = x
	x.received.item, x.received.of, x.received.with = &x.received, x, &x.tracked
	x.flights.item, x.flights.of, x.flights.with = &x.flights, x, &x.tracked
}

func idleOf(expiry time.Duration) int64 {
	if expiry < 0 {
		return -1
	}
	return (expiry + time.Millisecond - 1).Milliseconds()
}

func expiryOf(idle int64) time.Duration {
	if idle < 0 {
		return NeverExpires
	}
	return time.Duration(idle) * time.Millisecond
}

// given is the last position that an append was given, durable or not.
func (s *Store) given() message.Position {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return s.queue.next - 1
}

// ID is the client's name.
func (x *Session) ID() string { return x.id }

// Cursor is the session's place in the log; nil before the first subscription. It belongs to the
// session: whoever reads with it does not close it.
func (x *Session) Cursor() *Cursor {
	x.set.small.mu.Lock()
	defer x.set.small.mu.Unlock()
	return x.cursor
}

// Close tells that the client has gone: from now on the session waits for it for expiry, counted by
// the log clock. 0 ends the session.
func (x *Session) Close(expiry time.Duration) {
	m := x.set.small
	m.mu.Lock()
	defer m.mu.Unlock()
	if x.holders > 0 {
		x.holders--
	}
	if x.gone || x.holders > 0 || m.final != nil {
		return
	}
	if x.idle = idleOf(expiry); x.idle == 0 {
		x.set.dropLocked(x)
		return
	}
	x.used = m.store.clock()
	if x.cursor != nil {
		x.cursor.holders = 0
		x.cursor.used = x.used
	}
	m.soilLocked(&x.tracked)
}

// Sync waits until all that was changed in the session is durable.
func (x *Session) Sync(ctx context.Context) error {
	m := x.set.small
	m.mu.Lock()
	values := []*tracked{&x.tracked, &x.received.tracked, &x.flights.tracked}
	if x.cursor != nil {
		values = append(values, &x.cursor.tracked)
	}
	for _, sub := range x.filters {
		if sub.dirty {
			values = append(values, &sub.tracked)
		}
	}
	x.forgetLeftLocked()
	values = append(values, x.left...)
	m.mu.Unlock()
	return m.sync(ctx, values...)
}

// DropSession ends a session whether it is in use or not, durably. A name that is not known is none
// either.
func (s *Store) DropSession(ctx context.Context, id string) error {
	m := &s.small
	m.mu.Lock()
	x, known := m.sessions.byID[id]
	if !known {
		m.mu.Unlock()
		return nil
	}
	m.sessions.dropLocked(x)
	m.mu.Unlock()
	return m.sync(ctx, &x.tracked)
}

// dropLocked ends a session: its value and its cursor in one transaction, then its subscriptions.
func (ss *sessions) dropLocked(x *Session) {
	delete(ss.byID, x.id)
	m := ss.small
	m.dropLocked(&x.slotted)
	m.hurryLocked(&x.tracked)
	if x.cursor != nil {
		m.store.cursors.dropLocked(x.cursor)
	}
	m.bytes -= x.received.size + x.flights.size
	x.received.size, x.flights.size = 0, 0
	for _, sub := range x.filters {
		ss.subscribed--
		m.dropLocked(&sub.slotted)
	}
	x.filters, x.left = nil, nil // what names an ended session is nobody's
}

// EachSession visits the sessions that nobody uses and that have a cursor, with their filters; busy are
// those with messages under way.
func (s *Store) EachSession(visit func(id string, filters []string, busy bool, cursor *Cursor)) {
	type sleeping struct {
		id      string
		filters []string
		busy    bool
		cursor  *Cursor
	}
	var list []sleeping
	s.small.mu.Lock()
	for _, x := range s.small.sessions.byID {
		if x.holders == 0 && x.cursor != nil {
			list = append(list, sleeping{x.id, slices.Sorted(maps.Keys(x.filters)), len(x.flights.runs) > 0, x.cursor})
		}
	}
	s.small.mu.Unlock()
	for _, one := range list {
		visit(one.id, one.filters, one.busy, one.cursor)
	}
}

// Session gives one session.
func (s *Store) Session(id string) (status SessionStatus, known bool) {
	s.small.mu.Lock()
	defer s.small.mu.Unlock()
	x, known := s.small.sessions.byID[id]
	if !known {
		return SessionStatus{}, false
	}
	return x.statusLocked(s.clock()), true
}

// Sessions lists the sessions by id.
func (s *Store) Sessions() []SessionStatus {
	now := s.clock()
	s.small.mu.Lock()
	list := make([]SessionStatus, 0, len(s.small.sessions.byID))
	for _, x := range s.small.sessions.byID {
		list = append(list, x.statusLocked(now))
	}
	s.small.mu.Unlock()
	slices.SortFunc(list, func(a, b SessionStatus) int { return strings.Compare(a.ID, b.ID) })
	return list
}

func (x *Session) statusLocked(now int64) SessionStatus {
	st := SessionStatus{
		ID: x.id, Subscriptions: len(x.filters), Open: x.holders > 0,
		Age: time.Duration(max(0, now-x.created)) * time.Millisecond, Limit: expiryOf(x.idle),
	}
	if !st.Open {
		st.Unused = time.Duration(max(0, now-x.used)) * time.Millisecond
	}
	if x.cursor != nil {
		st.Cursor, st.Position = x.cursor.name, x.cursor.position
	}
	return st
}

// expireLocked ends the sessions whose client has been away for too long, and notes now and then that
// open ones are in use, so that a kill does not make them look idle.
func (ss *sessions) expireLocked(now int64) (gone []SessionStatus) {
	if ss.small.final != nil {
		return nil
	}
	for _, x := range ss.byID {
		switch {
		case x.holders > 0:
			x.used = now
			if x.idle > 0 && now-x.noted >= max(usedEvery.Milliseconds(), x.idle/64) {
				ss.small.soilLocked(&x.tracked)
			}
		case x.expiredLocked(now):
			gone = append(gone, x.statusLocked(now))
			ss.dropLocked(x)
			ss.expired++
		}
	}
	return gone
}

func (x *Session) expiredLocked(now int64) bool {
	return x.holders == 0 && x.idle >= 0 && now-x.used > x.idle
}

func (x *Session) entriesLocked() ([]entry, func()) {
	if x.gone {
		return x.set.goneLocked(&x.slotted)
	}
	used := x.used
	return []entry{x.set.entry(x.slot, x.append(nil))}, func() { x.noted = used }
}

func (v sessionValue) append(b []byte) []byte {
	b = appendText(b, v.id)
	b = binary.BigEndian.AppendUint64(b, v.number)
	b = appendTime(appendTime(b, v.created), v.used)
	return binary.AppendUvarint(b, uint64(v.idle+1))
}

func decodeSession(body []byte) (v sessionValue, err error) {
	in := input{rest: body}
	v.id, v.number = in.name(), in.number()
	v.created, v.used = in.time(), in.time()
	v.idle = in.time() - 1
	return v, in.end("a session")
}

func (ss *sessions) recoverLocked(values []smallValue) {
	byNumber := make(map[uint64]*Session)
	for _, v := range values {
		if v.kind != smallSession {
			continue
		}
		ss.slots.recoverLocked(v.slot)
		body, err := decodeSession(v.body)
		if _, twice := ss.byID[body.id]; v.mark == absent || err != nil || twice {
			ss.giveLocked(v.slot)
			continue
		}
		x := &Session{slotted: slotted{slot: v.slot}, sessionValue: body, set: ss, noted: body.used}
		x.wireLocked()
		ss.byID[body.id], byNumber[body.number] = x, x
		ss.small.sizeLocked(&x.slotted, len(v.body))
	}
	_, tail := ss.small.store.index.ends()
	for _, v := range values {
		if v.mark == absent && v.kind != smallSubscription {
			continue
		}
		switch v.kind {
		case smallReceived:
			body, err := decodeReceived(v.body)
			if x := byNumber[body.number]; err == nil && x != nil {
				x.received.ids, x.received.asOf = body.ids, min(body.asOf, tail)
				x.received.sizeLocked(len(v.body))
				ss.aheadLocked(&x.received.tracked, body.asOf > tail)
			}
		case smallFlights:
			body, err := decodeFlights(v.body)
			if x := byNumber[body.number]; err == nil && x != nil {
				x.flights.upTo, x.flights.runs = min(body.upTo, tail), body.runs
				x.flights.sizeLocked(len(v.body))
				ss.aheadLocked(&x.flights.tracked, body.upTo > tail)
			}
		case smallSubscription:
			ss.filters.recoverLocked(v.slot)
			body, err := decodeSubscription(v.body)
			x := byNumber[body.number]
			if v.mark == absent || err != nil || x == nil || x.filters[body.Filter] != nil {
				ss.filters.giveLocked(v.slot)
				continue
			}
			sub := x.subscriptionLocked(v.slot, body)
			ss.aheadLocked(&sub.tracked, sub.From > tail+1)
			sub.From = min(sub.From, tail+1)
			ss.small.sizeLocked(&sub.slotted, len(v.body))
		}
	}
}

// aheadLocked notes a value of which the log has lost what it speaks of, as a session does that was made
// while something waited for the disk.
func (ss *sessions) aheadLocked(t *tracked, is bool) {
	if is {
		ss.ahead = append(ss.ahead, t)
	}
}

// adoptCursorsLocked gives sessions their cursors. One without its cursor begins where the log does: a
// repeat is better than a loss. A session whose connection a kill has ended ends too, and with it the
// cursors that are no session's.
func (ss *sessions) adoptCursorsLocked() {
	set := &ss.small.store.cursors
	for _, x := range ss.byID {
		name := x.cursorName()
		x.cursor = set.byName[name]
		if x.cursor == nil && len(x.filters) > 0 {
			x.cursor = set.openLocked(name, 1, 0)
			x.cursor.holders = 0
		}
		if c := x.cursor; c != nil {
			x.attachLocked(c)
			if c.position < x.flights.upTo {
				c.position = x.flights.upTo
				set.soilLocked(c)
			}
		}
		if x.idle == 0 {
			ss.dropLocked(x)
		}
	}
	for name, c := range set.byName {
		if strings.HasPrefix(name, sessionCursor) && c.owner == "" {
			set.dropLocked(c)
		}
	}
}

// attachLocked makes a cursor the session's: the two, and what is under way, are durable together.
func (x *Session) attachLocked(c *Cursor) {
	x.cursor, c.owner = c, x.id
	x.with, c.with = &c.tracked, &x.flights.tracked
}

func (x *Session) cursorName() string { return fmt.Sprintf("%s%05d", sessionCursor, x.slot) }
