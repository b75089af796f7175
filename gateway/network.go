package gateway

import (
	"context"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/network"
	"sluice/gateway/network/manager"
)

// networkMark is where an unconfirmed change of the network lies in the data directory.
const networkMark = "unconfirmed-network.json"

// machineNetwork is how the machine is connected, and which of its ways out leads anywhere.
type machineNetwork struct {
	*manager.Manager
	gateway *Gateway
}

func newNetwork(g *Gateway) *machineNetwork {
	return &machineNetwork{manager.New(manager.Options{
		Grace: confirmWithin, Mark: filepath.Join(g.options.Config.Store.Dir, networkMark), Write: config.WriteAtomic,
		Log: g.log.With("part", "network"),
	}), g}
}

// State adds what the tests of the ways out say.
func (n *machineNetwork) State(ctx context.Context) (network.State, error) {
	state, err := n.Manager.State(ctx)
	c := n.gateway.Config()
	state.Failover = network.Failover{Enabled: c.Network.Failover, Targets: append([]string{}, probeTargets(c)...)}
	if watch := n.gateway.ways(); watch != nil {
		for i := range state.Devices {
			state.Devices[i].Reach = watch.Reach(state.Devices[i].Interface)
		}
	}
	return state, err
}

// ways is the part that tests the ways out; nil while it does not run.
func (g *Gateway) ways() *network.Watch {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.placed {
		if w, ok := p.part.(*waysOut); ok {
			return &w.watch
		}
	}
	return nil
}

// waysOut is the tests in their place.
type waysOut struct{ watch network.Watch }

// Run tests until ctx ends.
func (w *waysOut) Run(ctx context.Context) error { return w.watch.Run(ctx) }

// Close does nothing: nothing is open before Run.
func (w *waysOut) Close() {}

// waysSpec is what the tests depend on.
type waysSpec struct {
	Interval time.Duration
	Targets  []string
}

func (g *Gateway) waysPlace(c *config.Config) place {
	spec := waysSpec{time.Duration(c.Network.Interval), probeTargets(c)}
	return place{name: "ways out", spec: spec, open: func(part) (part, error) {
		return &waysOut{network.Watch{
			Ways: g.network, Probe: network.Connect, Targets: func() []string { return spec.Targets }, Interval: spec.Interval,
			Log: g.log.With("part", "network"),
		}}, nil
	}}
}

// mostTargets bounds what one round of tests asks of one way.
const mostTargets = 4

// probeTargets are what the configuration says, else the hosts of the uplinks: to reach them is what a way
// out is for.
func probeTargets(c *config.Config) (targets []string) {
	if len(c.Network.Probe) > 0 {
		return c.Network.Probe
	}
	for _, u := range c.Uplinks {
		for _, one := range hostsOf(endpoint(u.Options)) {
			if !slices.Contains(targets, one) && len(targets) < mostTargets {
				targets = append(targets, one)
			}
		}
	}
	return targets
}

// schemePorts are what is meant where an uplink's address has no port.
var schemePorts = map[string]string{
	"http": "80", "https": "443", "ws": "80", "wss": "443", "tcp": "1883", "mqtt": "1883", "ssl": "8883", "tls": "8883", "mqtts": "8883",
}

// hostsOf reads host:port out of what an uplink calls its other end: addresses and URLs, one after another,
// some with words behind them.
func hostsOf(ends string) (hosts []string) {
	for end := range strings.SplitSeq(ends, ",") {
		words := strings.Fields(end)
		if len(words) == 0 {
			continue
		}
		host := words[0]
		if at, err := url.Parse(host); err == nil && at.Host != "" {
			host = at.Host
			if port := schemePorts[at.Scheme]; at.Port() == "" && port != "" {
				host += ":" + port
			}
		}
		if network.HostPort(host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
