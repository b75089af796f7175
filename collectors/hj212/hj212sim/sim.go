// Package hj212sim plays a data logger that speaks HJ 212: it connects to the gateway, reports what it
// measures, sends again what nobody acknowledges, answers requests, and misbehaves when told to.
package hj212sim

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Fault is a way in which the logger misbehaves.
type Fault string

// The faults. A healthy logger has none.
const (
	Healthy       Fault = ""
	Silence       Fault = "silence"        // it is connected and says nothing
	BadChecksum   Fault = "bad-checksum"   // one digit of the checksum is wrong
	LowerCase     Fault = "lower-case"     // the checksum is in lower case: legal
	Fragments     Fault = "fragments"      // a packet comes in pieces with pauses: legal
	Glued         Fault = "glued"          // two packets come in one piece: legal
	Noise         Fault = "noise"          // bytes before the packet, with ## in them
	CutShort      Fault = "cut-short"      // a packet breaks off, and the next one follows at once
	WrongPassword Fault = "wrong-password" // another PW
	WrongNumber   Fault = "wrong-number"   // another MN
	Packets       Fault = "packets"        // one report in several packets, which share their QN: legal
	OwnQN         Fault = "own-qn"         // the same, each with its own QN: seen in the field
	RawCut        Fault = "raw-cut"        // the same, cut anywhere
	LostPacket    Fault = "lost-packet"    // one of the packets never comes
	Repeat        Fault = "repeat"         // every report comes twice
	Deaf          Fault = "deaf"           // acknowledgements are not understood
	Faulty        Fault = "faulty"         // the analysers are flagged as faulty
	NotANumber    Fault = "not-a-number"   // a value that is none
	GBK           Fault = "gbk"            // Chinese text in GBK among the values: legal
	NoDataTime    Fault = "no-data-time"   // a report without its moment
	NoAnswer      Fault = "no-answer"      // requests are not answered
	Refuse        Fault = "refuse"         // requests are refused
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{Silence, BadChecksum, LowerCase, Fragments, Glued, Noise, CutShort, WrongPassword, WrongNumber, Packets, OwnQN,
		RawCut, LostPacket, Repeat, Deaf, Faulty, NotANumber, GBK, NoDataTime, NoAnswer, Refuse}
}

// What a logger is called when Options say nothing else.
const (
	DefaultMN       = "88888880000001"
	DefaultPassword = "123456"
)

// Options say what the logger is.
type Options struct {
	Address      string // of the gateway, host:port
	MN, Password string
	Edition      int              // 2017 or 2005; 0: 2017
	Interval     time.Duration    // between real-time reports; 0: 10 s
	OverTime     time.Duration    // how long an acknowledgement may take; 0: 5 s
	ReCount      int              // how often a report is sent again; 0: 3
	Redial       time.Duration    // after a connection that failed; 0: 1 s
	Clock        func() time.Time // nil: the system's
}

// Counts is what the logger saw so far.
type Counts struct {
	Connections int
	Reports     int // first sendings of real-time reports
	Repeated    int // sendings again
	Acked       int // reports that were acknowledged
	GivenUp     int // reports that were not, after ReCount
	Requests    int // of the gateway
	Rejected    int // reports that were answered by 9011 with an error
	Damaged     int // lines of the gateway that are no packets
}

// Logger is one data logger.
type Logger struct {
	options Options
	zone    *time.Location

	mu     sync.Mutex // guards what follows
	fault  Fault
	counts Counts
	offset time.Duration // of its clock
	lastQN time.Time
}

// New makes a logger, which connects once Run runs.
func New(o Options) *Logger {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&o.Interval, 10*time.Second)
	set(&o.OverTime, 5*time.Second)
	set(&o.Redial, time.Second)
	if o.ReCount == 0 {
		o.ReCount = 3
	}
	if o.MN == "" {
		o.MN = DefaultMN
	}
	if o.Password == "" {
		o.Password = DefaultPassword
	}
	if o.Edition == 0 {
		o.Edition = 2017
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Logger{options: o, zone: time.FixedZone("UTC+8", 8*3600)}
}

// Misbehave makes the logger do so until it is told otherwise; Healthy ends it.
func (l *Logger) Misbehave(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
}

// Seen says what the logger saw so far.
func (l *Logger) Seen() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// SetClock puts the logger's clock off.
func (l *Logger) SetClock(offset time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offset = offset
}

func (l *Logger) count(change func(*Counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.counts)
}

func (l *Logger) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.options.Clock().Add(l.offset).In(l.zone)
}

// qn gives a number that was not used before.
func (l *Logger) qn() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.options.Clock().In(l.zone).Truncate(time.Millisecond)
	if !t.After(l.lastQN) {
		t = l.lastQN.Add(time.Millisecond)
	}
	l.lastQN = t
	return fmt.Sprintf("%s%03d", t.Format("20060102150405"), t.Nanosecond()/1e6)
}

func (l *Logger) misbehaves() Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

// Run keeps a connection to the gateway until ctx ends.
func (l *Logger) Run(ctx context.Context) error {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", l.options.Address)
		if err == nil {
			l.count(func(c *Counts) { c.Connections++ })
			l.talk(ctx, conn)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(l.options.Redial):
		}
	}
}

// sent is a report that waits for its acknowledgement.
type sent struct {
	packets [][]byte
	due     time.Time
	tries   int
}

// talk uses one connection up.
func (l *Logger) talk(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	lines := make(chan string)
	ended := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(lines)
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			select {
			case lines <- line:
			case <-ended:
				return
			}
		}
	})
	defer reading.Wait()
	defer conn.Close()
	defer close(ended)
	s := &session{Logger: l, conn: conn, open: map[string]*sent{}}
	tick, look := time.NewTicker(l.options.Interval), time.NewTicker(max(l.options.OverTime/4, time.Millisecond))
	defer tick.Stop()
	defer look.Stop()
	for s.err == nil {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			s.hear(line)
		case <-tick.C:
			s.report()
		case <-look.C:
			s.again()
		}
	}
}

// session is one connection.
type session struct {
	*Logger
	conn net.Conn
	open map[string]*sent // by QN
	err  error
}

// say writes packets, in the way of the fault.
func (s *session) say(packets ...[]byte) {
	for i, p := range packets {
		pieces := [][]byte{p}
		switch s.misbehaves() {
		case Silence:
			return
		case Fragments:
			pieces = [][]byte{p[:1], p[1:5], p[5 : len(p)/2], p[len(p)/2 : len(p)-1], p[len(p)-1:]}
		case Noise:
			pieces = [][]byte{append([]byte("\x00##noise##12"), p...)}
		case CutShort:
			pieces = [][]byte{append(append([]byte(nil), p[:len(p)/2]...), p...)}
		case LostPacket:
			if i == 1 {
				continue
			}
		}
		for j, piece := range pieces {
			if j > 0 {
				time.Sleep(2 * time.Millisecond) // between TCP segments, else they are one again
			}
			if _, err := s.conn.Write(piece); err != nil {
				s.err = err
				return
			}
		}
	}
}

// again sends what nobody has acknowledged in time.
func (s *session) again() {
	now := time.Now()
	for qn, r := range s.open {
		switch {
		case now.Before(r.due):
		case r.tries > s.options.ReCount:
			delete(s.open, qn)
			s.count(func(c *Counts) { c.GivenUp++ })
		default:
			r.tries++
			r.due = now.Add(s.options.OverTime)
			s.count(func(c *Counts) { c.Repeated++ })
			s.say(r.packets...)
		}
	}
}

// hear takes a line from the gateway.
func (s *session) hear(line string) {
	h, ok := parse(line)
	if !ok || h["MN"] != s.options.MN {
		s.count(func(c *Counts) { c.Damaged++ })
		return
	}
	switch h["CN"] {
	case "9014":
		if _, waits := s.open[h["QN"]]; waits && s.misbehaves() != Deaf {
			delete(s.open, h["QN"])
			s.count(func(c *Counts) { c.Acked++ })
		}
	case "9011":
		s.count(func(c *Counts) { c.Rejected++ })
	default:
		s.count(func(c *Counts) { c.Requests++ })
		s.answer(h)
	}
}

// segment gives a packet's segment; extra stands between head and data.
func (s *session) segment(qn, st, cn string, flag int, extra, data string) string {
	mn, password := s.options.MN, s.options.Password
	switch s.misbehaves() {
	case WrongNumber:
		mn = "0000"
	case WrongPassword:
		password = "654321"
	}
	version := 4
	if s.options.Edition == 2005 {
		version = 0
	}
	return fmt.Sprintf("QN=%s;ST=%s;CN=%s;PW=%s;MN=%s;Flag=%d;%sCP=&&%s&&", qn, st, cn, password, mn, version|flag, extra, data)
}

func (s *session) packet(qn, st, cn string, flag int, data string) []byte {
	return frame(s.segment(qn, st, cn, flag, "", data))
}

// report sends what is measured now and waits for the acknowledgement by and by.
func (s *session) report() {
	qn, at := s.qn(), s.now()
	packets := s.realtime(qn, at)
	s.open[qn] = &sent{packets: packets, due: time.Now().Add(s.options.OverTime), tries: 1}
	s.count(func(c *Counts) { c.Reports++ })
	s.say(packets...)
	if s.misbehaves() == Repeat {
		s.say(packets...)
	}
}

// realtime gives a 2011 report in one packet or in several.
func (s *session) realtime(qn string, at time.Time) [][]byte {
	flag, stamp := "N", at.Format("20060102150405")
	fault := s.misbehaves()
	if fault == Faulty {
		flag = "D"
	}
	groups := StateAt(at).realtime(s.options.Edition, flag)
	switch fault {
	case NotANumber:
		groups[0] = strings.Replace(groups[0], "=", "=--", 1)
	case GBK:
		groups = append(groups, "i13001-Info=\xd6\xd0\xce\xc4\x81\x7e")
	case Packets, OwnQN, RawCut, LostPacket:
		return s.parts(fault, qn, stamp, groups)
	}
	text := data(stamp, groups)
	if fault == NoDataTime {
		text = strings.Join(groups, ";")
	}
	p := s.packet(qn, "32", "2011", 1, text)
	switch fault {
	case BadChecksum:
		p[len(p)-3] ^= 1
	case LowerCase:
		p = append(p[:len(p)-6], strings.ToLower(string(p[len(p)-6:]))...)
	case Glued:
		return [][]byte{append(p, p...)}
	}
	return [][]byte{p}
}

// parts spreads a report over three packets.
func (s *session) parts(fault Fault, qn, stamp string, groups []string) [][]byte {
	pieces := []string{data(stamp, groups[:1]), data(stamp, groups[1:2]), data(stamp, groups[2:])}
	if fault == RawCut {
		whole := data(stamp, groups)
		pieces = []string{whole[:33], whole[33:50], whole[50:]}
	}
	var packets [][]byte
	for i, piece := range pieces {
		if fault == OwnQN && i > 0 {
			qn = s.qn()
		}
		extra := fmt.Sprintf("PNUM=%d;PNO=%d;", len(pieces), i+1)
		packets = append(packets, frame(s.segment(qn, "32", "2011", 3, extra, piece)))
	}
	return packets
}
