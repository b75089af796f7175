package gateway

import (
	"fmt"
	"strings"

	"sluice/store"
)

// Begun is nil once Run has started every part.
func (g *Gateway) Begun() error {
	if !g.begun.Load() {
		return fmt.Errorf("the parts are still being started")
	}
	return nil
}

// Alive is nil while every part runs and the log can take messages, or is full, which is not an illness: a new
// start would not help. It takes the locks that those who publish and those who change the configuration take
// for a moment, so a gateway in which one is never let go does not answer. A watchdog asks for it.
func (g *Gateway) Alive() error {
	ill := g.parts.dead()
	g.Config()
	if s := g.store.Stats(); s.Health == store.Failed {
		ill = append(ill, "the log ("+s.Error+")")
	}
	if len(ill) > 0 {
		return fmt.Errorf("not running: %s", strings.Join(ill, ", "))
	}
	return nil
}
