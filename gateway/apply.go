package gateway

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"sluice/gateway/config"
)

// part is something that the configuration asks for: a device, an uplink, a listener, the page.
type part interface {
	// Run does the part's work until ctx ends. It closes what the part holds.
	Run(ctx context.Context) error
	// Close lets go of what a part holds that never ran. After Run it does nothing.
	Close()
}

// placed is a part in its place. Two places with the same name and equal specs are the same part.
type placed struct {
	name string
	spec any
	part part
}

// place is what a configuration asks for: a name, everything that the part depends on, and how to
// open it.
type place struct {
	name string
	spec any
	open func(replaces part) (part, error)
}

// ErrRestart marks a change that a running gateway cannot apply.
var ErrRestart = errors.New("restart the gateway to apply this change")

// Apply makes next the configuration that runs. What is unchanged keeps running undisturbed; what
// is new is opened before anything old is stopped; an error leaves the old configuration running.
// What was applied becomes a revision by author: a user's name, or one of the constants.
func (g *Gateway) Apply(next *config.Config, author string) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	g.mu.Lock()
	old, running, closed := g.config, g.placed, g.closed
	g.mu.Unlock()
	if closed {
		return errors.New("the gateway is stopping")
	}
	if old != nil && !reflect.DeepEqual(old.Store, next.Store) {
		return fmt.Errorf("store: %w", ErrRestart)
	}
	if err := g.buses.Update(linesOf(old, next)); err != nil {
		return fmt.Errorf("buses: %w", err)
	}
	now, opened, err := openPlaces(g.places(next), running)
	if err != nil {
		for _, p := range opened {
			p.part.Close()
		}
		return errors.Join(err, g.buses.Update(linesOf(old)))
	}
	g.swap(next, running, now, opened, old != nil)
	g.broker.KeepQoS0Matched(next.MQTT.StoreQoS0 == "matched")
	g.logAs(next)
	g.revise(next, author)
	g.tellAbandoned(next)
	return g.buses.Update(linesOf(next))
}

// openPlaces gives the parts that shall run now, and those among them that it has opened.
func openPlaces(places []place, running []placed) (now, opened []placed, err error) {
	was := make(map[string]placed, len(running))
	for _, p := range running {
		was[p.name] = p
	}
	for _, wanted := range places {
		old, exists := was[wanted.name]
		if exists && reflect.DeepEqual(old.spec, wanted.spec) {
			now = append(now, old)
			continue
		}
		opening, err := wanted.open(old.part)
		if err != nil {
			return nil, opened, fmt.Errorf("%s: %w", wanted.name, err)
		}
		p := placed{wanted.name, wanted.spec, opening}
		now, opened = append(now, p), append(opened, p)
	}
	return now, opened, nil
}

// swap stops what is no longer wanted, then starts what was opened.
func (g *Gateway) swap(next *config.Config, before, now, opened []placed, start bool) {
	kept := make(map[part]bool, len(now))
	for _, p := range now {
		kept[p.part] = true
	}
	for _, p := range before {
		if !kept[p.part] {
			// The page may be what asked for this: it ends when it has answered.
			if _, isPage := p.part.(*page); !isPage || !g.parts.retire(p.name) {
				g.parts.stop(p.name)
				p.part.Close()
			}
			g.log.Info("stopped", "part", p.name)
		}
	}
	g.mu.Lock()
	g.config, g.placed = next, now
	g.mu.Unlock()
	if !start {
		return // Run starts them
	}
	for _, p := range opened {
		g.parts.start(p.name, p.part.Run)
		g.log.Info("started", "part", p.name)
	}
}
