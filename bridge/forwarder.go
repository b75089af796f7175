package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	defaultWindow = 100
	defaultStall  = 30 * time.Second
	// farewell is how long the answers of what is in flight are waited for when the gateway stops.
	farewell = 2 * time.Second
	// maxBatch is how many records are asked of a Source at once.
	maxBatch = 256
)

// Forwarder keeps one uplink busy: it connects, sends what its routes bring within one window, and
// starts again where the acknowledgements ended when the connection is lost. Fill in the exported
// fields and call Run once.
type Forwarder struct {
	Name    string // of the uplink, for the log
	Gateway string
	// Origin names the log that the messages are from, so that their identities differ from those
	// of another gateway, or of this one with another log.
	Origin  string
	Uplink  Uplink
	Routes  []Route
	Receive []ReceiveRoute
	// Deliver publishes what came down from the cloud. It is needed only with Receive.
	Deliver func(ctx context.Context, topic string, m *Incoming) error
	// Limits bound everything that goes up, Backfill what goes up beside a live lane besides.
	Limits, Backfill Limits
	// Tries is how often a message that the cloud refuses is offered to it before it is set aside; 0: 10.
	Tries int
	// Window is how many messages may be in flight, over all routes; 0: 100.
	Window int
	// Stall is how long messages may be in flight without any being acknowledged before the
	// connection is given up; 0: 30 s.
	Stall time.Duration
	// Retry is the longest wait between two tries to connect; 0: 30 s.
	Retry time.Duration
	Log   *slog.Logger // nil: slog.Default()

	random   func(ceiling time.Duration) time.Duration // nil: math/rand; tests draw their own jitter
	record   record
	gate     gate
	watchers watchers
}

// Run forwards until ctx ends; then it waits briefly for the answers of what is in flight and
// returns nil. It returns an error at once when a route cannot be understood.
func (f *Forwarder) Run(ctx context.Context) error {
	lanes, receivers, err := f.compile()
	if err != nil {
		return fmt.Errorf("uplink %s: %w", f.Name, err)
	}
	log := f.logger()
	wait := backoff{cap: f.Retry, random: f.random}
	trouble := "" // what was last logged: a failure that stays the same is not news
	for {
		if until, shut := f.gate.until(); shut {
			f.record.offline(errCut, false, time.Until(until))
			wait.reset() // the line was good before
			if !f.gate.pass(ctx) {
				return nil
			}
		}
		f.record.connecting()
		link, err := f.Uplink.Connect(ctx)
		stalled := false
		if err == nil {
			log.Info("uplink is online")
			trouble = ""
			var acknowledged bool
			acknowledged, err = f.serve(ctx, link, lanes, receivers)
			if acknowledged {
				wait.reset()
			}
			stalled = errors.Is(err, errStalled)
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errCut) {
			log.Warn("uplink was cut on purpose")
			continue
		}
		delay := wait.next()
		f.record.offline(err, stalled, delay)
		if text := err.Error(); text != trouble {
			log.Warn("uplink is offline", "err", err, "retry_in", delay)
			trouble = text
		}
		if !pause(ctx, delay) {
			return nil
		}
	}
}

func (f *Forwarder) logger() *slog.Logger {
	log := f.Log
	if log == nil {
		log = slog.Default()
	}
	return log.With("uplink", f.Name)
}

func (f *Forwarder) window() int {
	if f.Window <= 0 {
		return defaultWindow
	}
	return f.Window
}

func (f *Forwarder) stall() time.Duration {
	if f.Stall <= 0 {
		return defaultStall
	}
	return f.Stall
}

func (f *Forwarder) compile() ([]*lane, []*receiver, error) {
	lanes, err := f.lanes()
	if err != nil {
		return nil, nil, err
	}
	if len(f.Receive) > 0 && f.Deliver == nil {
		return nil, nil, errors.New("bug: there are receive routes, but nobody to deliver to")
	}
	var receivers []*receiver
	for _, r := range f.Receive {
		compiled, err := r.compile(f.Gateway)
		if err != nil {
			return nil, nil, fmt.Errorf("receive: %w", err)
		}
		receivers = append(receivers, compiled)
	}
	return lanes, receivers, nil
}

// serve uses one link up. It says whether the cloud acknowledged anything on it, and why it ended.
func (f *Forwarder) serve(ctx context.Context, link Link, lanes []*lane, receivers []*receiver) (acknowledged bool, err error) {
	for _, l := range lanes {
		if live, able := l.source.(LiveSource); able && l.Live != nil {
			live.Begin()
		}
	}
	flight := newFlight(f, link)
	f.record.online(flight)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var workers sync.WaitGroup
	for _, l := range lanes {
		workers.Go(func() { flight.send(sending, l) })
	}
	workers.Go(func() { f.subscribe(sending, link, receivers) })

	err = flight.watch(ctx)
	stop()
	workers.Wait()
	if ctx.Err() != nil {
		flight.drain(farewell)
	}
	if closing := link.Close(); closing != nil && err == nil {
		err = closing
	}
	acknowledged = flight.end()
	f.record.landed()
	for _, l := range lanes {
		l.source.Rewind()
	}
	return acknowledged, err
}

// subscribe asks the cloud for what the receive routes want. That it may not have it does not stop
// the readings.
func (f *Forwarder) subscribe(ctx context.Context, link Link, receivers []*receiver) {
	if len(receivers) == 0 {
		return
	}
	from, able := link.(Receiver)
	if !able {
		f.record.cannotReceive("this kind of uplink cannot receive")
		return
	}
	log := f.logger()
	for _, r := range receivers {
		deliver := func(ctx context.Context, m *Incoming) error { return f.receive(ctx, log, r, m) }
		if err := from.Receive(ctx, r.filter, deliver); err != nil {
			if ctx.Err() == nil {
				log.Warn("uplink cannot receive", "filter", r.filter, "err", err)
				f.record.cannotReceive(fmt.Sprintf("cannot receive %s: %v", r.filter, err))
			}
			return
		}
	}
}

// receive publishes here what came down. What can never be published is dropped with a line in the
// log: the cloud would only send it again.
func (f *Forwarder) receive(ctx context.Context, log *slog.Logger, r *receiver, m *Incoming) error {
	local, err := r.topic(m.Topic)
	if err != nil {
		log.Warn("message from the cloud ignored", "topic", m.Topic, "err", err)
		return nil
	}
	if m.passed(f.Gateway) {
		f.record.looped()
		return nil // it was here before: taking it would let it go round for ever
	}
	if err := f.Deliver(ctx, local, m); err != nil {
		log.Warn("message from the cloud not taken", "topic", local, "err", err)
		return err
	}
	return nil
}
