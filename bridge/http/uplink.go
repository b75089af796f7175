package http

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"sluice/bridge"
	"sluice/bridge/batch"
	"sluice/bridge/dial"
)

// Uplink is a configured way to one receiver, which may have several addresses.
type Uplink struct {
	options   Options
	gateway   string
	addresses []*address
	turn      dial.Turn
	log       *slog.Logger

	mu       sync.Mutex  // guards what follows
	not      []time.Time // by address: the receiver asked not to come before
	suspects map[int]suspect
}

// suspect is the message that a shard's batch began with when the receiver's program failed over it.
type suspect struct {
	id    string
	since time.Time
}

// New makes an uplink. It touches neither network nor files. gateway is what {gateway} stands for.
func New(o Options, gateway string, log *slog.Logger) (*Uplink, error) {
	var problem error
	o.Validate(func(path, text string) {
		if problem == nil {
			problem = fmt.Errorf("http uplink: %s %s", path, text)
		}
	})
	if problem != nil {
		return nil, problem
	}
	if o.Body == singleBody {
		o.Count = 1
	}
	if len(o.TLS.ALPN) == 0 {
		o.TLS.ALPN = []string{"h2", "http/1.1"}
	}
	if log == nil {
		log = slog.Default()
	}
	u := &Uplink{options: o, gateway: gateway, log: log, suspects: make(map[int]suspect)}
	for _, text := range o.all() {
		a, err := parseAddress(text, gateway)
		if err != nil {
			return nil, fmt.Errorf("http uplink: the address %w", err)
		}
		u.addresses = append(u.addresses, a)
	}
	u.not = make([]time.Time, len(u.addresses))
	return u, nil
}

// Connect opens a connection to the first address that works, from the last good one on, and asks
// there how it is if there is a health path: more cannot be known before the first messages.
func (u *Uplink) Connect(ctx context.Context) (bridge.Link, error) {
	var l *link
	err := u.turn.Try(ctx, len(u.addresses), func(ctx context.Context, i int) (err error) {
		if until := u.asked(i); time.Now().Before(until) {
			return fmt.Errorf("%s asks for no requests before %s", u.addresses[i].host, until.Format(time.TimeOnly))
		}
		l, err = u.open(ctx, i)
		return err
	})
	if err != nil {
		return nil, err
	}
	l.start()
	return l, nil
}

// open makes a link with a first connection to an address.
func (u *Uplink) open(ctx context.Context, i int) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, u.options.ConnectTimeout)
	defer cancel()
	fields, err := u.options.authorize()
	if err != nil {
		return nil, err
	}
	l := newLink(u, i, fields)
	if l.lines.spare, err = l.lines.dial(ctx, l.to.host, l.to.secure); err != nil {
		l.end()
		return nil, err
	}
	l.lines.dialled = time.Now()
	if u.options.Health != "" {
		err := dial.Take(ctx, bridge.LoggedIn, func() (string, error) { return l.health(ctx) })
		if err != nil {
			l.end()
			return nil, err
		}
	}
	return l, nil
}

// asked is until when the receiver behind an address wants to be left alone.
func (u *Uplink) asked(i int) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.not[i]
}

func (u *Uplink) leaveAlone(i int, wait time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.not[i] = time.Now().Add(wait)
}

// suspected notes that the receiver's program failed over items, and says whether it has failed over
// the same message for so long that the message may be why. While a receiver is ill its answers say
// nothing about messages: to set them aside then would empty the log into the dead letters.
func (u *Uplink) suspected(shard int, items []batch.Item) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	known := u.suspects[shard]
	for i := range items {
		if known.id == items[i].ID() {
			return time.Since(known.since) >= u.options.ServerErrors
		}
	}
	u.suspects[shard] = suspect{items[0].ID(), time.Now()}
	return false
}

// Probe tries the addresses in their order until one works, and sends a message of its own there.
func (u *Uplink) Probe(ctx context.Context, report func(bridge.Step)) error {
	var turn dial.Turn // the test begins with the first and leaves the uplink's own turn as it is
	return turn.Try(ctx, len(u.addresses), func(ctx context.Context, i int) error {
		host := u.addresses[i].host
		return u.probe(dial.Traced(ctx, func(s dial.Step) {
			if len(u.addresses) > 1 && s.Err == nil {
				s.Detail = host + ": " + s.Detail
			} else if len(u.addresses) > 1 {
				s.Err = fmt.Errorf("%s: %w", host, s.Err)
			}
			report(bridge.Step(s))
		}), i)
	})
}

func (u *Uplink) probe(ctx context.Context, i int) error {
	l, err := u.open(ctx, i)
	if err != nil {
		return err
	}
	defer l.end()
	return l.probe(ctx)
}

// host is the address without its port where that says nothing.
func (a *address) name() string {
	host, port, err := net.SplitHostPort(a.host)
	if err == nil && (port == "80" && !a.secure || port == "443" && a.secure) {
		return host
	}
	return a.host
}
