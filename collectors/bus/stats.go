package bus

import (
	"errors"
	"time"
)

// Stats is how a line does.
type Stats struct {
	Name      string
	Place     string // the port or address
	Open      bool
	Since     time.Time // when it was opened, or closed
	LastError string    // of the last exchange that failed; empty since one succeeded
	Busy      float64   // the share of the last minute in which somebody had the turn
	Waiting   int       // who wait for the turn
	Cycle     time.Duration
	Exchanges uint64
	Failures  uint64 // exchanges without an answer, for whatever reason
	Noise     uint64 // exchanges given up because bytes kept coming
	Echo      bool   // the adapter hears itself
	BytesIn   uint64
	BytesOut  uint64
	Clients   []ClientStats
}

// ClientStats is how one device on a line does.
type ClientStats struct {
	Device    string
	Exchanges uint64
	NoReply   uint64 // nothing came
	Garbled   uint64 // what came was no answer
	Refused   uint64 // the device answered that it will not
	// From the end of a request to the end of its answer.
	Fastest, Mean, Slowest time.Duration
	LastGood               time.Time
}

// portStats is guarded by the port's mu.
type portStats struct {
	born      time.Time
	open      bool
	since     time.Time
	lastError string
	exchanges uint64
	failures  uint64
	noise     uint64
	echo      bool
	in, out   uint64
	minute    minute
}

// minute is what happened within the last one, in slots of five seconds.
type minute struct{ slots [12]slot }

type slot struct {
	number int64
	busy   time.Duration
	cycle  time.Duration
}

const slotTime = 5 * time.Second

func (m *minute) at(age time.Duration) *slot {
	number := int64(age / slotTime)
	s := &m.slots[number%int64(len(m.slots))]
	if s.number != number {
		*s = slot{number: number}
	}
	return s
}

func (m *minute) sum(age time.Duration) (busy float64, cycle time.Duration) {
	number := int64(age / slotTime)
	var taken time.Duration
	for _, s := range m.slots {
		if s.number > number-int64(len(m.slots)) {
			taken += s.busy
			cycle = max(cycle, s.cycle)
		}
	}
	// The eleven slots before this one, and what of this one has passed.
	seen := min(age, time.Duration(len(m.slots)-1)*slotTime+age%slotTime)
	if seen <= 0 {
		return 0, cycle
	}
	return min(1, float64(taken)/float64(seen)), cycle
}

// Stats gives the figures as they are now.
func (p *Port) Stats() Stats {
	waiting := p.turns.waiting()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.stats
	out := Stats{
		Name: p.name, Place: p.settings.place(), Open: s.open, Since: s.since, LastError: s.lastError, Waiting: waiting,
		Exchanges: s.exchanges, Failures: s.failures, Noise: s.noise, Echo: s.echo, BytesIn: s.in, BytesOut: s.out,
	}
	if !s.born.IsZero() {
		out.Busy, out.Cycle = s.minute.sum(time.Since(s.born))
	}
	if p.call != nil {
		out.Open = true // a DTU has called, and the next exchange answers
	}
	for _, c := range p.clients {
		out.Clients = append(out.Clients, c.figures())
	}
	return out
}

// Working says whether the line is open and its last exchange succeeded.
func (s *Stats) Working() bool { return s.Open && s.LastError == "" }

func (p *Port) noteOpen(open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stats.open != open || p.stats.since.IsZero() {
		p.stats.open, p.stats.since = open, time.Now()
	}
}

func (p *Port) noteNoise() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.noise++
}

// account counts an exchange that has ended.
func (p *Port) account(c *Client, q *Request, err error) {
	p.mu.Lock()
	s := &p.stats
	s.exchanges++
	s.in += uint64(p.x.in)
	if p.x.sent {
		s.out += uint64(len(q.Frame))
	}
	s.echo = p.echo.state == echoHeard
	switch {
	case err != nil:
		s.failures++
		s.lastError = err.Error()
	case s.lastError != "":
		s.lastError = ""
	}
	p.mu.Unlock()
	c.account(max(0, p.lastByte.Sub(p.x.sentAt)), p.ended, err) // a virtual port is faster than its rate
}

// begin and end frame a turn.
func (p *Port) begin(since time.Time) {
	p.since, p.turnBegan, p.exchanges = since, time.Now(), 0
}

func (p *Port) end(c *Client) {
	now := time.Now()
	cycle := c.turned(p.turnBegan)
	p.mu.Lock()
	s := &p.stats
	if s.born.IsZero() {
		s.born = p.turnBegan
	}
	at := s.minute.at(now.Sub(s.born))
	at.busy += now.Sub(p.turnBegan)
	at.cycle = max(at.cycle, cycle)
	p.mu.Unlock()
	p.turns.give()
}

// clientStats is guarded by the client's mu.
type clientStats struct {
	exchanges, good, noReply, garbled, refused uint64
	fastest, slowest, total                    time.Duration
	lastGood                                   time.Time
	lastTurn                                   time.Time
	judged                                     bool // the last exchange is counted as what it was
}

func (c *Client) account(took time.Duration, at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	s.exchanges++
	s.judged = err != nil
	if err == nil {
		s.good++
		s.total += took
		s.slowest = max(s.slowest, took)
		if s.good == 1 {
			s.fastest = took
		}
		s.fastest, s.lastGood = min(s.fastest, took), at
		return
	}
	if noReply, ok := errors.AsType[*NoReplyError](err); ok {
		if len(noReply.Received) > 0 && !noReply.Echo {
			s.garbled++
		} else {
			s.noReply++
		}
	}
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
	out := ClientStats{
		Device: c.device, Exchanges: s.exchanges, NoReply: s.noReply, Garbled: s.garbled, Refused: s.refused,
		Fastest: s.fastest, Slowest: s.slowest, LastGood: s.lastGood,
	}
	if s.good > 0 {
		out.Mean = s.total / time.Duration(s.good)
	}
	return out
}
