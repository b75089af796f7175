package bridge

import (
	"fmt"
	"sync"
	"time"
)

// What State.State says.
const (
	Connecting = "connecting" // opening a connection
	Online     = "online"     // connected
	Waiting    = "waiting"    // for the next try
)

// State is a Forwarder as the page shows it.
type State struct {
	State     string
	Since     time.Time // it is online, or has not been: tries in between do not change it
	LastError string    // plain words; empty when all is well
	Tries     uint64    // to connect, since the start
	Failed    int       // of them, those in a row that have led to no connection
	NextTry   time.Time // zero when none is waited for
	InFlight  int       // sent, but not acknowledged without a hole
	Sent      uint64    // acknowledged since the start
	Repeated  uint64    // sent again after a lost connection
	Stalls    uint64    // connections given up because nothing was acknowledged any more
	SetAside  uint64    // kept for people because the cloud does not want them
	Looped    uint64    // came down although they had been here before, and were dropped
	Rate      float64   // acknowledged messages a second, over the last seconds
}

// record is what State is read from. It belongs to a Forwarder and outlives its connections.
type record struct {
	mu          sync.Mutex // guards what follows
	state       string
	since       time.Time
	lastError   string
	untilAnswer bool   // lastError is only disproved by an acknowledgement, not by a new connection
	notReceived string // why commands do not come down on this connection
	tries       uint64
	failed      int // tries since the last that led to a connection
	nextTry     time.Time
	flight      *flight
	sent        uint64
	repeated    uint64
	stalls      uint64
	aside       uint64
	loops       uint64
	asideReason string
	rate        meter
}

// connecting counts a try as failed until online disproves it.
func (r *record) connecting() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enterLocked(Connecting)
	r.tries++
	r.failed++
	r.nextTry = time.Time{}
}

func (r *record) enterLocked(state string) {
	if r.state == "" || (r.state == Online) != (state == Online) {
		r.since = time.Now()
	}
	r.state = state
}

func (r *record) online(f *flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enterLocked(Online)
	r.flight = f
	r.failed = 0
	r.notReceived = ""
	if !r.untilAnswer {
		r.lastError = ""
	}
}

// landed forgets a connection that is closed.
func (r *record) landed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enterLocked(Waiting)
	r.flight = nil
}

// offline says why there is no connection, and when the next is tried. stalled failures show until
// something is acknowledged.
func (r *record) offline(err error, stalled bool, next time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enterLocked(Waiting)
	r.lastError = err.Error()
	r.untilAnswer = stalled
	r.nextTry = time.Now().Add(next)
	if stalled {
		r.stalls++
	}
}

func (r *record) refused(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastError, r.untilAnswer = text, true
}

// setAside counts a message that the cloud does not want. Why is told while nothing worse is wrong.
func (r *record) setAside(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aside++
	r.asideReason = reason
	r.lastError, r.untilAnswer = "", false
}

func (r *record) looped() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loops++
}

func (r *record) cannotReceive(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notReceived = text
}

func (r *record) moved(n int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent += uint64(n)
	r.rate.add(n, now)
	r.lastError, r.untilAnswer = "", false
}

func (r *record) sentAgain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.repeated++
}

// State may be called at any time.
func (f *Forwarder) State() State {
	r := &f.record
	r.mu.Lock()
	defer r.mu.Unlock()
	s := State{State: r.state, Since: r.since, LastError: r.lastError,
		Tries: r.tries, Failed: r.failed, NextTry: r.nextTry,
		Sent: r.sent, Repeated: r.repeated, Stalls: r.stalls,
		SetAside: r.aside, Looped: r.loops, Rate: r.rate.perSecond(time.Now())}
	if s.State == Connecting {
		s.Failed-- // the one that is under way
	}
	if s.State == "" {
		s.State = Connecting // Run has not begun
	}
	if s.LastError == "" {
		s.LastError = r.notReceived
	}
	if s.LastError == "" && r.aside > 0 {
		s.LastError = fmt.Sprintf("%d messages were set aside since the start, the last because: %s", r.aside, r.asideReason)
	}
	if r.flight != nil {
		s.InFlight = r.flight.inFlight()
	}
	return s
}

// meterSeconds is the span that a rate is taken over.
const meterSeconds = 5

// meter counts in one bucket a second and so needs nobody who ticks. It runs on monotonic time: a
// clock that is set must not make it jump.
type meter struct {
	started time.Time
	second  [meterSeconds + 1]int64 // which second since started a bucket counts; the newest one still grows
	count   [meterSeconds + 1]int
}

func (m *meter) add(n int, now time.Time) {
	if m.started.IsZero() {
		m.started = now
	}
	second := int64(now.Sub(m.started) / time.Second)
	i := second % int64(len(m.count))
	if m.second[i] != second {
		m.second[i], m.count[i] = second, 0
	}
	m.count[i] += n
}

// perSecond is over the last whole seconds: the one that still grows would make it tremble.
func (m *meter) perSecond(now time.Time) float64 {
	if m.started.IsZero() {
		return 0
	}
	second, sum := int64(now.Sub(m.started)/time.Second), 0
	for i, s := range m.second {
		if s >= second-meterSeconds && s < second {
			sum += m.count[i]
		}
	}
	// In the first seconds a full span would understate what is going on.
	return float64(sum) / float64(max(1, min(meterSeconds, second)))
}
