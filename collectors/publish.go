package collectors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/gateway/message"
)

var errLagging = errors.New("the disk lags: earlier readings wait for it")

// deliver publishes the reading. One that the log does not take now is kept and offered again: what
// the device gave up is not thrown away, and the offer is the probe that tells when to go on. It is
// false when the reading was not published and will not be.
func (w *work) deliver(ctx context.Context) bool {
	wait := newBackoff(w.Interval)
	for {
		err := w.publish(ctx)
		if ctx.Err() != nil {
			return err == nil
		}
		if err == nil {
			if w.board.block("") {
				w.log.Info("the log takes readings again")
			}
			return true
		}
		if errors.Is(err, message.ErrTooLarge) || errors.Is(err, message.ErrTopic) {
			if w.board.answers(Degraded, err.Error()) {
				w.log.Error("reading cannot be published", "err", err)
			}
			return false
		}
		if w.board.block(err.Error()) {
			w.log.Warn("polling is paused", "err", err)
		}
		if errors.Is(err, errLagging) {
			continue // it has waited already, and hears at once when the disk catches up
		}
		pause := wait.next()
		if !w.sleepUntil(ctx, time.Now().Add(pause)) {
			return false
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
	w.noticeLoss()
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

// noticeLoss makes everything news again once it is known that the log did not keep a reading: with
// report: change nothing else might ever tell what was in it.
func (w *work) noticeLoss() {
	if w.numbered && w.receipts.failure() != nil {
		w.numbered = false
		w.forget()
	}
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
