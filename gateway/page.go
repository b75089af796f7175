package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"sluice/gateway/config"
	"sluice/store"
	"sluice/web"
)

// page is the HTTP server in its place.
type page struct {
	server *web.Server
	late   bool // its port is free when the page before it has gone
	log    *slog.Logger
}

func (g *Gateway) pagePlace(c *config.Config) place {
	return place{name: "web", spec: c.Web, open: func(replaces part) (part, error) {
		before, _ := replaces.(*page)
		server, err := web.New(web.Options{
			Listen:       c.Web.Listen,
			Gateway:      g,
			Line:         g.options.Line,
			Accounts:     accounts{g.admin},
			Keeper:       keeper{g},
			Messages:     messages{g.queues, g.store, &g.readable, g.consumers, g.broker, g.forwards},
			Uplinks:      uplinks{g},
			Buses:        newFieldLines(g),
			Searches:     g.searches,
			Points:       fieldPoints{g},
			SetupCode:    g.setup,
			Configurator: g.configurator,
			Replaces:     before.serverOf(),
			Version:      g.options.Version,
			Log:          g.log.With("part", "web"),
		})
		if err != nil {
			return nil, err
		}
		p := &page{server: server, log: g.log.With("part", "web")}
		err = server.Listen()
		if errors.Is(err, syscall.EADDRINUSE) && before != nil && samePort(before.server.Addr(), c.Web.Listen) {
			p.late, err = true, nil
		}
		if err != nil {
			return nil, err
		}
		return p, nil
	}}
}

// serverOf is the server of a page, if there is one.
func (p *page) serverOf() *web.Server {
	if p == nil {
		return nil
	}
	return p.server
}

func samePort(had net.Addr, wanted string) bool {
	if had == nil {
		return false
	}
	_, old, err := net.SplitHostPort(had.String())
	_, next, wrong := net.SplitHostPort(wanted)
	return err == nil && wrong == nil && old == next
}

// untilFree is how often a page asks whether the one before it has let go of the port.
const untilFree = 20 * time.Millisecond

// Run serves the page. Where it has to wait for its port it goes on trying: without a page nobody could
// say what to do instead.
func (p *page) Run(ctx context.Context) error {
	tick := time.NewTicker(untilFree)
	defer tick.Stop()
	for tries := 0; p.late; tries++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := p.server.Listen()
		if p.late = err != nil; p.late && tries == 100 {
			p.log.Error("the page waits for its port", "err", err)
		}
	}
	return p.server.Run(ctx)
}

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
