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

var errLagging = errors.New("the disk lags: earlier readings wait for it")

// Poller polls one device: every interval one Read becomes one message on
// readings/{gateway}/{device}. Pollers share nothing, so a dead device delays no other.
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
	Interval time.Duration
	Deadline time.Duration // one Read with all its requests; 30 s when 0
	Log      *slog.Logger

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
	defer w.settle()
	next := w.grid.first
	for w.sleepUntil(ctx, next) {
		next = w.poll(ctx)
	}
	return nil
}

// work is what a Poller keeps while it runs; only Run's goroutine touches it.
type work struct {
	*Poller
	log         *slog.Logger
	grid        schedule
	retry       backoff
	timer       *time.Timer
	topic       string
	statusTopic string
	unit        func(point string) string

	reading   message.Reading
	payload   []byte
	numbered  bool   // reading.Epoch and seq are the log's
	seq       uint64 // last one consumed
	announced string // the condition that the last published status told
}

func newWork(p *Poller) *work {
	w := &work{
		Poller:      p,
		log:         p.Log,
		grid:        newSchedule(p.Name, p.Interval, time.Now()),
		retry:       newBackoff(p.Interval),
		timer:       time.NewTimer(time.Hour),
		topic:       "readings/" + p.Gateway + "/" + p.Name,
		statusTopic: "status/" + p.Gateway + "/" + p.Name,
		unit:        func(string) string { return "" },
		reading:     message.Reading{Gateway: p.Gateway, Device: p.Name},
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	w.log = w.log.With("device", p.Name)
	if measured, ok := p.Device.(Measured); ok {
		w.unit = measured.Unit
	}
	p.board.start()
	return w
}

// poll asks the device once and says when to ask again.
func (w *work) poll(ctx context.Context) (next time.Time) {
	at := time.Now()
	w.reading.Time = at.UnixMilli()
	w.reading.Unsynced = at.Year() < trustedSince
	err := w.read(ctx)
	if ctx.Err() != nil {
		return time.Now() // a read that our own end cut short tells nothing about the device
	}
	w.board.polled(at, err != nil)
	if err != nil {
		wait := w.retry.next()
		if w.board.answers(Offline, err.Error()) {
			w.log.Warn("device is offline", "err", err, "retry_in", wait)
		}
		w.announce(ctx)
		return time.Now().Add(wait)
	}
	w.retry = newBackoff(w.Interval)
	nameFaults(w.reading.Points)
	w.board.keep(w.reading.Points, w.unit)
	state, problem := condition(w.reading.Points)
	if w.board.answers(state, problem) {
		if state == Online {
			w.log.Info("device is online")
		} else {
			w.log.Warn("device is degraded", "err", problem)
		}
	}
	w.announce(ctx)
	w.deliver(ctx)
	return w.grid.after(time.Now())
}

func (w *work) read(ctx context.Context) error {
	deadline := w.Deadline
	if deadline <= 0 {
		deadline = defaultDeadline
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	err := w.Device.Read(ctx, &w.reading)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("not read within %s: %w", deadline, err)
	}
	return err
}

// deliver publishes the reading. One that the log does not take now is kept and offered again: what
// the device gave up is not thrown away, and the offer is the probe that tells when to go on.
func (w *work) deliver(ctx context.Context) {
	wait := newBackoff(w.Interval)
	for {
		err := w.publish(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if w.board.block("") {
				w.log.Info("the log takes readings again")
			}
			return
		}
		if errors.Is(err, message.ErrTooLarge) || errors.Is(err, message.ErrTopic) {
			if w.board.answers(Degraded, err.Error()) {
				w.log.Error("reading cannot be published", "err", err)
			}
			return
		}
		if w.board.block(err.Error()) {
			w.log.Warn("polling is paused", "err", err)
		}
		if errors.Is(err, errLagging) {
			continue // it has waited already, and hears at once when the disk catches up
		}
		pause := wait.next()
		if !w.sleepUntil(ctx, time.Now().Add(pause)) {
			return
		}
	}
}

// publish gives the reading the next sequence number, which is consumed only when the log takes it.
func (w *work) publish(ctx context.Context) error {
	if w.receipts.count() >= maxUnsynced && !w.receipts.await(ctx, maxUnsynced-1, w.patience()) {
		return errLagging
	}
	if err := w.number(ctx); err != nil {
		return err
	}
	w.reading.Seq = w.seq + 1
	w.payload = w.reading.AppendJSON(w.payload[:0])
	m := message.Message{
		Topic: w.topic, Payload: w.payload, Time: w.reading.Time, QoS: 1,
		Device: w.Name, Seq: w.reading.Seq,
	}
	w.receipts.expect()
	if err := w.Sink.Publish(ctx, &m, &w.receipts, m.Seq); err != nil {
		w.receipts.refused()
		return err
	}
	w.seq++
	return nil
}

// number makes sure that seq is the log's word: at the start, and again after the log did not keep
// a reading. It waits until nothing is on its way, since the log counts only what is durable.
func (w *work) number(ctx context.Context) error {
	failure := w.receipts.failure()
	if w.numbered && failure == nil {
		return nil
	}
	w.numbered = false
	if failure != nil {
		w.board.block(failure.Error())
	}
	if !w.receipts.await(ctx, 0, w.patience()) {
		return errLagging
	}
	epoch, last, err := w.Sink.Sequence(w.Name)
	if err != nil {
		return fmt.Errorf("sequence number of %s: %w", w.Name, err)
	}
	w.reading.Epoch, w.seq, w.numbered = epoch, last, true
	w.receipts.reset(last)
	return nil
}

// patience is how long the disk may lag before the device is shown as paused.
func (w *work) patience() time.Duration { return max(w.Interval, time.Second) }

// announce publishes the device's condition when it differs from what was published last. What the
// log refuses is tried again with the next poll; only the latest condition counts by then.
func (w *work) announce(ctx context.Context) {
	switch w.receipts.ofStatus() {
	case waiting:
		return
	case lost:
		w.announced = ""
	}
	state, problem := w.board.current()
	if state == w.announced {
		return
	}
	told := status{
		Gateway: w.Gateway, Device: w.Name, State: state, Error: problem, Time: w.reading.Time,
	}
	if w.reading.Unsynced {
		told.Clock = "unsynced"
	}
	m := message.Message{Topic: w.statusTopic, Payload: told.payload(), Time: told.Time, QoS: 1}
	w.receipts.setStatus(waiting)
	if err := w.Sink.Publish(ctx, &m, &w.receipts, 0); err != nil {
		w.receipts.setStatus(lost)
		w.log.Debug("status not published", "state", state, "err", err)
		return
	}
	w.announced = state
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
			if err := w.receipts.failure(); err != nil && w.board.block(err.Error()) {
				w.log.Warn("the log did not keep a reading", "err", err)
			}
		}
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
