package bus

import (
	"errors"
	"slices"
	"time"
)

// Fault is what was wrong with what came instead of an answer. The line sees only that bytes came which
// were none; what they were, the driver knows.
type Fault byte

// The faults.
const (
	Garbled   Fault = iota // bytes that are no frame
	Damaged                // a frame that is cut short or has a wrong checksum
	WrongUnit              // a sound answer of a device that was not asked
	Unrelated              // sound frames that answer something else: late ones, another master's
	AsTCP                  // Modbus TCP where another form of Modbus was expected
	AsRTU                  // Modbus RTU, likewise
	AsASCII                // Modbus ASCII, likewise
	faults                 // how many there are
)

// outcome is what an exchange came to. Each has one.
type outcome byte

const (
	uncounted outcome = iota // nothing was sent, or nobody had to answer
	answered
	refused
	silent                              // nothing came, or nothing but the request
	broken                              // the line went, or nobody waited any more
	faulty                              // and which Fault it was, from here on
	outcomes = faulty + outcome(faults) // how many there are
)

// Refusals is how often a device has refused with a code of its protocol.
type Refusals struct {
	Code  byte
	Count uint64
}

// clientStats is guarded by the client's mu.
type clientStats struct {
	counts   [outcomes]uint64
	last     outcome // of the last exchange, which its driver may still correct
	refusals []Refusals
	late     uint64
	timeout  time.Duration

	timed                   uint64 // answers that were waited for, the sum of whose times is total
	fastest, slowest, total time.Duration
	lastGood                time.Time
	lastTurn                time.Time
}

// outcomeOf says what the exchange that has just ended came to, before its driver has looked at it.
func (p *Port) outcomeOf(q *Request, err error) outcome {
	noReply, isNoReply := errors.AsType[*NoReplyError](err)
	switch {
	case err == nil:
		return answered
	case p.x.sentAt.IsZero(), isNoReply && q.Quiet:
		return uncounted
	case isNoReply && (noReply.Echo || len(noReply.Received) == 0):
		return silent
	case isNoReply, errors.Is(err, ErrNoise):
		return faulty + outcome(Garbled)
	}
	return broken
}

func (c *Client) account(q *Request, o outcome, took time.Duration, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	s.counts[o]++
	s.last = o
	if len(q.Frame) > 0 && !q.Quiet {
		s.timeout = q.Timeout
	}
	if o != answered {
		return
	}
	s.lastGood = at
	if len(q.Frame) == 0 {
		return // what came unasked has not been waited for
	}
	if s.timed++; s.timed == 1 {
		s.fastest = took
	}
	s.total += took
	s.fastest, s.slowest = min(s.fastest, took), max(s.slowest, took)
}

// becomeLocked corrects what the last exchange came to. To one in which nothing came, what is said about
// it changes nothing.
func (s *clientStats) becomeLocked(o outcome) {
	if s.last == answered || s.last == refused || s.last >= faulty {
		s.counts[s.last]--
		s.counts[o]++
		s.last = o
	}
}

func (s *clientStats) refusedLocked(code byte) {
	at, known := slices.BinarySearchFunc(s.refusals, code, func(r Refusals, code byte) int { return int(r.Code) - int(code) })
	if !known {
		s.refusals = slices.Insert(s.refusals, at, Refusals{Code: code})
	}
	s.refusals[at].Count++
}

func (c *Client) noteLate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.late++
}

// turned gives the time since the client's turn before.
func (c *Client) turned(at time.Time) (cycle time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stats.lastTurn.IsZero() {
		cycle = at.Sub(c.stats.lastTurn)
	}
	c.stats.lastTurn = at
	return cycle
}

func (c *Client) figures() ClientStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	fault := func(f Fault) uint64 { return s.counts[faulty+outcome(f)] }
	out := ClientStats{
		Device: c.device, Answers: s.counts[answered] + s.counts[refused], Refused: s.counts[refused], NoReply: s.counts[silent],
		Garbled: fault(Garbled), Damaged: fault(Damaged), WrongUnit: fault(WrongUnit), Unrelated: fault(Unrelated),
		AsTCP: fault(AsTCP), AsRTU: fault(AsRTU), AsASCII: fault(AsASCII),
		Late: s.late, Refusals: slices.Clone(s.refusals), Timeout: s.timeout,
		Timed: s.timed, Fastest: s.fastest, Slowest: s.slowest, LastGood: s.lastGood,
	}
	for _, n := range s.counts[answered:] {
		out.Exchanges += n
	}
	if s.timed > 0 {
		out.Mean = s.total / time.Duration(s.timed)
	}
	return out
}
