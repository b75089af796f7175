// Package bus gives every line to devices one owner, be it a serial port, a connection that the gateway
// opens or one that a DTU opens to it. Devices that share a line take turns on it in the order they
// asked; the package keeps the silence between frames, switches settings, cancels echoes, opens and
// reopens the line, measures how busy it is and keeps what went over it for the monitor. It hides
// github.com/tarm/serial with its blind spots.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
)

// Set is all the lines of a configuration, and those to addresses alone. Lines open when they are first
// used, so a missing adapter is the trouble of its devices and of nobody else.
type Set struct {
	// Log hears of DTUs; nil: nobody does. Set it before Run.
	Log *slog.Logger
	// Dial opens the connections to addresses; nil: over TCP. Set it before the first Client or Update.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	changed chan struct{} // the doors are others than Run has seen

	mu     sync.Mutex       // guards what follows
	ports  map[string]*Port // by their names
	links  map[string]*Port // by host:port; Visited ones by their names
	doors  map[string]*door // by the address to listen on
	closed bool
}

// NewSet makes a set of lines by their names and opens none of them; the addresses at which DTUs are
// expected are bound.
func NewSet(lines map[string]Settings) (*Set, error) {
	s := &Set{ports: map[string]*Port{}, links: map[string]*Port{}, doors: map[string]*door{}, changed: make(chan struct{}, 1)}
	if err := s.Update(lines); err != nil {
		return nil, err
	}
	return s, nil
}

// Port gives the line of that name.
func (s *Set) Port(name string) (*Port, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.ports[name]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("there is no bus named %q", name)
}

// Ports gives all lines: those with names first, then those that are nothing but an address and in use.
func (s *Set) Ports() []*Port {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Port
	for _, group := range []map[string]*Port{s.ports, s.links} {
		for _, name := range slices.Sorted(maps.Keys(group)) {
			all = append(all, group[name])
		}
	}
	return all
}

// Client gives a device access to a line: bus://NAME is one of the configuration, tcp://host:port one
// that all clients of that address share, from the first that uses it to the last that rests.
func (s *Set) Client(address, device string) (*Client, error) {
	c := &Client{set: s, address: address, device: device}
	if name, ok := strings.CutPrefix(address, "bus://"); ok {
		var err error
		if c.port, err = s.Port(name); err != nil {
			return nil, err
		}
		return c, nil
	}
	hostPort, ok := strings.CutPrefix(address, "tcp://")
	if !ok {
		return nil, fmt.Errorf("%q is neither bus://NAME nor tcp://host:port", address)
	}
	if err := checkAddress(hostPort, false); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.port = s.links[hostPort]; c.port == nil {
		settings := Settings{Dial: hostPort}.withDefaults()
		c.port = s.newPort(address, address, newRing(linkFrames, linkBytes), settings)
	}
	return c, nil
}

// enter counts c among the clients of its line, and gives the line.
func (s *Set) enter(c *Client) *Port {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.mu.Lock()
	p := c.port
	if name, ok := strings.CutPrefix(c.address, "bus://"); ok {
		if now, ok := s.ports[name]; ok {
			p = now
		}
	} else {
		hostPort := strings.TrimPrefix(c.address, "tcp://")
		if now, ok := s.links[hostPort]; ok {
			p = now
		} else if !p.isGone() {
			s.links[hostPort] = p
		}
	}
	before := c.port
	c.port, c.awake = p, true
	c.mu.Unlock()
	if before != p {
		before.leave(c)
	}
	p.join(c)
	return p
}

// exit takes c from among the clients of its line.
func (s *Set) exit(c *Client) {
	s.mu.Lock()
	c.mu.Lock()
	p, awake := c.port, c.awake
	c.awake = false
	c.mu.Unlock()
	if !awake {
		s.mu.Unlock()
		return
	}
	alone := p.leave(c)
	hostPort, isLink := strings.CutPrefix(c.address, "tcp://")
	if alone && isLink && s.links[hostPort] == p {
		delete(s.links, hostPort)
	}
	s.mu.Unlock()
	if alone {
		p.rests()
	}
}

// Update makes the named lines equal to lines, all or nothing. A line whose settings stay the same is
// not disturbed; one whose settings changed keeps its Port and is reopened at the next exchange; one
// that has gone is closed.
func (s *Set) Update(lines map[string]Settings) error {
	if err := check(lines); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	if err := s.listenLocked(lines); err != nil {
		s.mu.Unlock()
		return err
	}
	var gone []*Port
	for name, p := range s.ports {
		if _, stays := lines[name]; !stays {
			gone = append(gone, p)
			delete(s.ports, name)
		}
	}
	for name, settings := range lines {
		if p, ok := s.ports[name]; ok {
			p.configure(settings.withDefaults())
			continue
		}
		s.ports[name] = s.newPort(name, "bus "+name, newRing(busFrames, busBytes), settings.withDefaults())
	}
	s.mu.Unlock()
	return closeAll(gone)
}

func (s *Set) newPort(name, label string, frames *ring, settings Settings) *Port {
	p := newPort(name, label, frames, settings)
	p.dial = s.Dial
	return p
}

// listenLocked binds the addresses of lines that nobody is bound to yet, and lets go of the others.
func (s *Set) listenLocked(lines map[string]Settings) error {
	wanted := map[string]bool{}
	fresh := map[string]*door{}
	for name, settings := range lines {
		address := settings.Listen
		if address == "" || wanted[address] {
			continue
		}
		wanted[address] = true
		if s.doors[address] != nil {
			continue
		}
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
		if err != nil {
			for _, d := range fresh {
				d.listener.Close()
			}
			return fmt.Errorf("bus %s: listen on %s: %w", name, address, plain(err))
		}
		fresh[address] = newDoor(address, listener)
	}
	for address, d := range s.doors {
		if !wanted[address] {
			d.listener.Close()
			delete(s.doors, address)
		}
	}
	maps.Copy(s.doors, fresh)
	select {
	case s.changed <- struct{}{}:
	default: // Run has not yet looked since the last change
	}
	return nil
}

// Close closes every line; exchanges under way end with ErrClosed.
func (s *Set) Close() error {
	s.mu.Lock()
	s.closed = true
	ports := slices.AppendSeq(slices.Collect(maps.Values(s.ports)), maps.Values(s.links))
	clear(s.links)
	for _, d := range s.doors {
		d.listener.Close()
	}
	clear(s.doors)
	s.mu.Unlock()
	return closeAll(ports)
}

func closeAll(ports []*Port) error {
	var errs []error
	for _, p := range ports {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

func check(lines map[string]Settings) error {
	var errs []error
	names := slices.Sorted(maps.Keys(lines))
	for i, name := range names {
		settings := lines[name]
		settings.Validate(func(path, problem string) {
			errs = append(errs, fmt.Errorf("bus %s: %s: %s", name, path, problem))
		})
		for _, other := range names[:i] {
			next := lines[other]
			if err := settings.collides(&next, other); err != nil {
				errs = append(errs, fmt.Errorf("bus %s: %w", name, err))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// Collides says whether two lines cannot be beside each other.
func (s Settings) Collides(other Settings) bool { return s.collides(&other, "") != nil }

// collides tells why.
func (s *Settings) collides(other *Settings, name string) error {
	switch {
	case s.Serial != "" && s.Serial == other.Serial:
		return fmt.Errorf("serial: %s already belongs to bus %s", s.Serial, name)
	case s.Dial != "" && s.Dial == other.Dial:
		return fmt.Errorf("tcp: %s already belongs to bus %s", s.Dial, name)
	case s.Listen != "" && s.Listen == other.Listen && clash(s.Registration, other.Registration):
		return fmt.Errorf("registration: bus %s at the same address has one that begins alike", name)
	}
	return nil
}
