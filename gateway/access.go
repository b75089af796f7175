package gateway

import (
	"context"
	"log/slog"

	"sluice/gateway/access"
	"sluice/gateway/config"
	"sluice/gateway/mqtt"
	"sluice/store"
)

// guard is what lets MQTT clients in, as the listener wants it.
type guard struct{ *access.Guard }

// newGuard makes the guard of a configuration, which replaces before, if there is one.
func newGuard(c *config.MQTT, before guard, log *slog.Logger) (guard, error) {
	options := access.Options{
		DenyPublish:   c.DenyPublish,
		DenySubscribe: c.DenySubscribe,
		// Two passwords are hashed at a time: together at most a quarter of the machine's memory.
		HashMemory: store.Memory() / 8,
		Before:     before.Guard,
	}
	for _, u := range c.Users {
		options.Users = append(options.Users, access.User{
			Name: u.Name, PasswordFile: u.PasswordFile, Certificate: u.Certificate, Publish: u.Publish, Subscribe: u.Subscribe,
		})
	}
	g, err := access.New(options, log)
	return guard{g}, err
}

// Connect decides on an attempt.
func (g guard) Connect(ctx context.Context, attempt *mqtt.Attempt) mqtt.Grant {
	asked := access.Attempt(*attempt)
	if grant := g.Guard.Connect(ctx, &asked); grant != nil {
		return grant
	}
	return nil // and not a nil *access.Grant, which would be no nil Grant
}
