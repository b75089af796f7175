package hj212

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	wire "sluice/gateway/hj212"
	"sluice/gateway/message"
)

// Past is the log, as far as this uplink forwards it; the gateway gives it. It may be asked from several
// goroutines at a time.
type Past interface {
	// Readings hands to take what the uplink's routes make of the records that the log had at the call and
	// that were stored at since or later, in the log's order. devices, unless it is empty, bounds it to
	// the readings of these. It reads a little at a time and gives way to those who deliver; nothing is
	// kept for it. It ends with an error of take, of the log, or with ctx's.
	Readings(ctx context.Context, devices []string, since time.Time, take func(payload []byte, r *message.Record) error) error
}

// What one request for old reports may ask for, and may cost.
const (
	mostSpan    = 31 * 24 * time.Hour // between BeginTime and EndTime
	mostReports = 50_000              // a month of minutes, and some
	mostTime    = 30 * time.Minute

	// aheadOfLog is how much a reading's time may be later than when it was stored: the clock of a logger
	// that it is from may be ahead.
	aheadOfLog = 24 * time.Hour

	pace      = 20 * time.Millisecond // between two old reports
	mostAhead = 4096                  // bytes of them that may wait on the line, in front of a new report
	mostGrace = time.Second           // for new reports, which go first; then one old one goes between them
)

// LookBack lets the server have old reports from past. It is called before Connect.
func (u *Uplink) LookBack(past Past) { u.past = past }

// isPast says whether a command asks for old reports.
func isPast(cn string) bool { return cn == wire.Minute || cn == wire.Hour || cn == wire.Day }

// span is the time that old reports are asked for, both ends included.
type span struct{ from, to time.Time }

func (u *Uplink) span(data string) (span, error) {
	pairs, err := wire.Pairs(data)
	if err != nil {
		return span{}, err
	}
	from, err := wire.ParseTime(wire.Value(pairs, "BeginTime"), u.zone)
	if err != nil {
		return span{}, fmt.Errorf("BeginTime: %w", err)
	}
	to, err := wire.ParseTime(wire.Value(pairs, "EndTime"), u.zone)
	if err != nil {
		return span{}, fmt.Errorf("EndTime: %w", err)
	}
	switch {
	case to.Before(from):
		return span{}, errors.New("EndTime lies before BeginTime")
	case to.Sub(from) > mostSpan:
		return span{}, fmt.Errorf("it asks for more than %d days", int(mostSpan.Hours()/24))
	}
	return span{from, to}, nil
}

// has compares as DataTime has it, without what is less than a second.
func (s span) has(unixMillis int64) bool {
	at := time.UnixMilli(unixMillis).Truncate(time.Second)
	return !at.Before(s.from.Truncate(time.Second)) && !at.After(s.to)
}

// stored is how every reading of the gateway's own begins, in front of its time.
var stored = []byte(`{"gateway":`)

// momentOf gives a reading's time without taking it apart: most of what the log has is not of the time
// that was asked for. known is false for what others may have written.
func momentOf(payload []byte) (unixMillis int64, known bool) {
	if !bytes.HasPrefix(payload, stored) {
		return 0, false
	}
	before, rest, found := bytes.Cut(payload, []byte(`"ts":`))
	if bytes.LastIndexByte(before, '{') != 0 {
		return 0, false // it may be a point's name
	}
	digits := 0
	for ; digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' && digits < 18; digits++ {
		unixMillis = unixMillis*10 + int64(rest[digits]-'0')
	}
	return unixMillis, found && digits > 0
}

// question is a request for old reports that is being answered.
type question struct {
	packet wire.Packet
	span   span
}

// lookBack takes a request for old reports: one is answered at a time, beside the new reports.
func (l *link) lookBack(p wire.Packet) {
	asked, err := l.uplink.span(p.Data)
	q := &question{p, asked}
	l.mu.Lock()
	under := l.question
	if under == nil && err == nil {
		l.question = q
	}
	l.mu.Unlock()
	answers := []wire.Packet{l.answer(p, wire.Accepted, "QnRtn=1")}
	switch {
	case under != nil && under.packet.QN == p.QN: // it is repeated because the answer is on its way
	case err != nil:
		l.uplink.log.Info("a request of the authority's server cannot be carried out", "cn", p.CN, "err", err)
		answers = append(answers, l.answer(p, wire.Result, "ExeRtn="+badCondition))
	case under != nil:
		answers = append(answers, l.answer(p, wire.Result, "ExeRtn="+busy))
	default:
		if l.reply(p, answers...) {
			l.workers.Go(func() { l.tell(q) })
			return
		}
		l.forget()
		return
	}
	l.reply(p, answers...)
}

// What ExeRtn says.
const (
	done         = "1"
	badCondition = "3"
	tookTooLong  = "4"
	busy         = "5"
	faulty       = "6"
	noData       = "100"
)

func (l *link) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.question = nil
}

var errTooMany = fmt.Errorf("there are more than %d reports", mostReports)

// tell answers a question and says how it went.
func (l *link) tell(q *question) {
	defer l.forget()
	ctx, cancel := context.WithTimeout(l.ctx, mostTime)
	defer cancel()
	count, err := l.old(ctx, q)
	log := l.uplink.log.With("cn", q.packet.CN, "from", q.span.from, "to", q.span.to, "reports", count)
	code := done
	switch {
	case l.ctx.Err() != nil || l.Err() != nil:
		log.Info("the connection ended while old reports were sent; the server will ask again") // nobody hears an answer any more
		return
	case errors.Is(err, context.DeadlineExceeded):
		code = tookTooLong
	case errors.Is(err, errTooMany):
		code = badCondition
	case err != nil:
		code = faulty
	case count == 0:
		code = noData
	}
	if err != nil {
		log.Warn("old reports could not be sent", "err", err)
	} else {
		log.Info("old reports were sent, as the authority's server asked for")
	}
	l.reply(q.packet, l.answer(q.packet, wire.Result, "ExeRtn="+code))
}

// old sends what the log has of the time that is asked for.
func (l *link) old(ctx context.Context, q *question) (count int, err error) {
	u := l.uplink
	if !u.has(q.packet.CN) {
		return 0, nil
	}
	err = u.past.Readings(ctx, u.devices(q.packet.CN), q.span.from.Add(-aheadOfLog), func(payload []byte, r *message.Record) error {
		if at, known := momentOf(payload); known && !q.span.has(at) {
			return nil
		}
		all, err := u.reports(payload, r)
		if err != nil {
			return nil // it is no reading
		}
		for i := range all {
			report := &all[i]
			if report.command != q.packet.CN || !q.span.has(report.unixMillis) {
				continue
			}
			if count == mostReports {
				return errTooMany
			}
			if err := l.giveWay(ctx); err != nil {
				return err
			}
			packets, err := u.packets(report, q.packet.QN, l.password)
			if err != nil {
				continue // nor was it sent when it was new
			}
			for i := range packets {
				packets[i].Flag &^= wire.AckWanted // the request's result answers for all of them
			}
			if err := l.write(packets...); err != nil {
				return err
			}
			count++
		}
		return nil
	})
	return count, err
}

// devices names those whose points stand in reports of that kind; none: any device's may.
func (u *Uplink) devices(command string) (names []string) {
	for i := range u.targets {
		switch t := &u.targets[i]; {
		case t.command != command || slices.Contains(names, t.device):
		case t.device == "":
			return nil
		default:
			names = append(names, t.device)
		}
	}
	return names
}

// has says whether there are reports of that kind at all.
func (u *Uplink) has(command string) bool {
	return slices.ContainsFunc(u.targets, func(t target) bool { return t.command == command })
}

// giveWay waits until an old report may go: new ones go first, and the line must have room, or a new one
// would wait behind old ones for longer than its acknowledgement may take.
func (l *link) giveWay(ctx context.Context) error {
	began := time.Now()
	tick := time.NewTimer(pace)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.Lost():
			return l.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
		l.mu.Lock()
		first := l.waiting != "" && time.Since(began) < mostGrace
		l.mu.Unlock()
		if written, reached := l.Moved(); !first && written-reached <= mostAhead {
			return nil
		}
		tick.Reset(pace)
	}
}
