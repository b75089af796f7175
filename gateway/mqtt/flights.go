package mqtt

import (
	"slices"
	"sync"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// flights are the messages with QoS 1 and 2 on their way to a client. Each has a packet identifier
// that no other has meanwhile [MQTT-2.2.1-3, MQTT-2.2.1-4], and no more are under way than the client
// takes [MQTT-3.3.4-9]. Those of the session itself are kept in the order of the log: what is
// before the first that is not done with need not be remembered.
type flights struct {
	mu     sync.Mutex // guards what follows
	freed  sync.Cond
	window int      // how many may be under way
	busy   int      // how many are
	slots  []flight // by packet identifier; grows when it is needed
	free   []uint16 // identifiers not in use, a ring; the longest unused goes first
	first  int
	count  int
	own    []uint16 // of the session's own, in the order of their positions; begin is the first that counts
	begin  int
	passed message.Position // what is up to it was handed out, or is nobody's
	acked  int              // since Acked was asked last
	exact  bool             // some of the session's own have QoS 2: a kill must not forget their state
	kept   bool             // there is a session that remembers its own
	closed bool
}

// flight is one of them.
type flight struct {
	Flight
	origin   origin
	qos      byte
	inUse    bool
	retained *retainedJob
}

// origin says on whose account a message goes out.
type origin int

const (
	ofNobody   origin = -2 // of a shared subscription, begun on an earlier connection
	ofRetained origin = -1 // a retained message, for a new subscription
	ofSession  origin = 0
	// above: the number of a shared subscription
)

// maxSpan is how many of its own a session remembers: so many the log takes. A client that leaves one
// unanswered and answers those behind it waits until it does.
const maxSpan = 250

func (f *flights) init(window int, passed message.Position, kept bool) {
	f.freed.L = &f.mu
	f.window, f.passed, f.kept = window, passed, kept
}

// take gives an identifier. Before it waits for one it calls hurry, to let out what the client may
// have to acknowledge first. It reports false once the flights are closed.
func (f *flights) take(hurry func()) (id uint16, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.waitLocked(hurry) {
		return 0, false
	}
	if f.count == 0 {
		f.growLocked(max(8, 2*len(f.slots)))
	}
	id = f.free[f.first]
	f.first = (f.first + 1) % len(f.free)
	f.count--
	f.busy++
	f.slots[id] = flight{Flight: Flight{ID: id}, inUse: true}
	return id, true
}

// takeAgain counts a flight of an earlier connection as under way.
func (f *flights) takeAgain(hurry func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.waitLocked(hurry) {
		return false
	}
	f.busy++
	return true
}

func (f *flights) waitLocked(hurry func()) bool {
	if f.fullLocked() && !f.closed {
		f.mu.Unlock()
		hurry()
		f.mu.Lock()
	}
	for f.fullLocked() && !f.closed {
		f.freed.Wait()
	}
	return !f.closed
}

func (f *flights) fullLocked() bool { return f.busy >= f.window || len(f.own)-f.begin >= maxSpan }

// growLocked makes room for identifiers up to n.
func (f *flights) growLocked(n int) {
	n = min(n, 65535)
	before := max(1, len(f.slots))
	slots := make([]flight, n+1)
	copy(slots, f.slots)
	free := make([]uint16, n)
	for i := range f.count {
		free[i] = f.free[(f.first+i)%len(f.free)]
	}
	for id := before; id <= n; id++ {
		free[f.count] = uint16(id)
		f.count++
	}
	f.slots, f.free, f.first = slots, free, 0
}

// restore puts in what was under way when the client went, before anything else is: the session's own,
// in the order of their positions, and what it took over from shared subscriptions.
func (f *flights) restore(own, taken []Flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	highest := 8
	for _, u := range append(slices.Clip(own), taken...) {
		highest = max(highest, int(u.ID))
	}
	f.growLocked(highest)
	for i, u := range append(slices.Clip(own), taken...) {
		slot := &f.slots[u.ID]
		if u.ID == 0 || slot.inUse {
			continue // a tail that was lost
		}
		*slot = flight{Flight: u, inUse: true, qos: 2, origin: ofNobody}
		if u.State == FlightSent {
			slot.qos = 1
		}
		if u.State == FlightReceived {
			f.busy++ // its PUBREL goes out at once
		}
		if i < len(own) {
			slot.origin = ofSession
			f.own = append(f.own, u.ID)
			f.exact = f.exact || slot.qos == 2
		}
	}
	kept := f.free[:0:0]
	for i := range f.count {
		if id := f.free[(f.first+i)%len(f.free)]; !f.slots[id].inUse {
			kept = append(kept, id)
		}
	}
	f.count, f.first = len(kept), 0
	copy(f.free, kept)
	f.trimLocked()
}

// begun says what a taken identifier is for. The session's own begin in the order of their positions.
func (f *flights) begun(id uint16, from origin, at message.Position, qos byte, job *retainedJob) {
	f.mu.Lock()
	defer f.mu.Unlock()
	slot := &f.slots[id]
	again := slot.Position != 0
	slot.Position, slot.origin, slot.qos, slot.retained = at, from, qos, job
	if from != ofSession || !f.kept {
		return
	}
	if !again {
		f.own = append(f.own, id)
	}
	if qos == 2 {
		slot.State, f.exact = FlightSentExactly, true
	}
}

// handed notes that everything up to a position was handed out, or is nobody's.
func (f *flights) handed(upTo message.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.passed = max(f.passed, upTo)
}

// ofShares gives what came through shared subscriptions with QoS 2 and is not done with.
func (f *flights) ofShares() (taken []flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, slot := range f.slots {
		if slot.inUse && slot.qos == 2 && slot.origin != ofSession && slot.origin != ofRetained && slot.State != FlightDone {
			taken = append(taken, slot)
		}
	}
	return taken
}

// acknowledged is told of PUBACK, PUBCOMP, or a PUBREC that refuses: the flight is done with. It gives
// what it was; ok is false when there is no such one.
func (f *flights) acknowledged(id uint16, qos byte) (done flight, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if int(id) >= len(f.slots) || !f.slots[id].inUse || f.slots[id].State == FlightDone || f.slots[id].qos != qos {
		return flight{}, false
	}
	slot := &f.slots[id]
	done = *slot
	slot.State = FlightDone
	f.busy = max(0, f.busy-1)
	f.acked++
	if slot.origin == ofSession && f.kept {
		f.trimLocked()
	} else {
		f.releaseLocked(id)
	}
	f.freed.Signal()
	return done, true
}

// lost is told of one to be sent once more that nobody has any more.
func (f *flights) lost(id uint16) {
	f.mu.Lock()
	defer f.mu.Unlock()
	slot := &f.slots[id]
	slot.State = FlightDone
	if slot.origin != ofSession {
		f.releaseLocked(id)
		return
	}
	f.trimLocked()
}

// trimLocked lets go of the session's own up to the first that is not done with.
func (f *flights) trimLocked() {
	for f.begin < len(f.own) && f.slots[f.own[f.begin]].State == FlightDone {
		// They begin in order, so nothing before it is still to come, however much of its batch is.
		f.passed = max(f.passed, f.slots[f.own[f.begin]].Position)
		f.releaseLocked(f.own[f.begin])
		f.begin++
	}
	switch {
	case f.begin == len(f.own):
		f.own, f.begin, f.exact = f.own[:0], 0, false
	case f.begin > 64 && f.begin > len(f.own)/2:
		f.own = append(f.own[:0], f.own[f.begin:]...)
		f.begin = 0
	}
}

func (f *flights) releaseLocked(id uint16) {
	f.slots[id] = flight{}
	f.free[(f.first+f.count)%len(f.free)] = id
	f.count++
}

// received is told of PUBREC: from now on only the release is under way.
func (f *flights) received(id uint16) (was flight, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if int(id) >= len(f.slots) || !f.slots[id].inUse || f.slots[id].State == FlightDone || f.slots[id].qos != 2 {
		return flight{}, false
	}
	slot := &f.slots[id]
	slot.State = FlightReceived
	return *slot, true
}

// state gives what a session must remember: everything up to upTo is done with, and what is under way
// behind it. exact says that the states in it matter, because some have QoS 2.
func (f *flights) state() (upTo message.Position, under []Flight, exact bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	upTo = f.upToLocked()
	for _, id := range f.own[f.begin:] {
		under = append(under, f.slots[id].Flight)
	}
	return upTo, under, f.exact
}

// done gives the position up to which everything is done with, and how many acknowledgements came
// since it was called last.
func (f *flights) done() (upTo message.Position, acked int, exact bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	acked, f.acked = f.acked, 0
	return f.upToLocked(), acked, f.exact
}

func (f *flights) upToLocked() message.Position {
	if f.begin < len(f.own) {
		return min(f.passed, f.slots[f.own[f.begin]].Position-1)
	}
	return f.passed
}

func (f *flights) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.freed.Broadcast()
}

// qosOf is the QoS that an acknowledgement of this type is for.
func qosOf(t packet.Type) byte {
	if t == packet.PUBACK {
		return 1
	}
	return 2
}
