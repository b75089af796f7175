package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	drivers "sluice/collectors/all"
	"sluice/collectors/bus"
	"sluice/collectors/finder"
	"sluice/web"
)

// searchPlan is a search made ready.
type searchPlan struct {
	place string
	run   func(ctx context.Context, r finder.Report) error
	lines *bus.Set // of its own; nil: it uses the gateway's
}

func (p *searchPlan) close() error {
	if p.lines == nil {
		return nil
	}
	return p.lines.Close()
}

// searcher is the name under which searches ask, for the monitor.
const searcher = "search"

// plan checks what is wanted and makes it ready.
func (g *Gateway) plan(wanted web.SearchRequest) (*searchPlan, error) {
	switch wanted.Kind {
	case "line":
		if wanted.Network != "" || wanted.Ports != nil {
			return nil, &web.SearchError{Field: "network", Problem: "goes with kind network"}
		}
		return g.planLine(wanted)
	case "network":
		for field, given := range map[string]bool{"bus": wanted.Bus != "", "serial": wanted.Serial != "", "bauds": wanted.Bauds != nil, "parities": wanted.Parities != nil} {
			if given {
				return nil, &web.SearchError{Field: field, Problem: "goes with kind line"}
			}
		}
		return planNetwork(wanted, g.buses)
	}
	return nil, &web.SearchError{Field: "kind", Problem: fmt.Sprintf("%q is not line or network", wanted.Kind)}
}

func (g *Gateway) planLine(wanted web.SearchRequest) (*searchPlan, error) {
	switch {
	case wanted.Bus != "" && wanted.Serial != "":
		return nil, &web.SearchError{Field: "serial", Problem: "a search has a bus or a serial port, not both"}
	case wanted.Bus == "":
		for _, p := range g.buses.Ports() {
			if owns(p, wanted.Serial) {
				return nil, &web.SearchError{Field: "serial", Problem: fmt.Sprintf("it belongs to the bus %s: search that", p.Name())}
			}
		}
		return planSerial(wanted)
	}
	port, err := g.buses.Port(wanted.Bus)
	if err != nil {
		return nil, &web.SearchError{Field: "bus", Problem: err.Error()}
	}
	settings := port.Settings()
	s := &finder.LineSearch{
		Place: "bus://" + wanted.Bus, Bus: wanted.Bus, Serial: settings.Serial != "", Now: settings.Character,
	}
	if err := fillLine(s, wanted, len(port.Stats().Clients) > 0); err != nil {
		return nil, err
	}
	if s.Line, err = g.buses.Client(s.Place, searcher); err != nil {
		return nil, &web.SearchError{Field: "bus", Problem: err.Error()}
	}
	return &searchPlan{place: s.Place, run: func(ctx context.Context, r finder.Report) error {
		defer s.Line.Rest()
		return s.Run(ctx, r)
	}}, nil
}

// owns says whether a line is that serial port, under whichever of its names.
func owns(p *bus.Port, path string) bool {
	of := p.Settings().Serial
	return of != "" && path != "" && (of == path || real(of) == real(path))
}

func real(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}

// planSerial is for a port that no line has: it gets a line of its own.
func planSerial(wanted web.SearchRequest) (*searchPlan, error) {
	if wanted.Serial == "" || !strings.HasPrefix(wanted.Serial, "/dev/") && !filepath.IsAbs(wanted.Serial) {
		return nil, &web.SearchError{Field: "serial", Problem: "name the port, such as /dev/ttyS1, or a bus"}
	}
	s := &finder.LineSearch{Place: wanted.Serial, Path: wanted.Serial, Serial: true}
	if err := fillLine(s, wanted, false); err != nil {
		return nil, err
	}
	lines, err := bus.NewSet(map[string]bus.Settings{searcher: {Serial: wanted.Serial}})
	if err != nil {
		return nil, &web.SearchError{Field: "serial", Problem: err.Error()}
	}
	if s.Line, err = lines.Client("bus://"+searcher, searcher); err != nil {
		return nil, errors.Join(err, lines.Close())
	}
	return &searchPlan{place: s.Place, run: s.Run, lines: lines}, nil
}

// fillLine takes over what is asked for, and at which settings. What holds the line for seconds is not
// asked for on one in operation unless somebody chose it.
func fillLine(s *finder.LineSearch, wanted web.SearchRequest, operating bool) (err error) {
	usual := func(p *finder.Protocol) bool { return p.Line && (!operating || !p.Slow) }
	possible := func(p *finder.Protocol) bool { return p.LineScheme != "" }
	if s.Protocols, err = protocolsOf(wanted, usual, possible, "lines"); err != nil {
		return err
	}
	for _, baud := range wanted.Bauds {
		problem := ""
		settings := bus.Settings{Serial: "/dev/null", Character: bus.Character{Baud: baud}}
		settings.Validate(func(_, text string) { problem = text })
		if baud <= 0 || problem != "" {
			return &web.SearchError{Field: "bauds", Problem: cmp.Or(problem, fmt.Sprintf("%d is not a rate", baud))}
		}
	}
	for _, parity := range wanted.Parities {
		if !slices.Contains([]string{"none", "even", "odd"}, parity) {
			return &web.SearchError{Field: "parities", Problem: fmt.Sprintf("%q is not none, even or odd", parity)}
		}
	}
	s.Bauds, s.Parities = wanted.Bauds, wanted.Parities
	if s.Units, err = unitsOf(wanted); err != nil {
		return err
	}
	return nil
}

func unitsOf(wanted web.SearchRequest) ([]byte, error) {
	units, err := finder.ParseUnits(wanted.Units)
	if err != nil {
		return nil, &web.SearchError{Field: "units", Problem: err.Error()}
	}
	return units, nil
}

// protocolsOf are those that were chosen, or the usual ones.
func protocolsOf(wanted web.SearchRequest, usual, possible func(*finder.Protocol) bool, where string) (list []*finder.Protocol, err error) {
	all := drivers.Protocols()
	if len(wanted.Protocols) == 0 {
		return slices.DeleteFunc(all, func(p *finder.Protocol) bool { return !usual(p) }), nil
	}
	for _, name := range wanted.Protocols {
		i := slices.IndexFunc(all, func(p *finder.Protocol) bool { return p.Name == name })
		switch {
		case i < 0:
			return nil, &web.SearchError{Field: "protocols", Problem: fmt.Sprintf("%q is not a protocol", name)}
		case !possible(all[i]):
			return nil, &web.SearchError{Field: "protocols", Problem: fmt.Sprintf("%s is not looked for in %s", name, where)}
		}
		list = append(list, all[i])
	}
	return list, nil
}

const (
	usualPort     = 502
	mostPorts     = 16
	searchTimeout = 500 * time.Millisecond // of an answer over a network
)

// planNetwork uses connections that the gateway has, since some devices allow one only, and makes its
// own to all others. inUse is nil where there is no gateway.
func planNetwork(wanted web.SearchRequest, inUse *bus.Set) (*searchPlan, error) {
	network, err := netip.ParsePrefix(wanted.Network)
	if err != nil {
		if single, bad := netip.ParseAddr(wanted.Network); bad == nil {
			network, err = netip.PrefixFrom(single, single.BitLen()), nil
		}
	}
	if err != nil {
		return nil, &web.SearchError{Field: "network", Problem: fmt.Sprintf("%q is not a network such as 192.168.1.0/24", wanted.Network)}
	}
	if err := finder.CheckNetwork(network); err != nil {
		return nil, &web.SearchError{Field: "network", Problem: err.Error()}
	}
	s := &finder.NetworkSearch{Network: network.Masked(), Timeout: searchTimeout}
	for _, port := range wanted.Ports {
		if port < 1 || port > 65535 {
			return nil, &web.SearchError{Field: "ports", Problem: fmt.Sprintf("%d is not a port from 1 to 65535", port)}
		}
		s.Ports = append(s.Ports, uint16(port))
	}
	switch {
	case len(s.Ports) == 0:
		s.Ports = []uint16{usualPort}
	case len(s.Ports) > mostPorts:
		return nil, &web.SearchError{Field: "ports", Problem: fmt.Sprintf("more than %d are not searched at a time", mostPorts)}
	}
	usual := func(p *finder.Protocol) bool { return p.Network }
	possible := func(p *finder.Protocol) bool { return p.NetworkScheme != "" }
	if s.Protocols, err = protocolsOf(wanted, usual, possible, "networks"); err != nil {
		return nil, err
	}
	// Who speaks TCP is asked in TCP first: RTU may upset it.
	slices.SortStableFunc(s.Protocols, func(a, b *finder.Protocol) int { return cmp.Compare(overSerial(a), overSerial(b)) })
	if s.Units, err = unitsOf(wanted); err != nil {
		return nil, err
	}
	lines, err := bus.NewSet(nil)
	if err != nil {
		return nil, fmt.Errorf("make connections for a search: %w", err)
	}
	s.Client = func(address string) (*bus.Client, error) {
		if inUse != nil && slices.ContainsFunc(inUse.Ports(), func(p *bus.Port) bool { return "tcp://"+p.Settings().Dial == address }) {
			return inUse.Client(clientAddress(inUse, address), searcher)
		}
		return lines.Client(address, searcher)
	}
	return &searchPlan{place: s.Network.String(), run: s.Run, lines: lines}, nil
}

// clientAddress is what the gateway calls the line to an address: a bus of its configuration, or the
// address itself.
func clientAddress(set *bus.Set, address string) string {
	for _, p := range set.Ports() {
		if "tcp://"+p.Settings().Dial == address && p.Name() != address {
			return "bus://" + p.Name()
		}
	}
	return address
}

func overSerial(p *finder.Protocol) int {
	if p.LineScheme == "" {
		return 0
	}
	return 1
}
