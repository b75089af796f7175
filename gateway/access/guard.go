// Package access decides who may connect over MQTT and what they may do. It hides how passwords are
// kept, how guessing is slowed down and how allow and deny lists are compared with topics and filters.
package access

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"
)

// Options say who may connect. Nothing in them is changed or kept beyond what New copies.
type Options struct {
	Users []User
	// DenyPublish and DenySubscribe hold for everybody, whatever else allows it.
	DenyPublish, DenySubscribe []string
	// HashMemory is the most that one password hash may take, in bytes; 0 is 256 MiB, the largest.
	HashMemory int64
	// Before is the guard that the new one replaces, if any: what failed stays counted, and passwords
	// that were right need not be compared again.
	Before *Guard
}

// User is somebody who may connect, and what they may do: a list that is empty allows nothing.
// %u and %c in the lists stand for the user's name and the client identifier.
type User struct {
	Name         string
	PasswordFile string // empty: a password does not let this user in
	Certificate  bool   // a client certificate of this name lets the user in
	Publish      []string
	Subscribe    []string
}

// Attempt is what a client brings along when it connects.
type Attempt struct {
	ClientID    string
	Address     string // host:port of the client
	HasUser     bool
	User        string
	HasPassword bool
	Password    []byte            // not kept
	Certificate *x509.Certificate // verified; nil without one
	Anonymous   bool              // where the client came in, nobody needs a name
}

// Stats are counters since New, but Waiting, which is how many attempts wait at present.
type Stats struct {
	Accepted uint64
	Refused  uint64
	Delayed  uint64 // attempts that had to wait because others before them had failed
	Hashed   uint64 // passwords that were compared with a slow hash
	Waiting  int
}

// Guard decides. Its methods may be called from any goroutine.
type Guard struct {
	users       map[string]*user
	denyPublish rules
	denyReceive rules
	log         *slog.Logger
	lines       limiter
	judge       *judge

	accepted, refused atomic.Uint64
}

type user struct {
	name               string
	password           *passwordFile // nil: no password lets this user in
	certificate        bool
	publish, subscribe templates
}

// patience bounds an attempt whose context does not. It is as long as a client may take to connect.
const patience = 10 * time.Second

// New checks the users. Password files are read when they are needed.
func New(options Options, log *slog.Logger) (*Guard, error) {
	log = log.With("component", "access")
	g := &Guard{
		users:       make(map[string]*user, len(options.Users)),
		denyPublish: newRules(options.DenyPublish),
		denyReceive: newRules(options.DenySubscribe),
		log:         log,
	}
	limits := limitsFor(options.HashMemory)
	var files []*passwordFile
	for _, each := range options.Users {
		if each.Name == "" {
			return nil, fmt.Errorf("access: a user has no name")
		}
		if g.users[each.Name] != nil {
			return nil, fmt.Errorf("access: user %q is there twice", each.Name)
		}
		u := &user{
			name:        each.Name,
			certificate: each.Certificate,
			publish:     newTemplates(each.Publish),
			subscribe:   newTemplates(each.Subscribe),
		}
		if each.PasswordFile != "" {
			u.password = &passwordFile{path: each.PasswordFile, user: each.Name, limits: limits, log: log}
			files = append(files, u.password)
		}
		g.users[each.Name] = u
	}
	g.judge = &judge{files: files}
	if options.Before != nil {
		g.judge.past = options.Before.judge.past
	} else {
		g.judge.past = newPast()
	}
	return g, nil
}

// Connect decides on an attempt; nil refuses it. It waits for its turn to compare the password, and
// longer after failed attempts, but never beyond the end of ctx: a little before, so that the refusal
// can still be sent.
func (g *Guard) Connect(ctx context.Context, attempt *Attempt) *Grant {
	ctx, cancel := context.WithTimeout(ctx, patienceIn(ctx))
	defer cancel()
	grant, why := g.decide(ctx, attempt)
	if grant == nil {
		g.refused.Add(1)
		g.warn("client refused", "why", why, "client", clip(attempt.ClientID), "address", attempt.Address, "user", clip(attempt.User))
		return nil
	}
	g.accepted.Add(1)
	return grant
}

// patienceIn is the time that an attempt may take.
func patienceIn(ctx context.Context) time.Duration {
	left := patience
	if end, bounded := ctx.Deadline(); bounded {
		left = min(left, time.Until(end))
	}
	return left - min(left/10, 500*time.Millisecond)
}

// decide gives a grant, or why there is none. What the reason tells is for the gateway's log alone.
func (g *Guard) decide(ctx context.Context, a *Attempt) (grant *Grant, why string) {
	owner := g.users[certificateName(a.Certificate)]
	if owner != nil && !owner.certificate {
		owner = nil
	}
	named := a.HasUser && a.User != ""
	switch {
	case owner != nil && (!named || a.User == owner.name):
		return g.grantTo(owner, a), ""
	case a.Anonymous && (!named || len(g.users) == 0):
		// Devices often have a user set from elsewhere. Where there are none, it tells nothing.
		return g.anonymous(a), ""
	case !named:
		return nil, "no user name, and none from a certificate"
	case !a.HasPassword:
		// No time passes, whoever the user is.
		return nil, "no password"
	}
	u := g.users[a.User]
	if why := g.judge.password(ctx, u, a); why != "" {
		return nil, why
	}
	return g.grantTo(u, a), ""
}

// Stats gives the counters.
func (g *Guard) Stats() Stats {
	return Stats{
		Accepted: g.accepted.Load(),
		Refused:  g.refused.Load(),
		Delayed:  g.judge.delayed.Load(),
		Hashed:   g.judge.hashed.Load(),
		Waiting:  g.judge.waiting.count(),
	}
}

// warn logs within a limit: a stranger could otherwise fill the log.
func (g *Guard) warn(text string, details ...any) {
	allowed, missed := g.lines.allow(time.Now())
	if !allowed {
		return
	}
	if missed > 0 {
		details = append(details, "lines_left_out", missed)
	}
	g.log.Warn(text, details...)
}

// certificateName is the user that a certificate stands for: the common name of its subject, or
// where that is empty the first of its DNS names, URIs and e-mail addresses.
func certificateName(certificate *x509.Certificate) string {
	switch {
	case certificate == nil:
		return ""
	case certificate.Subject.CommonName != "":
		return certificate.Subject.CommonName
	case len(certificate.DNSNames) > 0:
		return certificate.DNSNames[0]
	case len(certificate.URIs) > 0:
		return certificate.URIs[0].String()
	case len(certificate.EmailAddresses) > 0:
		return certificate.EmailAddresses[0]
	}
	return ""
}

// local says whether a client is on this machine.
func local(address string) bool {
	parsed, err := netip.ParseAddrPort(address)
	return err == nil && parsed.Addr().IsLoopback()
}

// clip shortens what a client sent for a line of the log.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
