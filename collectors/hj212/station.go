package hj212

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	wire "sluice/gateway/hj212"
	"sluice/gateway/message"
)

// maxLines is how many connections of one logger are kept: one that dials anew has often not noticed
// that the old one is dead.
const maxLines = 4

// What a note is about. Each is logged when it changes.
const (
	aboutLine     = "line"
	aboutPassword = "password"
	aboutReports  = "reports"
)

// Station is one data logger, known by its number.
type Station struct {
	driver  *Driver
	name    string // the device's
	options Options
	zone    *time.Location
	points  []point
	specs   []collectors.Spec
	log     *slog.Logger

	delivering sync.Mutex // one report at a time; guards memory
	memory     memory

	mu      sync.Mutex // guards what follows
	entered bool
	visitor *bus.Visitor // shows how the logger does, while it is let in
	taker   *taker
	readers []chan report
	lines   []*conn // the newest last
	asked   map[string]*request
	lastQN  time.Time
	notes   map[string]string
}

type point struct {
	name   string
	factor Factor
	period Period
}

// taker is who takes reports while Report runs.
type taker struct {
	ctx  context.Context
	take func(context.Context, *message.Reading) error
}

// Points are what the configuration names, in its order.
func (s *Station) Points() []collectors.Spec { return slices.Clone(s.specs) }

// Report takes the logger's reports until ctx ends: each becomes one reading with the points of its
// period and its DataTime. The logger is told that a report arrived when take has returned nil.
func (s *Station) Report(ctx context.Context, take func(context.Context, *message.Reading) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.Close()
	s.setTaker(&taker{ctx, take})
	defer func() {
		s.setTaker(nil)
		s.delivering.Lock() // what is being taken has ended when this is had
		defer s.delivering.Unlock()
	}()
	<-ctx.Done()
	return nil
}

// Read waits for the next real-time report, for as long as its connection may be quiet. It does not
// acknowledge the report: what becomes of it is not known here.
func (s *Station) Read(ctx context.Context, r *message.Reading) error {
	if err := s.enter(); err != nil {
		return err
	}
	next := make(chan report, 1)
	s.mu.Lock()
	s.readers = append(s.readers, next)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.readers = slices.DeleteFunc(s.readers, func(c chan report) bool { return c == next })
	}()
	patience := time.NewTimer(s.options.Silence)
	defer patience.Stop()
	select {
	case report := <-next:
		r.Points = report.fillAll(s.points, r.Points[:0])
		return nil
	case <-patience.C:
		return errors.New(s.absence())
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", s.absence(), ctx.Err())
	}
}

// Close lets no logger in any more. What is under way has ended when it returns.
func (s *Station) Close() error {
	s.mu.Lock()
	entered, lines := s.entered, s.lines
	s.entered, s.lines = false, nil
	s.mu.Unlock()
	if !entered {
		return nil
	}
	for _, c := range lines {
		c.net.Close()
	}
	s.driver.leave(s)
	return nil
}

// Trouble says in plain words why no reports come, as far as it is known; "" when they do.
func (s *Station) Trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, about := range []string{aboutPassword, aboutReports, aboutLine} {
		if s.notes[about] != "" {
			return s.notes[about]
		}
	}
	if len(s.lines) == 0 {
		return "the logger is not connected"
	}
	return ""
}

func (s *Station) absence() string {
	if trouble := s.Trouble(); trouble != "" {
		return fmt.Sprintf("no report of logger %s: %s", s.options.MN, trouble)
	}
	return fmt.Sprintf("logger %s is connected, but sends no real-time reports", s.options.MN)
}

// enter lets the logger in if it is not yet. Close undoes it; neither is called while the other runs.
func (s *Station) enter() error {
	s.mu.Lock()
	entered := s.entered
	s.mu.Unlock()
	if entered {
		return nil
	}
	if err := s.driver.enter(s); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entered = true
	return nil
}

// shown is where the monitor is told how the logger does.
func (s *Station) shown() *bus.Visitor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.visitor
}

func (s *Station) show(v *bus.Visitor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visitor = v
}

func (s *Station) setTaker(t *taker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taker = t
}

// heard notes that the logger speaks through c.
func (s *Station) heard(c *conn) {
	s.mu.Lock()
	known := slices.Contains(s.lines, c)
	first := len(s.lines) == 0
	if !known {
		s.lines = append(s.lines, c)
		if len(s.lines) > maxLines {
			s.lines[0].net.Close()
			s.lines = slices.Delete(s.lines, 0, 1)
		}
	}
	s.mu.Unlock()
	if first && !known {
		s.log.Info("the logger is connected", "from", c.net.RemoteAddr())
	}
}

// gone notes that c has ended.
func (s *Station) gone(c *conn) {
	s.mu.Lock()
	before := len(s.lines)
	s.lines = slices.DeleteFunc(s.lines, func(line *conn) bool { return line == c })
	last := before > 0 && len(s.lines) == 0
	s.mu.Unlock()
	if last {
		s.log.Info("the logger has gone")
	}
}

func (s *Station) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines) > 0
}

// note keeps what is wrong and logs it when that changes.
func (s *Station) note(about, problem string) {
	s.mu.Lock()
	before := s.notes[about]
	s.notes[about] = problem
	s.mu.Unlock()
	switch {
	case before == problem:
	case problem != "":
		s.log.Warn("the logger is not understood", "err", problem)
	default:
		s.log.Info("the logger is understood again", "was", before)
	}
}

// take delivers the reports of an upload. The logger may be told so when there is no error.
func (s *Station) take(p wire.Packet) error {
	all, err := reports(p, s.zone)
	if err != nil {
		err = fmt.Errorf("a report cannot be used: %w", err)
		s.note(aboutReports, err.Error())
		return err
	}
	s.note(aboutReports, "")
	for i := range all {
		if err := s.deliver(&all[i], p); err != nil {
			return err
		}
	}
	return nil
}

var errNotTaken = errors.New("it is not acknowledged: nobody takes reports now")

// deliver hands one report on. A repetition counts as delivered.
func (s *Station) deliver(r *report, p wire.Packet) error {
	s.delivering.Lock()
	defer s.delivering.Unlock()
	key := ""
	if p.QN != "" {
		key = p.CN + " " + p.QN + " " + r.stamp
	}
	if key != "" && s.memory.has(key) {
		return nil
	}
	s.mu.Lock()
	to := s.taker
	if r.period == Realtime {
		for _, reader := range s.readers {
			select {
			case reader <- *r:
			default: // it has one
			}
		}
	}
	s.mu.Unlock()
	if to == nil {
		return errNotTaken
	}
	if points := r.fill(s.points, nil); len(points) > 0 {
		if err := to.take(to.ctx, &message.Reading{Time: r.at.UnixMilli(), Points: points}); err != nil {
			s.log.Debug("a report was not taken", "err", err)
			return fmt.Errorf("it is not acknowledged: %w", err) // the logger sends it again
		}
	}
	if key != "" {
		s.memory.add(key)
	}
	s.progress(r)
	return nil
}
