package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"sluice/gateway/certificates"
	"sluice/gateway/config"
	"sluice/store"
	"sluice/web"
)

// page is the HTTP server in its place.
type page struct {
	server       *web.Server
	certificates *certificates.Set // nil without TLS
	late         bool              // a port is free when the page before it has gone
	log          *slog.Logger
}

func (g *Gateway) pagePlace(c *config.Config) place {
	return place{name: "web", spec: c.Web, open: func(replaces part) (part, error) {
		set, err := g.openCertificates(c)
		if err != nil {
			return nil, err
		}
		options := web.Options{
			Listen:       c.Web.Listen,
			Gateway:      g,
			Line:         g.options.Line,
			Accounts:     accounts{g.admin, g.forgetCode},
			Keeper:       keeper{g},
			Messages:     messages{g.queues, g.store, &g.readable, g.consumers, g.broker, g.forwards},
			Uplinks:      uplinks{g},
			Clouds:       clouds{g},
			Outages:      g.outages,
			Tracer:       g.tracer,
			Buses:        g.lines,
			Searches:     g.searches,
			Alarms:       alarms{g},
			Points:       fieldPoints{g},
			Devices:      fieldDevices{g},
			Trends:       trends{g},
			FirstRun:     firstRun{g},
			Clock:        g.clock,
			System:       system{g},
			Logs:         g.records(),
			Restorer:     restorer{g},
			Firmware:     firmwarePart{g, g.options.Firmware},
			Configurator: g.configurator,
			Network:      g.network,
			Resetter:     resetter{g},
			SetupCode:    g.setup,
			Version:      g.options.Version,
			Log:          g.log.With("part", "web"),
		}
		if set != nil {
			options.TLS = &web.TLS{Listen: c.Web.TLS.Listen, Config: set.Config()}
			options.Certificates = shownCertificates{set}
		}
		server, err := web.New(options)
		if err != nil {
			return nil, err
		}
		p := &page{server: server, certificates: set, log: g.log.With("part", "web")}
		before, replacing := replaces.(*page)
		if replacing {
			server.TakeOver(before.server)
		}
		err = server.Listen()
		if replacing && errors.Is(err, syscall.EADDRINUSE) && before.server.HasPortOf(server) {
			p.late, err = true, nil
		}
		if err != nil {
			return nil, err
		}
		if set != nil {
			shown := set.Current()
			g.log.Info("the page is served over TLS", "listen", c.Web.TLS.Listen, "certificate", shown.Kind, "until", shown.Until, "fingerprint", shown.Fingerprint)
			if g.options.Fingerprint != nil && shown.Kind == certificates.SelfMade {
				g.options.Fingerprint(shown.Fingerprint)
			}
		}
		return p, nil
	}}
}

// untilFree is how often a page asks whether the one before it has let go of a port.
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
	if p.certificates == nil {
		return p.server.Run(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	var tending sync.WaitGroup
	defer tending.Wait()
	defer cancel()
	tending.Go(func() { p.certificates.Run(ctx) })
	return p.server.Run(ctx)
}

func (p *page) Close() { p.server.Close() }

// Administrator is the user that a fresh gateway has.
const Administrator = "admin"

// prepareAdmin gives a fresh data directory its administrator, or a one-time code to make one.
func (g *Gateway) prepareAdmin() error {
	users, err := g.admin.Users()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(users, func(u store.User) bool { return u.Role == "administrator" }) {
		g.forgetCode()
		return nil
	}
	if g.options.AdminPassword == "" {
		g.setup = cmp.Or(g.options.GivenCode, rand.Text()[:8])
		g.keepCode()
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
	if err := g.admin.PutUser(store.User{Name: Administrator, Role: "administrator", PasswordHash: hash}); err != nil {
		return err
	}
	g.forgetCode()
	return g.noteGiven(hash)
}

// keepCode writes the one-time code where whoever makes labels finds it. A boot partition that cannot be
// written keeps no gateway from starting: the code is on the console too.
func (g *Gateway) keepCode() {
	if g.options.CodeFile == "" {
		return
	}
	if err := config.WriteAtomic(g.options.CodeFile, []byte(g.setup+"\n")); err != nil {
		g.log.Warn("the one-time code could not be written", "err", err)
	}
}

// forgetCode removes the file with the code, which is worth nothing once there is a password.
func (g *Gateway) forgetCode() {
	if g.options.CodeFile == "" {
		return
	}
	if err := os.Remove(g.options.CodeFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.log.Warn("the file with the one-time code could not be removed", "err", err)
	}
}

// accounts lets the administration database be the page's.
type accounts struct {
	*store.Admin
	first func() // somebody has a password now
}

func (a accounts) Password(user string) (hash []byte, role string, found bool, err error) {
	u, found, err := a.User(user)
	return u.PasswordHash, u.Role, found, err
}

func (a accounts) SetPassword(user string, hash []byte, role string) error {
	if err := a.PutUser(store.User{Name: user, Role: role, PasswordHash: hash}); err != nil {
		return err
	}
	a.first()
	return nil
}

func (a accounts) Users() (list []web.User, err error) {
	all, err := a.Admin.Users()
	for _, u := range all {
		list = append(list, web.User{Name: u.Name, Role: u.Role})
	}
	return list, err
}

func (a accounts) RemoveUser(name string) error {
	known, err := a.Admin.RemoveUser(name)
	if err == nil && !known {
		return web.ErrUnknown
	}
	return err
}

func (a accounts) Sessions() (list []web.KeptSession, err error) {
	all, err := a.SignedIn()
	for _, s := range all {
		if len(s.Hash) != sha256.Size {
			continue // nobody's
		}
		list = append(list, web.KeptSession{
			Hash: [sha256.Size]byte(s.Hash), User: s.User,
			Created: time.UnixMilli(s.Created), Used: time.UnixMilli(s.Used), Expires: time.UnixMilli(s.Expires),
		})
	}
	return list, err
}

func (a accounts) SetSessions(list []web.KeptSession) error {
	all := make([]store.SignedIn, 0, len(list))
	for _, s := range list {
		all = append(all, store.SignedIn{
			Hash: s.Hash[:], User: s.User,
			Created: s.Created.UnixMilli(), Used: s.Used.UnixMilli(), Expires: s.Expires.UnixMilli(),
		})
	}
	return a.PutSignedIn(all)
}

func (a accounts) Tokens() (list []web.Token, err error) {
	all, err := a.Admin.Tokens()
	for _, t := range all {
		shown := web.Token{Name: t.Name, Role: t.Role, By: t.By, Made: time.UnixMilli(t.Made), Hash: t.Hash}
		if t.Expires != 0 {
			expires := time.UnixMilli(t.Expires)
			shown.Expires = &expires
		}
		list = append(list, shown)
	}
	return list, err
}

func (a accounts) SetTokens(list []web.Token) error {
	all := make([]store.Token, 0, len(list))
	for _, t := range list {
		kept := store.Token{Name: t.Name, Role: t.Role, By: t.By, Made: t.Made.UnixMilli(), Hash: t.Hash}
		if t.Expires != nil {
			kept.Expires = t.Expires.UnixMilli()
		}
		all = append(all, kept)
	}
	return a.PutTokens(all)
}
