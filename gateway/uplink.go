package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/bridge"
	"sluice/bridge/all"
	"sluice/bridge/payload"
	"sluice/gateway/broker"
	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/web"
)

// uplink is one way to a cloud in its place: a forwarder over one consumer a route.
type uplink struct {
	config    config.Uplink
	address   string
	broker    *broker.Broker
	readable  *readable
	forwarder *bridge.Forwarder

	mu        sync.Mutex // guards what follows
	consumers []*broker.Consumer
	backlog   broker.Backlog
	routes    []broker.Backlog // of each route, in the configuration's order
	counted   bool             // backlog was complete at least once
}

// uplinkSpec is everything that an uplink's place depends on.
type uplinkSpec struct {
	Gateway string
	Uplink  config.Uplink
}

func (g *Gateway) uplinkPlace(c *config.Config, u config.Uplink, kinds map[string]all.Kind) place {
	return place{name: "uplink " + u.Name, spec: uplinkSpec{c.Gateway.Name, u}, open: func(part) (part, error) {
		way, err := kinds[u.Driver].Open(c.Gateway.Name, u.Options)
		if err != nil {
			return nil, err
		}
		g.lookBack(way, c.Gateway.Name, u)
		limits, err := caps(u.Limit)
		if err != nil {
			return nil, err
		}
		backfill, err := caps(u.Backfill)
		if err != nil {
			return nil, err
		}
		f := &bridge.Forwarder{
			Name:     u.Name,
			Gateway:  c.Gateway.Name,
			Uplink:   way,
			Window:   u.Window,
			Retry:    time.Duration(u.Retry),
			Tries:    u.Tries,
			Limits:   limits,
			Backfill: backfill,
			Deliver:  g.deliver(u.Name),
			Log:      g.log.With("part", "bridge"),
		}
		for _, r := range u.Receive {
			f.Receive = append(f.Receive, bridge.ReceiveRoute{From: r.From, To: r.To})
		}
		return &uplink{config: u, address: endpoint(u.Options), broker: g.broker, readable: &g.readable, forwarder: f}, nil
	}}
}

// caps gives the bounds that the configuration asks for.
func caps(c config.Caps) (bridge.Limits, error) {
	limits := bridge.Limits{Messages: float64(c.Messages), Bytes: float64(c.Bytes)}
	for _, text := range c.Hours {
		hours, err := bridge.ParseHours(text)
		if err != nil {
			return limits, err
		}
		limits.Hours = append(limits.Hours, hours)
	}
	return limits, nil
}

// Run opens the uplink's cursors and forwards until ctx ends. The cursors are opened here and not
// with the place, because the uplink that this one replaces moves them until it has stopped.
func (u *uplink) Run(ctx context.Context) error {
	defer u.letGo()
	epoch, _, err := u.broker.Sequence("")
	if err != nil {
		return err
	}
	u.forwarder.Origin = fmt.Sprintf("%s-%d", u.forwarder.Gateway, epoch)
	for _, r := range u.config.Forward {
		start := broker.Oldest
		if r.Start == "now" {
			start = broker.Now
		}
		filter := strings.ReplaceAll(r.From, "{gateway}", u.forwarder.Gateway)
		consumer, err := u.broker.Consumer(cursorName(u.config.Name, r.Place()), []string{filter}, start)
		if err != nil {
			return err
		}
		u.mu.Lock()
		u.consumers = append(u.consumers, consumer)
		u.mu.Unlock()
		route := bridge.Route{Name: r.Place(), From: r.From, To: r.To, QoS: r.QoS, Retain: r.Retain, Priority: r.Priority, Source: consumer}
		if maker := payload.Options(r.Payload); maker.Format != "stored" || maker.Filter != "" {
			made, err := payload.New(maker, u.forwarder.Gateway)
			if err != nil {
				return err
			}
			route.Payload = made
		}
		route.Payload = readableMaker{u.readable, route.Payload}
		if r.Order == "live-first" {
			live, err := consumer.Live()
			if err != nil {
				return err
			}
			route.Live = live
		}
		u.forwarder.Routes = append(u.forwarder.Routes, route)
	}
	return u.forwarder.Run(ctx)
}

// letGo tells the log that nobody uses the cursors any more.
func (u *uplink) letGo() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.consumers {
		c.Close()
	}
}

// Close has nothing to let go of: an uplink that does not run holds no connection.
func (u *uplink) Close() {}

// count brings the backlog up to date.
func (u *uplink) count(ctx context.Context) error {
	u.mu.Lock()
	consumers := u.consumers
	u.mu.Unlock()
	if len(consumers) < len(u.config.Forward) {
		return errNotCounted
	}
	var sum broker.Backlog
	routes := make([]broker.Backlog, 0, len(consumers))
	for _, c := range consumers {
		b, err := c.Backlog(ctx)
		if err != nil {
			return fmt.Errorf("count the backlog of uplink %s: %w", u.config.Name, err)
		}
		routes = append(routes, b)
		sum.Messages += b.Messages
		if sum.Oldest.IsZero() || !b.Oldest.IsZero() && b.Oldest.Before(sum.Oldest) {
			sum.Oldest = b.Oldest
		}
	}
	u.mu.Lock()
	u.backlog, u.routes, u.counted = sum, routes, true
	u.mu.Unlock()
	return nil
}

var errNotCounted = errors.New("its cursors are not open yet")

// countWithin is how long a question for the status may count before it answers with what was
// counted last: only the first count after a start, of a backlog of millions, takes as long.
const countWithin = 500 * time.Millisecond

func (u *uplink) show() web.Uplink {
	ctx, cancel := context.WithTimeout(context.Background(), countWithin)
	defer cancel()
	u.count(ctx) //nolint:errcheck // then the last count is shown, and Ready says so if there is none
	s := u.forwarder.State()
	backlog, _ := u.waiting()
	shown := web.Uplink{
		Name:      u.config.Name,
		Driver:    u.config.Driver,
		Address:   u.address,
		State:     s.State,
		Since:     s.Since,
		LastError: s.LastError,
		Tries:     s.Tries,
		Failed:    s.Failed,
		Backlog:   backlog.Messages,
		InFlight:  s.InFlight,
		Sent:      s.Sent,
		Repeated:  s.Repeated,
		SetAside:  s.SetAside,
		Stalls:    s.Stalls,
		Looped:    s.Looped,
		Rate:      s.Rate,
		Routes:    u.showRoutes(time.Now()),
	}
	if !s.NextTry.IsZero() {
		shown.NextTry = &s.NextTry
	}
	if !backlog.Oldest.IsZero() {
		shown.Oldest = &backlog.Oldest
	}
	return shown
}

// showRoutes tells of each route what waits in which of its lanes, and which the hours hold back.
func (u *uplink) showRoutes(now time.Time) []web.UplinkRoute {
	u.mu.Lock()
	counted := u.routes
	u.mu.Unlock()
	all, backfill := pausedUntil(now, u.forwarder.Limits), pausedUntil(now, u.forwarder.Limits, u.forwarder.Backfill)
	routes := make([]web.UplinkRoute, 0, len(u.config.Forward))
	for i, r := range u.config.Forward {
		var waits broker.Backlog
		if i < len(counted) {
			waits = counted[i]
		}
		shown := web.UplinkRoute{From: r.From, To: r.To, Order: r.Order}
		if r.Order == "live-first" {
			shown.Lanes = []web.UplinkLane{
				{Name: bridge.LiveLane, Backlog: waits.Messages - waits.Backfill, PausedUntil: all},
				{Name: bridge.BackfillLane, Backlog: waits.Backfill, PausedUntil: backfill},
			}
		} else {
			shown.Lanes = []web.UplinkLane{{Name: "all", Backlog: waits.Messages, PausedUntil: all}}
		}
		routes = append(routes, shown)
	}
	return routes
}

// pausedUntil is when the hours of all limits let something go; nil: now.
func pausedUntil(now time.Time, limits ...bridge.Limits) *time.Time {
	at := now
	// One that opens may do so while another is closed. Spans that never meet end after a few rounds.
	for range 8 {
		before := at
		for _, l := range limits {
			at = l.OpensAt(at)
		}
		if at.Equal(before) {
			break
		}
	}
	if at.Equal(now) {
		return nil
	}
	return &at
}

// deliver gives what publishes the messages that come down from a cloud. It returns once they are
// durable, which is the licence to acknowledge them there.
func (g *Gateway) deliver(uplink string) func(context.Context, string, *bridge.Incoming) error {
	return func(ctx context.Context, topic string, in *bridge.Incoming) error {
		durable := make(chan error, 1)
		ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { durable <- err })
		m := message.Message{Topic: topic, Payload: in.Payload, Time: time.Now().UnixMilli(), QoS: 1,
			Properties: append(slices.Clone(in.Properties), message.Property{Name: message.FromUplink, Value: uplink})}
		if in.Retained {
			m.Properties = append(m.Properties, message.Property{Name: message.WasRetained, Value: "true"})
		}
		if err := g.broker.Publish(ctx, &m, ack, 0); err != nil {
			return err
		}
		select {
		case err := <-durable:
			return err
		case <-ctx.Done():
			return errors.Join(ctx.Err(), errors.New("the log was still busy"))
		}
	}
}

// tellUplinks says of each uplink below $SYS what the API says of it.
func (g *Gateway) tellUplinks(add func(topic string, payload []byte)) {
	kept := pinned(g.store.Cursors())
	for _, u := range g.uplinks() {
		if text, err := json.Marshal(g.showUplink(u, kept)); err == nil {
			add("$SYS/gateway/uplinks/"+u.config.Name, text)
		}
	}
}

// waiting is the backlog as it was last counted; counted is false before the first complete count.
func (u *uplink) waiting() (backlog broker.Backlog, counted bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.backlog, u.counted
}
