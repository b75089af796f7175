package gateway

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/bridge"
	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/web"
)

// What web.Outage.Verdict says.
const (
	cutNone     = "none"
	cutRunning  = "running"
	cutDraining = "draining"
	cutPassed   = "passed"
	cutFailed   = "failed"
)

// outages are the cuts of uplinks on purpose: for each uplink the one that runs, or the last. They are
// looked at once a second, by the watcher.
type outages struct {
	gateway *Gateway

	mu   sync.Mutex // guards what follows
	last map[string]*outage
}

// outage is one of them. It watches what the cloud acknowledges from the cut until all that waited then is
// drained: each route of the uplink must bring each device's readings without a hole.
type outage struct {
	uplink *uplink
	stop   func() // of the watching

	mu      sync.Mutex // guards what follows
	streams map[stream]*expected
	shown   web.Outage
	ended   time.Time // when the cut was over
}

// stream is the readings of one device on one route.
type stream struct{ route, device string }

// expected is what a stream must bring.
type expected struct {
	coverage
	live  bool   // it comes in two orders, so that a hole means nothing before it has drained
	after uint64 // the last number before the cut
	upTo  uint64 // the last number when the cut was over
}

// Cut implements web.Outages.
func (o *outages) Cut(name string, d time.Duration) (web.Outage, error) {
	u, err := o.uplink(name)
	if err != nil {
		return web.Outage{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if last := o.last[name]; last != nil && last.runs() {
		return web.Outage{}, web.ErrCut
	}
	now := time.Now()
	until := now.Add(d)
	cut := &outage{uplink: u, streams: o.streams(u), shown: web.Outage{Active: true, Started: &now, Until: &until, Verdict: cutRunning}}
	cut.stop = u.forwarder.Watch(cut)
	if err := cut.eachDevice(o.gateway.broker, func(e *expected, last uint64) { e.after = last }); err != nil {
		cut.stop()
		return web.Outage{}, err
	}
	u.forwarder.Cut(d)
	o.last[name] = cut
	return cut.show(), nil
}

func (o *outages) uplink(name string) (*uplink, error) {
	all := o.gateway.uplinks()
	i := slices.IndexFunc(all, func(u *uplink) bool { return u.config.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("%w: uplink %s", web.ErrUnknown, name)
	}
	return all[i], nil
}

// streams lists what is configured: devices on routes that forward their readings.
func (o *outages) streams(u *uplink) map[stream]*expected {
	c := o.gateway.Config()
	streams := map[stream]*expected{}
	for _, r := range u.config.Forward {
		filter := strings.ReplaceAll(r.From, "{gateway}", c.Gateway.Name)
		for _, d := range c.Devices {
			if message.Match(filter, "readings/"+c.Gateway.Name+"/"+d.Name) {
				streams[stream{r.Place(), d.Name}] = &expected{live: r.Order == "live-first"}
			}
		}
	}
	return streams
}

// eachDevice hands out the last number that the log has of each stream's device.
func (cut *outage) eachDevice(log *broker.Broker, note func(e *expected, last uint64)) error {
	for s, e := range cut.streams {
		_, last, err := log.Sequence(s.device)
		if err != nil {
			return fmt.Errorf("the last sequence number of %s: %w", s.device, err)
		}
		cut.mu.Lock()
		note(e, last)
		cut.mu.Unlock()
	}
	return nil
}

// Restore implements web.Outages.
func (o *outages) Restore(name string) error {
	u, err := o.uplink(name)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	cut := o.last[name]
	switch {
	case cut == nil:
	case cut.show().Active:
		now := time.Now()
		u.forwarder.Restore()
		cut.mu.Lock()
		cut.shown.Until = &now
		cut.mu.Unlock()
		cut.look(o.gateway, now)
	default:
		cut.stop()
		delete(o.last, name)
	}
	return nil
}

// Outage implements web.Outages.
func (o *outages) Outage(name string) (web.Outage, error) {
	if _, err := o.uplink(name); err != nil {
		return web.Outage{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if cut := o.last[name]; cut != nil {
		return cut.show(), nil
	}
	return web.Outage{Verdict: cutNone}, nil
}

// look brings all of them up to date; the backlogs have just been counted.
func (o *outages) look(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.last) == 0 {
		return
	}
	uplinks := o.gateway.uplinks()
	for name, cut := range o.last {
		if cut.runs() && !slices.Contains(uplinks, cut.uplink) {
			cut.end(cutFailed, "the uplink was changed or removed meanwhile: begin again")
		}
		if !slices.ContainsFunc(uplinks, func(u *uplink) bool { return u.config.Name == name }) {
			delete(o.last, name)
			continue
		}
		if cut.runs() {
			cut.look(o.gateway, now)
		}
	}
}

// look notes the backlog, the end of the cut, and whether everything has drained.
func (cut *outage) look(g *Gateway, now time.Time) {
	backlog, _ := cut.uplink.waiting()
	cut.mu.Lock()
	if until := *cut.shown.Until; cut.shown.Active && !now.Before(until) {
		cut.shown.Active, cut.shown.Verdict, cut.ended = false, cutDraining, now
	}
	justEnded := cut.ended.Equal(now)
	cut.shown.Backlog, cut.shown.Peak = backlog.Messages, max(cut.shown.Peak, backlog.Messages)
	drained := !cut.shown.Active && !justEnded && (backlog.Messages == 0 || backlog.Oldest.After(cut.ended))
	cut.shown.Gaps = cut.gapsLocked(false)
	cut.mu.Unlock()
	if justEnded {
		if err := cut.eachDevice(g.broker, func(e *expected, last uint64) { e.upTo = last }); err != nil {
			cut.end(cutFailed, err.Error())
		}
	}
	if drained {
		cut.judge()
	}
}

// judge says how it went, once what waited has been acknowledged or was set aside.
func (cut *outage) judge() {
	cut.mu.Lock()
	gaps := cut.gapsLocked(true)
	cut.shown.Drained, cut.shown.Gaps = true, gaps
	cut.mu.Unlock()
	if gaps > 0 {
		cut.end(cutFailed, fmt.Sprintf("the cloud has not acknowledged %d readings: they were set aside, or the log had to drop them", gaps))
		return
	}
	cut.end(cutPassed, "")
}

// gapsLocked counts what is missing: all of it once it has drained, before that what is overtaken where
// nothing can be.
func (cut *outage) gapsLocked(drained bool) (gaps uint64) {
	for _, e := range cut.streams {
		switch {
		case drained:
			gaps += e.missing(e.after+1, e.upTo)
		case !e.live:
			gaps += e.missing(e.after+1, e.newest())
		}
	}
	return gaps
}

func (cut *outage) end(verdict, why string) {
	cut.stop()
	cut.mu.Lock()
	defer cut.mu.Unlock()
	cut.shown.Active, cut.shown.Verdict, cut.shown.Error = false, verdict, why
}

func (cut *outage) runs() bool {
	cut.mu.Lock()
	defer cut.mu.Unlock()
	return cut.shown.Verdict == cutRunning || cut.shown.Verdict == cutDraining
}

func (cut *outage) show() web.Outage {
	cut.mu.Lock()
	defer cut.mu.Unlock()
	return cut.shown
}

// Sent implements bridge.Watcher.
func (cut *outage) Sent(_ *bridge.Route, _ *message.Record, _ int, again bool) {
	if again {
		cut.mu.Lock()
		cut.shown.Repeats++
		cut.mu.Unlock()
	}
}

// Acknowledged implements bridge.Watcher.
func (cut *outage) Acknowledged(route *bridge.Route, r *message.Record) {
	if r.Device == "" {
		return
	}
	cut.mu.Lock()
	defer cut.mu.Unlock()
	if e := cut.streams[stream{route.Name, r.Device}]; e != nil {
		e.add(r.Seq)
		cut.shown.Checked++
	}
}
