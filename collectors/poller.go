package collectors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sluice/gateway/message"
)

const (
	defaultDeadline = 30 * time.Second
	settleTime      = 2 * time.Second // leaves an orderly stop enough of its 5 seconds
	trustedSince    = 2024            // no clock that was ever set is older than this software
)

// Poller polls one device: every interval one Read becomes one message on
// readings/{gateway}/{device}. Points of a group are polled at the group's interval and make messages
// of their own, in the same sequence. Pollers share nothing, so a dead device delays no other. A
// device that is a Reporter is listened to instead.
//
// A sequence number is consumed only by a Publish that returned nil. Polling goes on while earlier
// readings wait for their sync, up to a bound. A device that does not answer yields no reading; it
// is asked again after growing waits, and a message on status/{gateway}/{device} tells of every
// change. When the log refuses a reading the reading is kept and offered again after growing waits,
// and the device is left alone meanwhile.
type Poller struct {
	Gateway  string
	Name     string
	Device   Device // closed when Run returns
	Sink     Sink
	Interval time.Duration // of a Reporter: how often it is expected to speak
	Groups   []Group       // CheckGroups has nothing against these
	Derived  []Derived
	Aligned  bool          // ticks are whole multiples of the interval on the wall clock
	Defaults Policy        // for what the points leave open
	Deadline time.Duration // one Read with all its requests; 30 s when 0
	Log      *slog.Logger
	// Clock gives the time for readings, and whether the clock is set; nil: the machine's, by its year.
	Clock func() (now time.Time, set bool)

	receipts receipts
	board    board
}

// Run polls until ctx ends. Then it waits, for 2 seconds at most, until the log has told what
// became of the last readings: whoever polls this device next asks the log for the last durable
// sequence number, which must not be overtaken by one that is still on its way.
func (p *Poller) Run(ctx context.Context) error {
	if p.Interval <= 0 {
		panic("bug: a Poller needs an interval")
	}
	defer p.Device.Close()
	w := newWork(p)
	defer w.closeParts()
	defer w.settle()
	if reporter, ok := p.Device.(Reporter); ok {
		w.listen(ctx, reporter)
		return nil
	}
	for {
		s := earliest(w.scans)
		// While the device is away one scan probes for all of them.
		if !w.sleepUntil(ctx, later(s.next, w.resume)) {
			return nil
		}
		w.poll(ctx, s)
	}
}

func (w *work) closeParts() {
	for _, s := range w.scans {
		if s.device != w.Device {
			s.device.Close()
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// work is what a Poller keeps while it runs; only Run's goroutine touches it.
type work struct {
	*Poller
	log         *slog.Logger
	scans       []*scan
	count       int // points of the device, without the derived ones
	resume      time.Time
	retry       backoff
	timer       *time.Timer
	topic       string
	statusTopic string

	reading   message.Reading
	inputs    []message.Value
	payload   []byte
	numbered  bool   // reading.Epoch and seq are the log's
	seq       uint64 // last one consumed
	announced string // the condition that the last published status told
}

func newWork(p *Poller) *work {
	points := p.Device.Points()
	w := &work{
		Poller:      p,
		log:         p.Log,
		scans:       p.newScans(points, time.Now()),
		count:       len(points),
		retry:       newBackoff(p.Interval),
		timer:       time.NewTimer(time.Hour),
		topic:       "readings/" + p.Gateway + "/" + p.Name,
		statusTopic: "status/" + p.Gateway + "/" + p.Name,
		reading:     message.Reading{Gateway: p.Gateway, Device: p.Name},
	}
	if _, reports := p.Device.(Reporter); len(w.scans) == 0 && !reports {
		panic("bug: a Poller needs a device with points")
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	w.log = w.log.With("device", p.Name)
	p.board.start(points, p.Derived)
	return w
}

// poll asks for the points of one scan and says when to ask again.
func (w *work) poll(ctx context.Context, s *scan) {
	at := time.Now()
	w.stamp(at)
	err := w.read(ctx, s)
	if ctx.Err() != nil {
		return // a read that our own end cut short tells nothing about the device
	}
	w.board.polled(at, err != nil)
	if err != nil {
		wait := w.retry.next()
		w.resume = time.Now().Add(wait)
		s.next = w.resume
		w.away(ctx, err, "retry_in", wait)
		return
	}
	w.resume, w.retry = time.Time{}, newBackoff(w.Interval)
	w.judge()
	w.announce(ctx)
	w.noticeLoss()
	if s.sift(&w.reading, at) && !w.deliver(ctx) {
		w.forget()
	}
	s.next = s.grid.after(time.Now())
}

func (w *work) stamp(at time.Time) {
	set := at.Year() >= trustedSince
	if w.Clock != nil {
		at, set = w.Clock()
	}
	w.reading.Time = at.UnixMilli()
	w.reading.Unsynced = !set
}

// away records that the device as a whole does not answer.
func (w *work) away(ctx context.Context, err error, details ...any) {
	if w.board.answers(Offline, err.Error()) {
		w.log.Warn("device is offline", append([]any{"err", err}, details...)...)
	}
	w.announce(ctx)
}

// judge tells from all points, whatever group read them last, how the device answers.
func (w *work) judge() {
	state, problem := w.board.judge()
	if !w.board.answers(state, problem) {
		return
	}
	if state == Online {
		w.log.Info("device is online")
	} else {
		w.log.Warn("device is degraded", "err", problem)
	}
}

func (w *work) read(ctx context.Context, s *scan) error {
	deadline := w.Deadline
	if deadline <= 0 {
		deadline = defaultDeadline
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	err := s.read(ctx, w)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("not read within %s: %w", deadline, err)
	}
	return err
}

// sleepUntil waits for a moment on the monotonic clock and shows a failure of the log at once. It
// is false when ctx has ended.
func (w *work) sleepUntil(ctx context.Context, moment time.Time) bool {
	w.timer.Reset(time.Until(moment))
	for {
		select {
		case <-ctx.Done():
			return false
		case <-w.timer.C:
			return ctx.Err() == nil
		case <-w.receipts.woken():
			w.showFailure()
		}
	}
}

func (w *work) showFailure() {
	if err := w.receipts.failure(); err != nil && w.board.block(err.Error()) {
		w.log.Warn("the log did not keep a reading", "err", err)
	}
}

// settle waits for the last receipts after ctx has ended, hence without it.
func (w *work) settle() {
	w.timer.Stop()
	limit := settleTime
	if w.Deadline > 0 {
		limit = min(limit, w.Deadline)
	}
	if !w.receipts.await(context.Background(), 0, limit) {
		w.log.Warn("stopped without hearing from the log", "unsynced", w.receipts.count())
	}
}
