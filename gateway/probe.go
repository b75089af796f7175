package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"sluice/bridge"
	"sluice/bridge/all"
	"sluice/gateway/config"
	"sluice/web"
)

// Step is one step of the test of an uplink, as it ended.
type Step = bridge.Step

// Why an uplink cannot be tested.
var (
	ErrNoUplink = errors.New("there is no such uplink in the configuration")
	ErrNoTest   = errors.New("an uplink of this kind cannot be tested")
)

// TestUplink tests an uplink as c has it, over a connection of its own, and reports each step as it
// ends; ErrNoUplink and ErrNoTest before any. It needs no running gateway.
func TestUplink(ctx context.Context, c *config.Config, name string, log *slog.Logger, report func(Step)) error {
	return testUplink(ctx, c, name, all.Uplinks(log), report)
}

func testUplink(ctx context.Context, c *config.Config, name string, kinds map[string]all.Kind, report func(Step)) error {
	for _, u := range c.Uplinks {
		if u.Name != name {
			continue
		}
		way, err := kinds[u.Driver].Open(c.Gateway.Name, u.Options)
		if err != nil {
			return err
		}
		prober, able := way.(bridge.Prober)
		if !able {
			return fmt.Errorf("%w: %s", ErrNoTest, u.Driver)
		}
		return prober.Probe(ctx, report)
	}
	return fmt.Errorf("%w: %s", ErrNoUplink, name)
}

// Test implements web.Uplinks.
func (u uplinks) Test(ctx context.Context, name string, report func(web.TestStep)) error {
	return testAs(ctx, u.Config(), name, all.Uplinks(u.log.With("part", "bridge")), report)
}

// testAs tests an uplink of c and tells of it as the page does.
func testAs(ctx context.Context, c *config.Config, name string, kinds map[string]all.Kind, report func(web.TestStep)) error {
	err := testUplink(ctx, c, name, kinds, func(s Step) {
		shown := web.TestStep{Step: s.Name, Detail: s.Detail, Took: float64(s.Took.Microseconds()) / 1000}
		if s.Err != nil {
			shown.Error = s.Err.Error()
		}
		report(shown)
	})
	switch {
	case errors.Is(err, ErrNoUplink):
		return fmt.Errorf("%w: uplink %s", web.ErrUnknown, name)
	case errors.Is(err, ErrNoTest):
		return fmt.Errorf("%w: %w", web.ErrNotAllowed, err)
	}
	return err
}
