package hj212

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	wire "sluice/gateway/hj212"
	"sluice/gateway/message"
)

// What can be written to, beside which there are only reports.
const (
	clockPoint   = "clock"
	historyPoint = "history"
)

const (
	maxRange   = 31 * 24 * time.Hour
	clockSlack = 5 * time.Second // between a clock that was set and what it says a moment later
)

var errUnknown = errors.New("outcome unknown")

// request is something that was asked of the logger and is not answered yet.
type request struct {
	answers  chan wire.Packet
	period   Period // of the reports that were asked for; "": none were
	from, to time.Time
	came     chan struct{} // a report of them did
	count    int           // guarded by the station's mu
}

// answered hands an answer to who waits for it. In the edition of 2005 the request is named in the
// data area.
func (s *Station) answered(p wire.Packet) {
	qn := p.QN
	if pairs, err := wire.Pairs(p.Data); err == nil {
		if named := wire.Value(pairs, "QN"); named != "" {
			qn = named
		}
	}
	s.mu.Lock()
	q := s.asked[qn]
	s.mu.Unlock()
	if q == nil {
		return // too late, or to nobody
	}
	select {
	case q.answers <- p:
	default: // a logger that answers more than it was asked
	}
}

// progress counts a report that somebody has asked for.
func (s *Station) progress(r *report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.asked {
		if q.period == r.period && !r.at.Before(q.from) && !r.at.After(q.to) {
			q.count++
			select {
			case q.came <- struct{}{}:
			default:
			}
		}
	}
}

// ask sends a request and waits for its end. Each answer goes to look first, which may end the
// waiting. While reports come that were asked for, waiting goes on.
func (s *Station) ask(ctx context.Context, cn, data string, q *request, look func(wire.Packet) (done bool)) error {
	q.answers, q.came = make(chan wire.Packet, 8), make(chan struct{}, 1)
	line, qn, err := s.begin(q)
	if err != nil {
		return err
	}
	defer s.finish(qn)
	if err := line.send(s.packet(qn, cn, data)); err != nil {
		return fmt.Errorf("the connection broke: %w", errUnknown)
	}
	patience := time.NewTimer(s.options.Timeout)
	defer patience.Stop()
	accepted := false
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), errUnknown)
		case <-patience.C:
			s.shown().Unanswered()
			if accepted {
				return fmt.Errorf("the logger accepted the request and did not say how it went within %v: %w", s.options.Timeout, errUnknown)
			}
			return fmt.Errorf("no answer within %v: %w", s.options.Timeout, errUnknown)
		case <-q.came:
			accepted = true
			patience.Reset(s.options.Timeout)
		case p := <-q.answers:
			done, err := judge(p)
			accepted = true
			if done || err != nil || look(p) {
				return err
			}
			patience.Reset(s.options.Timeout)
		}
	}
}

// judge tells the end of a request from what comes before.
func judge(p wire.Packet) (done bool, err error) {
	pairs, err := wire.Pairs(p.Data)
	if err != nil {
		return false, fmt.Errorf("the answer cannot be read: %w", err)
	}
	switch p.CN {
	case wire.Accepted:
		if code := wire.Value(pairs, "QnRtn"); code != "1" {
			return false, fmt.Errorf("the logger refused: %s", wire.RequestAnswer(code))
		}
	case wire.Result:
		if code := wire.Value(pairs, "ExeRtn"); code != "1" {
			return false, fmt.Errorf("the logger could not: %s", wire.ExecutionResult(code))
		}
		return true, nil
	}
	return false, nil
}

// begin gives a request its number and the connection to send it on.
func (s *Station) begin(q *request) (*conn, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) == 0 {
		return nil, "", errors.New("the logger is not connected")
	}
	if q.period != "" && s.taker == nil {
		return nil, "", errors.New("nobody takes reports now")
	}
	now := time.Now().Truncate(time.Millisecond)
	if !now.After(s.lastQN) {
		now = s.lastQN.Add(time.Millisecond) // a number is used once
	}
	s.lastQN = now
	qn := wire.FormatQN(now.In(s.zone))
	if s.asked == nil {
		s.asked = make(map[string]*request)
	}
	s.asked[qn] = q
	return s.lines[len(s.lines)-1], qn, nil
}

func (s *Station) finish(qn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asked, qn)
}

func (s *Station) packet(qn, cn, data string) wire.Packet {
	flag := wire.AckWanted
	if s.options.Edition != Edition2005 {
		flag |= wire.Version2017
	}
	return wire.Packet{QN: qn, ST: wire.AnswerST, CN: cn, PW: string(s.options.Password), MN: s.options.MN, Flag: flag, Data: data}
}

// Clock asks the logger for its time.
func (s *Station) Clock(ctx context.Context) (time.Time, error) {
	var said time.Time
	problem := errors.New("the logger did not say its time")
	err := s.ask(ctx, wire.GetClock, "", &request{}, func(p wire.Packet) bool {
		pairs, err := wire.Pairs(p.Data)
		text := wire.Value(pairs, "SystemTime")
		if err != nil || p.CN != wire.GetClock || text == "" {
			return false
		}
		said, problem = wire.ParseTime(text, s.zone)
		return true
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("read the clock: %w", err)
	}
	return said, problem
}

// SetClock sets the logger's clock.
func (s *Station) SetClock(ctx context.Context, to time.Time) error {
	err := s.ask(ctx, wire.SetClock, "SystemTime="+wire.FormatTime(to.In(s.zone)), &request{}, func(wire.Packet) bool { return false })
	if err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}

// History asks the logger for the reports of a period between two moments. They come as readings like
// all others; it gives their number when the logger says that it is through.
func (s *Station) History(ctx context.Context, period Period, from, to time.Time) (int, error) {
	switch {
	case period == Realtime || period.command() == "":
		return 0, fmt.Errorf("old reports of the period %q cannot be asked for; minute, hour and day can", period)
	case !from.Before(to):
		return 0, errors.New("the time to ask for ends before it begins")
	case to.Sub(from) > maxRange:
		return 0, fmt.Errorf("the time to ask for is longer than %d days", int(maxRange.Hours()/24))
	}
	q := &request{period: period, from: from.Truncate(time.Second), to: to}
	data := "BeginTime=" + wire.FormatTime(from.In(s.zone)) + ",EndTime=" + wire.FormatTime(to.In(s.zone))
	err := s.ask(ctx, period.command(), data, q, func(wire.Packet) bool { return false })
	s.mu.Lock()
	count := q.count
	s.mu.Unlock()
	if err != nil {
		return count, fmt.Errorf("ask for old reports, of which %d came: %w", count, err)
	}
	return count, nil
}

// Write sets the clock ("clock": "now" or a moment of RFC 3339) or asks for old reports
// ("history": {"period": "hour", "from": …, "to": …}).
func (s *Station) Write(ctx context.Context, point string, value json.RawMessage) (message.Value, error) {
	switch point {
	case clockPoint:
		return s.writeClock(ctx, value)
	case historyPoint:
		var asked struct {
			Period   Period    `json:"period"`
			From, To time.Time // RFC 3339
		}
		if err := json.Unmarshal(value, &asked); err != nil {
			return message.Value{}, fmt.Errorf(`%s is not of the form {"period":"hour","from":"2026-01-01T00:00:00+08:00","to":"…"}: %w`, historyPoint, err)
		}
		count, err := s.History(ctx, asked.Period, asked.From, asked.To)
		if err != nil {
			return message.Value{}, err
		}
		return message.Int(int64(count)), nil
	}
	return message.Value{}, fmt.Errorf("%s cannot be written: a logger's reports go one way; %s and %s can", point, clockPoint, historyPoint)
}

func (s *Station) writeClock(ctx context.Context, value json.RawMessage) (message.Value, error) {
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return message.Value{}, fmt.Errorf("%s is set to \"now\" or to a moment such as \"2026-01-01T00:00:00+08:00\": %w", clockPoint, err)
	}
	to := time.Now()
	if !strings.EqualFold(text, "now") {
		var err error
		if to, err = time.Parse(time.RFC3339, text); err != nil {
			return message.Value{}, fmt.Errorf("%q is neither \"now\" nor a moment such as 2026-01-01T00:00:00+08:00", text)
		}
	}
	sent := time.Now()
	if err := s.SetClock(ctx, to); err != nil {
		return message.Value{}, err
	}
	said, err := s.Clock(ctx)
	if err != nil {
		return message.Value{}, fmt.Errorf("the logger says that its clock is set, but it cannot be read back: %w", err)
	}
	if off := said.Sub(to.Add(time.Since(sent))); off.Abs() > clockSlack {
		return message.Value{}, fmt.Errorf("the logger says that its clock is set, but it is %v off", off.Round(time.Second))
	}
	return message.Text(said.Format(time.RFC3339)), nil
}
