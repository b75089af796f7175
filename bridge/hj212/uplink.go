package hj212

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/bridge"
	"sluice/bridge/dial"
	wire "sluice/gateway/hj212"
)

// mostNumbers bounds how many reports are remembered that were sent and not acknowledged. There is one
// at a time in each connection: more than a few are never there.
const mostNumbers = 1024

// Uplink is a configured way to one authority's server.
type Uplink struct {
	options Options
	address string
	secured bool
	zone    *time.Location
	targets []target
	past    Past // nil: old reports are refused
	log     *slog.Logger

	mu      sync.Mutex        // guards what follows
	numbers map[string]string // QN by message: what is sent again keeps its number
	last    time.Time         // of the newest QN
}

// New makes an uplink. It touches neither network nor files.
func New(o Options, log *slog.Logger) (*Uplink, error) {
	var problem error
	o.Validate(func(path, text string) {
		if problem == nil {
			problem = fmt.Errorf("hj212 uplink: %s %s", path, text)
		}
	})
	if problem != nil {
		return nil, problem
	}
	if log == nil {
		log = slog.Default()
	}
	u := &Uplink{options: o, log: log, numbers: make(map[string]string)}
	var err error
	if u.address, u.secured, err = o.server(); err != nil {
		return nil, fmt.Errorf("hj212 uplink: address %w", err)
	}
	if u.zone, err = wire.Zone(o.TimeZone); err != nil {
		return nil, fmt.Errorf("hj212 uplink: time_zone: %w", err)
	}
	for i := range o.Points {
		p := &o.Points[i]
		code, field, _ := p.split()
		u.targets = append(u.targets, target{p.Device, p.Point, p.command(), code, field})
	}
	// All of one report together, and in it all of one code, otherwise as they are configured.
	slices.SortStableFunc(u.targets, func(a, b target) int { return strings.Compare(a.command, b.command) })
	u.targets = gather(u.targets)
	return u, nil
}

// gather moves the targets of one code in one report behind its first.
func gather(targets []target) []target {
	var out []target
	done := make([]bool, len(targets))
	for i, first := range targets {
		for j := i; j < len(targets); j++ {
			if !done[j] && targets[j].command == first.command && targets[j].code == first.code {
				done[j] = true
				out = append(out, targets[j])
			}
		}
	}
	return out
}

// Connect opens one connection. There is no login: that number and password are right shows with the
// first report.
func (u *Uplink) Connect(ctx context.Context) (bridge.Link, error) {
	password, err := dial.Secret(u.options.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read password_file: %w", err)
	}
	if !carried(password) {
		return nil, fmt.Errorf("password_file: %s holds a character that no packet can carry", u.options.PasswordFile)
	}
	line, conn, err := u.dial(ctx)
	if err != nil {
		return nil, err
	}
	l := newLink(u, line, conn, password)
	l.start()
	return l, nil
}

// dial gives the line with what counts its bytes.
func (u *Uplink) dial(ctx context.Context) (*dial.Patient, net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	raw, err := u.options.Dial(ctx, u.address)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", u.address, err)
	}
	line := &dial.Patient{Conn: raw}
	if !u.secured {
		return line, line, nil
	}
	host, _, err := net.SplitHostPort(u.address)
	if err != nil {
		raw.Close()
		return nil, nil, err
	}
	secure, cancel := context.WithTimeout(ctx, u.options.ConnectTimeout)
	defer cancel()
	secured, err := u.options.Secure(secure, line, host)
	if err != nil {
		raw.Close()
		return nil, nil, fmt.Errorf("%s: %w", u.address, err)
	}
	return line, secured, nil
}

// Probe opens a connection and closes it: HJ 212 has neither a login nor a message that an authority
// would not take for a report.
func (u *Uplink) Probe(ctx context.Context, report func(bridge.Step)) error {
	_, conn, err := u.dial(dial.Traced(ctx, func(s dial.Step) { report(bridge.Step(s)) }))
	if err != nil {
		return err
	}
	return conn.Close()
}

// number gives the QN of a message's report, the same whenever it is sent.
func (u *Uplink) number(message string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if qn, known := u.numbers[message]; known {
		return qn
	}
	if len(u.numbers) >= mostNumbers {
		clear(u.numbers)
	}
	now := time.Now().Truncate(time.Millisecond)
	if !now.After(u.last) {
		now = u.last.Add(time.Millisecond)
	}
	u.last = now
	qn := wire.FormatQN(now.In(u.zone))
	u.numbers[message] = qn
	return qn
}

// settled forgets the QN of a message that needs none any more.
func (u *Uplink) settled(message string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.numbers, message)
}
