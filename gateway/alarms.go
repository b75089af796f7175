package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/gateway/notify"
	"sluice/gateway/rules"
	"sluice/web"
)

// rulesPart is the engine of the rules in its place.
type rulesPart struct{ *rules.Engine }

// Close implements part: an engine that never ran holds nothing.
func (rulesPart) Close() {}

// notifyPart is one way to tell people, in its place.
type notifyPart struct{ *notify.Notifier }

// Close implements part.
func (notifyPart) Close() {}

// rulesSpec is everything that the rules depend on.
type rulesSpec struct {
	Gateway string
	Alarms  []config.Alarm
	Devices []string
}

// notifySpec is everything that a notification depends on.
type notifySpec struct {
	Gateway string
	Notify  config.Notify
	Alarms  []string // that name it
}

// alarmPlaces are the engine, if there are rules or it has to end what was raised by those that were there,
// and the ways to tell people.
func (g *Gateway) alarmPlaces(c *config.Config) (all []place) {
	spec := rulesSpec{Gateway: c.Gateway.Name, Alarms: c.Alarms}
	for _, d := range c.Devices {
		spec.Devices = append(spec.Devices, d.Name)
	}
	kept := shelf(filepath.Join(c.Store.Dir, "alarms", "rules.json"))
	if _, err := os.Stat(string(kept)); len(c.Alarms) > 0 || err == nil {
		all = append(all, place{name: "alarms", spec: spec, open: func(part) (part, error) {
			return rulesPart{rules.New(rules.Options{
				Gateway: spec.Gateway, Alarms: spec.Alarms, Devices: spec.Devices, To: g.broker, Keep: kept, Conditions: g.conditions,
				Open: func(filters []string) (rules.Source, error) { return g.broker.Reader("alarms/rules", filters) },
				Log:  g.log.With("part", "alarms"),
			})}, nil
		}})
	}
	for _, n := range c.Notify {
		all = append(all, g.notifyPlace(c, n))
	}
	return all
}

func (g *Gateway) notifyPlace(c *config.Config, n config.Notify) place {
	spec := notifySpec{Gateway: c.Gateway.Name, Notify: n}
	for _, a := range c.Alarms {
		if slices.Contains(a.Notify, n.Name) {
			spec.Alarms = append(spec.Alarms, a.Name)
		}
	}
	return place{name: "notify " + n.Name, spec: spec, open: func(part) (part, error) {
		return notifyPart{notify.New(notify.Options{
			Gateway: spec.Gateway, Notify: n, Alarms: c.Alarms, Active: g.raised,
			Keep: shelf(filepath.Join(c.Store.Dir, "alarms", "notify-"+url.PathEscape(n.Name)+".json")),
			Open: func(filters []string) (rules.Source, error) { return g.broker.Reader("notify/"+n.Name, filters) },
			Log:  g.log.With("part", "notify"),
		})}, nil
	}}
}

// conditions are the states of the devices that have one.
func (g *Gateway) conditions() map[string]string {
	g.mu.Lock()
	parts := g.placed
	g.mu.Unlock()
	known := map[string]string{}
	for _, p := range parts {
		if d, ok := p.part.(*device); ok {
			if s := d.poller.State().State; s == "online" || s == "degraded" || s == "offline" {
				known[d.config.Name] = s
			}
		}
	}
	return known
}

// engine is the engine that runs; nil when there are no rules.
func (g *Gateway) engine() *rules.Engine {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.placed {
		if r, ok := p.part.(rulesPart); ok {
			return r.Engine
		}
	}
	return nil
}

func (g *Gateway) notifiers() (all []*notify.Notifier) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.placed {
		if n, ok := p.part.(notifyPart); ok {
			all = append(all, n.Notifier)
		}
	}
	return all
}

func (g *Gateway) raised() []rules.Alarm {
	if e := g.engine(); e != nil {
		return e.Active()
	}
	return nil
}

// countAlarms is what the status tells of alarms.
func (g *Gateway) countAlarms() (shown web.AlarmCount) {
	e := g.engine()
	if e == nil {
		return shown
	}
	c := e.Count()
	shown.Critical, shown.Warning, shown.Info = c.Severity["critical"], c.Severity["warning"], c.Severity["info"]
	shown.Active = shown.Critical + shown.Warning + shown.Info
	shown.Unacknowledged, shown.Excess = c.Open, c.Excess
	return shown
}

// alarms lets the gateway tell of alarms.
type alarms struct{ *Gateway }

// Active gives what is raised, the worst first.
func (a alarms) Active() []web.Alarm {
	list := []web.Alarm{}
	for _, one := range a.raised() {
		list = append(list, showAlarm(one))
	}
	return list
}

func showAlarm(a rules.Alarm) web.Alarm {
	shown := web.Alarm{
		ID: a.ID, Alarm: a.Alarm, Severity: a.Severity, Device: a.Device, Point: a.Point, Text: web.BusText{English: a.Text, Chinese: a.TextZH},
		Since: time.UnixMilli(a.Since), Ending: a.Ending,
	}
	if !a.Value.Absent() {
		shown.Value = a.Value
	}
	if a.Acked != nil {
		at := time.UnixMilli(a.Acked.Time)
		shown.Acknowledged = &web.AlarmNote{By: a.Acked.By, Note: a.Acked.Note, Time: at}
	}
	return shown
}

// Counts is what the status tells.
func (a alarms) Counts() web.AlarmCount { return a.countAlarms() }

// Acknowledge says durably that somebody has seen an alarm.
func (a alarms) Acknowledge(ctx context.Context, id, user, note string) (web.Alarm, error) {
	e := a.engine()
	if e == nil {
		return web.Alarm{}, web.ErrUnknown
	}
	done, err := e.Acknowledge(ctx, id, user, note)
	if errors.Is(err, rules.ErrUnknown) {
		return web.Alarm{}, web.ErrUnknown
	}
	return showAlarm(done), err
}

// Notifications are the ways to tell people, in the configuration's order.
func (a alarms) Notifications() []web.Notification {
	list := []web.Notification{}
	configured := a.Config().Notify
	for _, n := range a.notifiers() {
		s := n.State()
		shown := web.Notification{Name: s.Name, Waiting: s.Waiting, Sent: s.Sent, LastError: s.LastError, LastSent: moment(s.LastSent), NextTry: moment(s.NextTry)}
		for _, c := range configured {
			switch {
			case c.Name != s.Name:
			case c.Email != nil:
				shown.Kind, shown.To = "email", c.Email.To
			case c.Webhook != nil:
				shown.Kind, shown.To = "webhook", []string{c.Webhook.URL}
			}
		}
		list = append(list, shown)
	}
	return list
}

func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// TestNotification sends a message that says it is a test.
func (a alarms) TestNotification(ctx context.Context, name string) error {
	for _, n := range a.notifiers() {
		if n.State().Name == name {
			return n.Test(ctx)
		}
	}
	return web.ErrUnknown
}

// pastPages bounds how much of the log one request looks through for events that a filter lets through.
const pastPages = 20

// Past gives what the log tells of alarms, the newest first, from before a position on; 0: from the end.
func (a alarms) Past(ctx context.Context, wanted web.PastAlarms) (list []web.AlarmEvent, next uint64, err error) {
	all := messages{a.queues, a.store, &a.readable, a.consumers, a.broker, a.forwards}
	before := wanted.Before
	for range pastPages {
		found, err := all.Newest(ctx, web.Search{Topic: "alarms", Limit: wanted.Limit}, before)
		if errors.Is(err, web.ErrUnknown) {
			return list, 0, nil // nothing was ever told
		}
		if err != nil {
			return nil, 0, fmt.Errorf("look for alarms in the log: %w", err)
		}
		for _, head := range found {
			before = head.Position
			record, err := all.record(head.Position)
			if err != nil {
				continue // trimmed meanwhile
			}
			if shown, ok := showEvent(record); ok && wanted.Lets(&shown) {
				list = append(list, shown)
			}
			if len(list) == wanted.Limit {
				return list, before, nil
			}
		}
		if len(found) < wanted.Limit {
			return list, 0, nil
		}
	}
	return list, before, nil
}

func showEvent(r *message.Record) (web.AlarmEvent, bool) {
	e, err := rules.DecodeEvent(r.Payload)
	if err != nil {
		return web.AlarmEvent{}, false
	}
	return web.AlarmEvent{
		Position: uint64(r.Position), ID: e.ID, Alarm: e.Alarm, State: e.State, Severity: e.Severity, Device: e.Device, Point: e.Point,
		Value: valueOf(e.Value), Text: web.BusText{English: e.Text, Chinese: e.Words("zh")}, Time: time.UnixMilli(e.Time), Since: time.UnixMilli(e.Since), By: e.By, Note: e.Note,
	}, true
}

func valueOf(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return raw
}

// shelf is a file that is replaced as a whole. What it holds is written before the log is let go of, so that
// a kill finds the old text or the new one.
type shelf string

// Get implements rules.Shelf.
func (s shelf) Get() ([]byte, error) {
	text, err := os.ReadFile(string(s))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// Put implements rules.Shelf.
func (s shelf) Put(text []byte) error {
	name := string(s)
	if text == nil {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncFolder(filepath.Dir(name))
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
