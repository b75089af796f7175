package bus

import "time"

// Stats is how a line does.
type Stats struct {
	Name      string
	Place     string // the port or address
	Open      bool
	Since     time.Time // when it was opened, or closed
	LastError string    // of the last exchange that failed; empty since one succeeded
	OpenError string    // why it could not be opened when that was tried last; empty: it could
	Busy      float64   // the share of the last minute in which somebody had the turn
	Waiting   int       // who wait for the turn
	Cycle     time.Duration
	Exchanges uint64
	Failures  uint64 // exchanges without an answer, for whatever reason
	Noise     uint64 // exchanges given up because bytes kept coming
	Echo      bool   // the adapter hears itself
	EchoOff   bool   // an echo is not cut off, because the settings say that there is none
	Echoes    uint64 // exchanges in which it was in front of something else all the same
	EchoOnly  uint64 // exchanges in which nothing but the request itself was heard
	HangUps   uint64 // the adapter went, or the other end closed the connection in the midst of an exchange
	Foreign   uint64 // requests of somebody else, as far as the drivers know them
	Unasked   uint64 // bytes that came while nobody was asked, and were neither late nor somebody else's
	Flaws     uint64 // characters with a parity or framing error, where the port tells
	BytesIn   uint64
	BytesOut  uint64
	Clients   []ClientStats
}

// ClientStats is how one device on a line does. Each of its Exchanges ended as one of Answers, NoReply,
// Garbled, Damaged, WrongUnit, Unrelated, AsTCP, AsRTU and AsASCII, or was broken off.
type ClientStats struct {
	Device    string
	Exchanges uint64
	Answers   uint64     // Refused among them
	Refused   uint64     // the device answered that it will not
	Refusals  []Refusals // those that carry a code, by it
	NoReply   uint64     // nothing came
	Garbled   uint64     // what came was no frame
	Damaged   uint64     // what came was cut short, or had a wrong checksum
	WrongUnit uint64     // a device answered that was not asked
	Unrelated uint64     // what came answered something else
	AsTCP     uint64     // the answer was wrapped as another form of Modbus is
	AsRTU     uint64
	AsASCII   uint64
	Late      uint64        // answers that came when nobody waited for them any more
	Timeout   time.Duration // of the last request

	// From the end of a request to the end of its answer, of as many answers as Timed says. A virtual
	// port, which is faster than its rate, takes no time at all.
	Timed                  uint64
	Fastest, Mean, Slowest time.Duration
	LastGood               time.Time
}

// portStats is guarded by the port's mu.
type portStats struct {
	born      time.Time
	open      bool
	since     time.Time
	lastError string
	openError string
	exchanges uint64
	failures  uint64
	noise     uint64
	echo      bool
	echoes    uint64
	echoOnly  uint64
	hangUps   uint64
	foreign   uint64
	unasked   uint64
	flaws     uint64
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
		Name: p.name, Place: p.settings.place(), Open: s.open, Since: s.since, LastError: s.lastError, OpenError: s.openError, Waiting: waiting,
		Exchanges: s.exchanges, Failures: s.failures, Noise: s.noise, Echo: s.echo, BytesIn: s.in, BytesOut: s.out,
		EchoOff: p.settings.Echo == "off", Echoes: s.echoes, EchoOnly: s.echoOnly, HangUps: s.hangUps,
		Foreign: s.foreign, Unasked: s.unasked, Flaws: s.flaws,
	}
	// What a line does in its first moments says nothing of how it will do.
	if !s.born.IsZero() && time.Since(s.born) >= slotTime {
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

// noteRefused keeps why the line could not be opened.
func (p *Port) noteRefused(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.openError = why
}

func (p *Port) noteNoise() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.noise++
}

// account counts an exchange that has ended.
func (p *Port) account(c *Client, q *Request, err error) {
	o := p.outcomeOf(q, err)
	var flaws uint64
	if err != nil && p.x.in > 0 && p.serial != nil {
		flaws = p.serial.flaws()
	}
	p.mu.Lock()
	s := &p.stats
	s.exchanges++
	s.in += uint64(p.x.in)
	if p.x.sent {
		s.out += uint64(len(q.Frame))
	}
	s.echo = p.echo.state == echoHeard
	s.flaws += flaws
	switch {
	case err == nil:
		if s.lastError != "" {
			s.lastError = ""
		}
	case o == uncounted && p.x.sent:
		// Nobody had to answer.
	default:
		s.failures++
		s.lastError = err.Error()
	}
	if o == silent && p.x.in > 0 {
		s.echoOnly++
	}
	p.mu.Unlock()
	c.account(q, o, max(0, p.lastByte.Sub(p.x.sentAt)), p.ended) // a virtual port is faster than its rate
	if o == answered && p.overdue == c {
		p.overdue = nil // a device answers in the order in which it is asked
	}
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
