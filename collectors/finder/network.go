package finder

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"sluice/collectors/bus"
)

// MaxAddresses is the largest network that is searched: a /20.
const MaxAddresses = 4096

// AtOnce is how many addresses are asked at the same time: few enough for small routers.
const AtOnce = 32

// NetworkSearch is a search over a network.
type NetworkSearch struct {
	Network netip.Prefix
	Ports   []uint16
	Units   []byte // none: 1, 255 and 0 until one of them answers
	// Protocols are tried one after another until something answers.
	Protocols []*Protocol
	Timeout   time.Duration
	// Client gives a connection to tcp://host:port that is opened with the first question.
	Client func(address string) (*bus.Client, error)
}

// usualUnits are those that devices with an address of their own answer to.
var usualUnits = []byte{1, 255, 0}

// Hosts gives the addresses of a network that a device may have.
func Hosts(network netip.Prefix) (list []netip.Addr) {
	network = network.Masked()
	bits := network.Addr().BitLen() - network.Bits()
	for a := network.Addr(); network.Contains(a); a = a.Next() {
		list = append(list, a)
	}
	if network.Addr().Is4() && bits > 1 {
		list = list[1 : len(list)-1] // those of the network itself and of all at once
	}
	return list
}

// CheckNetwork tells why a network cannot be searched.
func CheckNetwork(network netip.Prefix) error {
	if !network.IsValid() {
		return fmt.Errorf("it is not a network such as 192.168.1.0/24")
	}
	if bits := network.Addr().BitLen() - network.Bits(); bits > 12 {
		return fmt.Errorf("%s has more than %d addresses", network, MaxAddresses)
	}
	return nil
}

// Run asks every address at every port, until ctx ends, and reports what it finds. It returns when
// the last connection is closed.
func (s *NetworkSearch) Run(ctx context.Context, r Report) error {
	run := &networkRun{NetworkSearch: s, report: r, clock: clock{began: time.Now()}}
	hosts := Hosts(s.Network)
	run.all = len(hosts) * len(s.Ports)
	places := make(chan netip.AddrPort)
	var workers sync.WaitGroup
	for range min(AtOnce, run.all) {
		workers.Go(func() {
			for place := range places {
				run.visit(ctx, place)
			}
		})
	}
	for _, port := range s.Ports { // not all ports of one address at once
		for _, host := range hosts {
			select {
			case places <- netip.AddrPortFrom(host, port):
			case <-ctx.Done():
			}
		}
	}
	close(places)
	workers.Wait()
	return ctx.Err()
}

type networkRun struct {
	*NetworkSearch

	mu     sync.Mutex // guards what follows
	report Report
	clock  clock
	done   int
	all    int
}

// dialTime is how long a connection to an address takes to fail where nobody is.
const dialTime = time.Second

// visit asks whoever listens at one place.
func (r *networkRun) visit(ctx context.Context, place netip.AddrPort) {
	if ctx.Err() != nil {
		return
	}
	r.tell(place.String(), 0)
	defer r.tell(place.String(), 1)
	client, err := r.Client("tcp://" + place.String())
	if err != nil {
		return // the lines are being closed, and ctx will say why
	}
	defer client.Rest()
	units, first := r.Units, false
	if len(units) == 0 {
		units, first = usualUnits, true
	}
	for _, p := range r.Protocols {
		found := false
		q := &Query{
			Line: client, Units: units, First: first, Timeout: r.Timeout,
			Asked: func(int, int, string) {},
			Found: func(a Answer) {
				found = true
				r.found(place, p, a)
			},
		}
		// An error means that nobody listens there, or hangs up on whoever asks.
		if err := p.Ask(ctx, q); err != nil || found || ctx.Err() != nil {
			return
		}
	}
}

func (r *networkRun) tell(now string, done int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += done
	if done > 0 {
		r.clock.spend(dialTime)
	}
	if r.report.Progress != nil {
		left := r.clock.left(time.Duration(r.all-r.done)*dialTime, AtOnce)
		r.report.Progress(Progress{Done: r.done, All: r.all, Now: now, Left: left})
	}
}

func (r *networkRun) found(place netip.AddrPort, p *Protocol, a Answer) {
	f := newFound(place.String(), p, "", a)
	if !a.Problem {
		f.YAML = device(a.Driver+"-"+place.Addr().String(), p.NetworkScheme+"://"+place.String(), p, a, nil)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.report.Found != nil {
		r.report.Found(f)
	}
}
