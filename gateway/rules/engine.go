// Package rules raises alarms: it follows the log as any consumer does, decides by the rules of the
// configuration, and publishes what it decided into the log again. It hides how an alarm waits, ends and
// survives a kill without being lost, doubled or raised anew.
package rules

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/message"
)

// Source is a durable place in the log with a filter, which the engine moves. One goroutine uses it.
type Source interface {
	// Next waits for records at or behind from and appends up to max to dst; next is where to go on, and may
	// move without any. What ctx ends has lost nothing.
	Next(ctx context.Context, from message.Position, dst []message.Record, max int) (records []message.Record, next message.Position, err error)
	// Matching is Next under another filter, without waiting.
	Matching(from message.Position, dst []message.Record, max int, filter string) (records []message.Record, next message.Position, err error)
	Done(upTo message.Position)
	Tail() message.Position
	Head() message.Position
	Epoch() (uint64, error)
	Close()
	Forget() error // gives the place up for good, instead of Close
}

// Publisher takes messages into the log; ack hears when one is durable.
type Publisher interface {
	Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error
}

// Shelf keeps one text durably. Put returns when it would survive a power cut, and replaces it whole; nil
// takes it away.
type Shelf interface {
	Get() (text []byte, err error) // nil when there is none
	Put(text []byte) error
}

// Options is what an engine needs.
type Options struct {
	Gateway string
	Alarms  []config.Alarm
	Devices []string // that are configured: each is watched from the start on
	// Open opens the source under filters; it is called by Run.
	Open func(filters []string) (Source, error)
	To   Publisher
	Keep Shelf
	// Conditions gives the states of devices as they are now; nil: they are only learned from the log.
	Conditions func() map[string]string
	Log        *slog.Logger
}

// Engine runs the rules. Run is called once; the other methods may be called from any goroutine.
type Engine struct {
	options Options
	source  Source
	tale    *tale // until the log has been caught up with
	read    message.Position
	heard   int64 // when the last record was stored
	written struct {
		at    time.Time
		upTo  message.Position
		told  int // events since
		dirty bool
	}

	mu   sync.Mutex // guards what follows
	core *core
}

const (
	batch     = 256
	patience  = time.Second      // how much later than it should what is due by itself happens: its reading may be on its way
	saveSoon  = 10 * time.Second // between two savings when something has changed
	saveLate  = time.Minute      // when nothing has but the position
	manyTold  = 5000             // events behind what was saved
	eventWait = 10 * time.Second // for the log to take an acknowledgement
)

// New makes an engine that knows nothing yet.
func New(options Options) *Engine {
	return &Engine{options: options, core: newCore(options.Gateway, options.Alarms)}
}

// Filters are what the rules read of the log; none when there are no rules.
func Filters(gateway string, alarms []config.Alarm) []string {
	kinds := map[string]map[string]bool{"readings/": {}, "status/": {}}
	for _, a := range alarms {
		if !a.Enabled {
			continue
		}
		kind, device := "readings/", a.Device
		if a.When == "state" {
			kind = "status/"
		}
		if device == "*" {
			device = "+"
		}
		kinds[kind][device] = true
	}
	var filters []string
	const few = 16 // beyond, all are read
	for _, kind := range sortedKeys(kinds) {
		devices := sortedKeys(kinds[kind])
		if len(devices) > few || slices.Contains(devices, "+") {
			devices = []string{"+"}
		}
		for _, d := range devices {
			filters = append(filters, kind+gateway+"/"+d)
		}
	}
	if len(filters) > 0 {
		filters = append(filters, "alarms/"+gateway+"/+")
	}
	return filters
}

// Run follows the log until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	if e.options.Log == nil {
		e.options.Log = slog.New(slog.DiscardHandler)
	}
	filters := Filters(e.options.Gateway, e.options.Alarms)
	idle := len(filters) == 0
	if idle {
		filters = []string{"alarms/" + e.options.Gateway + "/+"}
	}
	source, err := e.options.Open(filters)
	if err != nil {
		return err
	}
	e.source = source
	done, err := e.work(ctx, idle)
	if done {
		err = errors.Join(source.Forget(), e.options.Keep.Put(nil))
		<-ctx.Done() // without rules there is nothing more to do
	} else {
		source.Close()
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// work begins and follows; done says that there are no rules and everything has ended.
func (e *Engine) work(ctx context.Context, idle bool) (done bool, err error) {
	if err := e.begin(); err != nil {
		return false, err
	}
	return e.follow(ctx, idle)
}

// begin takes up what was saved and looks at what the log has told since.
func (e *Engine) begin() error {
	epoch, err := e.source.Epoch()
	if err != nil {
		return fmt.Errorf("read the epoch of the log: %w", err)
	}
	past, err := e.load(epoch)
	if err != nil {
		return err
	}
	e.tale = newTale()
	now := time.Now().UnixMilli()
	if past == nil {
		if past, err = e.recall(now); err != nil {
			return err
		}
		past.Version, past.Epoch = savedVersion, epoch
		if err := e.options.Keep.Put(past.encode()); err != nil {
			e.options.Log.Error("the state of the alarms is not saved", "err", err)
		}
	}
	e.read, e.heard = past.Position+1, past.Time
	e.written.at, e.written.upTo = time.Now(), past.Position
	err = e.events(e.read, e.source.Tail(), func(event *Event) { e.tale.add(event) })
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, device := range e.options.Devices {
		e.core.watch(device, now)
	}
	e.core.restore(past.States, now)
	return err
}

// load gives what was saved; nil when there is nothing, or when it is of another log.
func (e *Engine) load(epoch uint64) (*saved, error) {
	text, err := e.options.Keep.Get()
	if err != nil {
		return nil, fmt.Errorf("read what was saved of the alarms: %w", err)
	}
	if text == nil {
		return nil, nil
	}
	past, err := decodeSaved(text)
	switch {
	case err != nil:
		e.options.Log.Error("the alarms are taken from the log instead", "err", err)
		return nil, nil
	case past.Epoch != epoch || past.Position > e.source.Tail():
		e.options.Log.Warn("the log is another one: what was saved of the alarms does not count")
		return nil, nil
	}
	return past, nil
}

// recall finds what is raised in the log itself: after a restored backup, say. Readings count from now on.
func (e *Engine) recall(now int64) (*saved, error) {
	past := &saved{Position: e.source.Tail(), Time: now}
	open := map[string]Event{}
	err := e.events(e.source.Head(), past.Position, func(event *Event) {
		switch event.State {
		case Raised:
			open[event.ID] = *event
		case Acknowledged:
			if known, is := open[event.ID]; is {
				known.State, known.By, known.Note, known.Time = event.State, event.By, event.Note, event.Time
				open[event.ID] = known
			}
		case Cleared:
			delete(open, event.ID)
		}
		if len(open) > maxActive {
			clear(open) // not ours to begin with: no engine raises so many
		}
	})
	for _, id := range sortedKeys(open) {
		event := open[id]
		one := savedState{
			Alarm: event.Alarm, Severity: event.Severity, Device: event.Device, Point: event.Point, Phase: active, ID: id, Since: event.Since,
			Seen: event.Time, Value: event.Value, Text: event.Text, TextZH: event.TextZH,
		}
		if event.State == Acknowledged {
			one.Acked = &Acknowledgement{By: event.By, Note: event.Note, Time: event.Time}
		}
		past.States = append(past.States, one)
	}
	return past, err
}

// events walks over our own events between two positions, both inclusive.
func (e *Engine) events(from, to message.Position, each func(*Event)) error {
	var found []message.Record
	for from <= to {
		var err error
		before := from
		found, from, err = e.source.Matching(from, found[:0], batch, "alarms/"+e.options.Gateway+"/+")
		if err != nil {
			return fmt.Errorf("look for alarms in the log: %w", err)
		}
		for i := range found {
			if event, err := DecodeEvent(found[i].Payload); err == nil && Own(&found[i]) && found[i].Position <= to {
				each(&event)
			}
		}
		if from == before {
			return nil
		}
	}
	return nil
}

// follow reads on, and wakes up for what is due by itself, until ctx ends. Without rules it is done when what
// was raised has ended.
func (e *Engine) follow(ctx context.Context, idle bool) (done bool, err error) {
	behind := e.source.Tail()
	var records []message.Record
	for last := time.Now(); ; {
		if e.read > behind && e.tale != nil {
			e.awake()
		}
		if err := e.publish(ctx); err != nil {
			return false, err
		}
		if idle && e.tale == nil {
			return true, nil
		}
		if err := e.save(ctx.Err() != nil); err != nil {
			return false, err
		}
		if ctx.Err() != nil {
			return false, nil
		}
		tail := e.source.Tail()
		waiting, stop := context.WithTimeout(ctx, e.nap())
		found, next, err := e.source.Next(waiting, e.read, records[:0], batch)
		stop()
		records = found
		waited := errors.Is(err, context.DeadlineExceeded)
		if err != nil && !waited && ctx.Err() == nil {
			return false, fmt.Errorf("read the log for alarms: %w", err)
		}
		last = e.correct(last)
		e.look(records, next, waited || next > tail)
		clear(records)
	}
}

// nap is how long to wait for a record at most.
func (e *Engine) nap() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	nap := saveSoon
	if due := e.core.next(); due != 0 && e.tale == nil {
		nap = min(nap, time.Until(time.UnixMilli(due))+patience)
	}
	return max(nap, time.Millisecond)
}

// look decides about records, and about what is due by itself: by now if they are all that there is, else by
// when the last of them was stored.
func (e *Engine) look(records []message.Record, next message.Position, all bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.core
	before := len(c.out)
	for i := range records {
		r := &records[i]
		e.heard, c.position = r.Time, r.Position
		kind, rest, _ := strings.Cut(r.Topic, "/")
		device := rest[strings.LastIndexByte(rest, '/')+1:]
		switch kind {
		case "readings":
			c.take(device, r.Payload, r.Time)
		case "status":
			if condition, ok := conditionOf(r.Payload); ok {
				c.condition(device, condition, r.Time)
			}
		case "alarms":
			if event, err := DecodeEvent(r.Payload); err == nil && Own(r) {
				c.told(&event)
			}
		}
	}
	if next > e.read {
		e.read = next
	}
	if e.tale == nil {
		now := e.heard
		if all {
			now = time.Now().UnixMilli()
		}
		c.advance(now - patience.Milliseconds())
	}
	e.written.dirty = e.written.dirty || len(c.out) > before
}

// awake is called when everything has been read that was there at the start.
func (e *Engine) awake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now().UnixMilli()
	e.drop()
	e.core.wake(max(0, now-e.heard))
	e.core.position = e.source.Tail()
	if e.options.Conditions != nil {
		conditions := e.options.Conditions()
		for _, device := range sortedKeys(conditions) {
			e.core.condition(device, conditions[device], now)
		}
	}
	for i := range e.core.out {
		e.tale.add(&e.core.out[i])
	}
	e.tale.settle(e.core, now)
	e.tale = nil
}

// drop forgets of the decisions what the log has already.
func (e *Engine) drop() {
	e.core.out = slices.DeleteFunc(e.core.out, func(event Event) bool { return e.tale.told[event.ID+event.State] })
}

// publish puts what was decided into the log and waits until it is durable.
func (e *Engine) publish(ctx context.Context) error {
	e.mu.Lock()
	if e.tale != nil {
		e.drop()
	}
	events := slices.Clone(e.core.out)
	e.mu.Unlock()
	if len(events) == 0 {
		return nil
	}
	for done := 0; done < len(events); {
		n, err := e.put(ctx, events[done:])
		done += n
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err() // what is not there yet is decided again at the next start
		case errors.Is(err, message.ErrFull):
			e.options.Log.Warn("the log is full: alarms wait", "waiting", len(events)-done)
			if !pause(ctx, patience) {
				return ctx.Err()
			}
		default:
			return fmt.Errorf("publish an alarm: %w", err)
		}
	}
	e.mu.Lock()
	e.core.out = append(e.core.out[:0], e.core.out[len(events):]...)
	for i := range events {
		if e.tale != nil {
			e.tale.add(&events[i])
		}
	}
	e.mu.Unlock()
	e.written.told += len(events)
	for i := range events {
		e.options.Log.Info("alarm "+events[i].State, "alarm", events[i].Alarm, "device", events[i].Device, "point", events[i].Point, "id", events[i].ID)
	}
	return nil
}

// put publishes events and waits for all of them; n are durable, in order.
func (e *Engine) put(ctx context.Context, events []Event) (n int, err error) {
	heard := make(chan error, len(events))
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { heard <- err })
	taken := 0
	for i := range events {
		if err = e.options.To.Publish(ctx, events[i].Message(), ack, 0); err != nil {
			if errors.Is(err, message.ErrTooLarge) || errors.Is(err, message.ErrTopic) {
				e.options.Log.Error("an alarm cannot be published", "alarm", events[i].Alarm, "err", err)
				heard <- nil
				taken++
				err = nil
				continue
			}
			break
		}
		taken++
	}
	for range taken {
		select {
		case failed := <-heard:
			if failed != nil {
				return n, failed
			}
			n++
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
	return n, err
}

// save writes down what is known when it is time for it, and lets the log go up to there.
func (e *Engine) save(stopping bool) error {
	w := &e.written
	age := time.Since(w.at)
	news := w.dirty || w.told > 0
	soon := w.told >= manyTold || news && age > saveSoon || e.read-1 > w.upTo && age > saveLate
	if e.tale != nil || !soon && !stopping {
		return nil
	}
	epoch, err := e.source.Epoch()
	if err != nil {
		return fmt.Errorf("read the epoch of the log: %w", err)
	}
	e.mu.Lock()
	if len(e.core.out) > 0 {
		e.mu.Unlock()
		return nil // they are in the log first
	}
	states := e.core.save()
	e.mu.Unlock()
	known := saved{Version: savedVersion, Epoch: epoch, Position: e.read - 1, Time: time.Now().UnixMilli(), States: states}
	if err := e.options.Keep.Put(known.encode()); err != nil {
		e.options.Log.Error("the state of the alarms is not saved", "err", err)
		w.at = time.Now() // the log keeps what it was made of
		return nil
	}
	e.source.Done(e.read - 1)
	w.at, w.upTo, w.told, w.dirty = time.Now(), e.read-1, 0, false
	return nil
}

// correct finds out whether somebody has set the clock, and lets no wait end by that.
func (e *Engine) correct(last time.Time) time.Time {
	now := time.Now()
	if set := now.Round(0).Sub(last.Round(0)) - now.Sub(last); set.Abs() > 2*time.Second {
		e.options.Log.Info("the clock was set: alarms that wait go on waiting", "by", set.Round(time.Second))
		e.mu.Lock()
		for _, s := range e.core.states {
			e.core.shift(s, set.Milliseconds())
		}
		e.mu.Unlock()
	}
	return now
}

func pause(ctx context.Context, d time.Duration) bool {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// conditionOf reads the payload of status/{gateway}/{device}.
func conditionOf(payload []byte) (condition string, ok bool) {
	err := walk(payload, func(name, value []byte) error {
		if string(name) == "state" {
			s := scanner{text: value}
			if word, is := s.word(); is {
				condition, ok = string(word), true
			}
		}
		return nil
	})
	return condition, ok && err == nil
}
