package gateway

import (
	"context"
	"crypto/rand"
	"fmt"

	"sluice/gateway/config"
	"sluice/store"
	"sluice/web"
)

// page is the HTTP server in its place.
type page struct{ server *web.Server }

func (g *Gateway) pagePlace(c *config.Config) place {
	return place{name: "web", spec: c.Web, open: func(part) (part, error) {
		server, err := web.New(web.Options{
			Listen:    c.Web.Listen,
			Gateway:   g,
			Line:      g.options.Line,
			Accounts:  accounts{g.admin},
			Keeper:    keeper{g},
			Messages:  messages{g.queues, g.store, &g.readable, g.consumers, g.broker, g.forwards},
			Uplinks:   uplinks{g},
			Buses:     newFieldLines(g),
			Searches:  g.searches,
			Points:    fieldPoints{g},
			System:    system{g},
			Logs:      g.records(),
			Restorer:  restorer{g},
			SetupCode: g.setup,
			Version:   g.options.Version,
			Log:       g.log.With("part", "web"),
		})
		if err != nil {
			return nil, err
		}
		if err := server.Listen(); err != nil {
			return nil, err
		}
		return &page{server}, nil
	}}
}

func (p *page) Run(ctx context.Context) error { return p.server.Run(ctx) }

func (p *page) Close() { p.server.Close() }

// Administrator is the user that a fresh gateway has.
const Administrator = "admin"

// prepareAdmin gives a fresh data directory its administrator, or a one-time code to make one.
func (g *Gateway) prepareAdmin() error {
	_, found, err := g.admin.User(Administrator)
	if err != nil || found {
		return err
	}
	if g.options.AdminPassword == "" {
		g.setup = rand.Text()[:8]
		if g.options.SetupCode != nil {
			g.options.SetupCode(g.setup)
		}
		return nil
	}
	if err := web.CheckPassword(g.options.AdminPassword); err != nil {
		g.log.Warn("the administrator's password is weak, but it is what the environment says", "err", err)
	}
	hash, err := web.HashPassword(g.options.AdminPassword)
	if err != nil {
		return fmt.Errorf("the administrator's password: %w", err)
	}
	return g.admin.PutUser(store.User{Name: Administrator, Role: "administrator", PasswordHash: hash})
}

// accounts lets the administration database be the page's.
type accounts struct{ *store.Admin }

func (a accounts) Password(user string) (hash []byte, role string, found bool, err error) {
	u, found, err := a.User(user)
	return u.PasswordHash, u.Role, found, err
}

func (a accounts) SetPassword(user string, hash []byte, role string) error {
	return a.PutUser(store.User{Name: user, Role: role, PasswordHash: hash})
}
