package collectors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/gateway/message"
)

// quietIntervals is how many intervals a device that speaks unasked may be silent before it counts as
// offline: one report may be lost, and the next one may be late.
const quietIntervals = 3

var errNothingToHear = errors.New("there is nothing to listen to any more")

// heard is one reading on its way from a Reporter's goroutine to the Poller's, and the answer back.
type heard struct {
	reading *message.Reading
	durable chan<- error
}

// listen takes what a Reporter hands over until ctx ends. A Report that fails begins again after
// growing waits.
func (w *work) listen(ctx context.Context, reporter Reporter) {
	for ctx.Err() == nil {
		err := w.report(ctx, reporter)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errNothingToHear
		}
		wait := w.retry.next()
		w.stamp(time.Now())
		w.board.polled(time.Now(), true)
		w.away(ctx, err, "retry_in", wait)
		w.sleepUntil(ctx, time.Now().Add(wait))
	}
}

func (w *work) report(ctx context.Context, reporter Reporter) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, ended := make(chan heard), make(chan error, 1)
	go func() {
		ended <- reporter.Report(ctx, func(each context.Context, r *message.Reading) error {
			durable := make(chan error, 1)
			select {
			case from <- heard{r, durable}:
				return <-durable
			case <-each.Done():
				return each.Err()
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	quiet := quietIntervals * w.Interval
	for {
		w.timer.Reset(quiet)
		select {
		case err := <-ended:
			return err
		case h := <-from:
			h.durable <- w.keep(ctx, h.reading)
		case <-w.timer.C:
			w.stamp(time.Now())
			w.away(ctx, fmt.Errorf("nothing was heard for %v", quiet))
		case <-w.receipts.woken():
			w.showFailure()
		}
	}
}

// keep publishes a reading that the device told by itself and waits until it is durable.
func (w *work) keep(ctx context.Context, r *message.Reading) error {
	now := time.Now()
	w.stamp(now)
	if r.Time != 0 {
		w.reading.Time = r.Time
	}
	w.reading.Points = append(w.reading.Points[:0], r.Points...)
	w.retry = newBackoff(w.Interval)
	w.board.polled(now, false)
	held := w.reading.Points
	nameFaults(held)
	w.board.keepNamed(held)
	w.judge()
	w.announce(ctx)
	if !w.deliver(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return message.ErrTooLarge
	}
	if !w.receipts.await(ctx, 0, 0) {
		return ctx.Err()
	}
	if err := w.receipts.failure(); err != nil {
		return fmt.Errorf("the log did not keep the reading: %w", err)
	}
	return nil
}
