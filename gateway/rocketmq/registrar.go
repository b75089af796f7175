package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// The states of a registration.
const (
	Connecting  = "connecting"
	Registered  = "registered"
	Unreachable = "unreachable" // there is no talking to the name server
	Refused     = "refused"     // it has answered, and does not want us
)

// Registration is how the gateway stands with one name server.
type Registration struct {
	NameServer string
	State      string
	Since      time.Time // of the state
	Broker     string    // where clients are told to find the gateway; empty before the first registration
	Error      string    // why it was not registered the last time, empty if it is
}

const (
	refreshEvery = 30 * time.Second // a name server forgets a broker after 120 s
	fullEvery    = 20               // every so many refreshes say everything again, whatever the name server knows
	askLimit     = 5 * time.Second  // for connecting, and for an answer
	leaveLimit   = 2 * time.Second  // for taking a registration back when the gateway stops
	firstRest    = time.Second      // before the next try, doubled up to
	longestRest  = 30 * time.Second
)

// registrar keeps the broker registered with one name server.
type registrar struct {
	cluster *cluster
	address string
	changed chan struct{} // capacity 1: there are other topics

	mu    sync.Mutex // guards shown
	shown Registration
}

func newRegistrar(c *cluster, address string) *registrar {
	return &registrar{
		cluster: c, address: address, changed: make(chan struct{}, 1),
		shown: Registration{NameServer: address, State: Connecting, Since: time.Now()},
	}
}

func (r *registrar) state() Registration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown
}

// run tries until ctx ends. The waits between two tries are drawn at random, so that a fleet comes back
// spread out when its name server does.
func (r *registrar) run(ctx context.Context) {
	for wait := firstRest; ; wait = min(2*wait, longestRest) {
		err := r.attend(ctx)
		if ctx.Err() != nil {
			return
		}
		if s := r.state(); s.State == Registered && time.Since(s.Since) > longestRest {
			wait = firstRest // but not for a name server that takes us and hangs up, again and again
		}
		r.failed(err)
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-ctx.Done():
			return
		}
	}
}

// attend connects and keeps the registration, until ctx or the connection ends.
func (r *registrar) attend(ctx context.Context) error {
	n, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer n.close()
	// What an unanswered registration has done nobody knows, so it is taken back as well.
	defer func() {
		if ctx.Err() != nil && !errors.Is(err, errTaken) {
			n.unregister(context.WithoutCancel(ctx))
		}
	}()
	if err = r.register(ctx, n); err != nil {
		return err
	}
	next := time.NewTimer(spread(refreshEvery))
	defer next.Stop()
	for refreshes := 1; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-n.gone:
			return n.wrong
		case <-r.changed:
			err = r.register(ctx, n)
		case <-next.C:
			next.Reset(spread(refreshEvery))
			if refreshes++; refreshes%fullEvery == 0 {
				err = r.register(ctx, n)
			} else {
				err = r.refresh(ctx, n)
			}
		}
		if err != nil {
			return err
		}
	}
}

// spread takes up to a tenth off, so that many gateways do not come at once for ever.
func spread(d time.Duration) time.Duration { return d - rand.N(d/10) }

func (r *registrar) connect(ctx context.Context) (*nameServer, error) {
	within, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := r.cluster.dial(within, r.address)
	if err != nil {
		return nil, err
	}
	broker := r.cluster.reachable(conn.LocalAddr())
	if broker == "" {
		conn.Close()
		return nil, net.ErrClosed // the listener is about to stop
	}
	return talk(r.cluster, conn, broker), nil
}

func (r *registrar) register(ctx context.Context, n *nameServer) error {
	if err := n.unclaimed(ctx); err != nil {
		return err
	}
	if err := n.register(ctx, r.cluster.current()); err != nil {
		return err
	}
	r.mu.Lock()
	news := r.shown.State != Registered
	if news {
		r.shown = Registration{NameServer: r.address, State: Registered, Since: time.Now(), Broker: n.broker}
	}
	r.mu.Unlock()
	if news {
		r.cluster.log.Info("registered with a name server", "name_server", r.address, "cluster", r.cluster.name, "broker", r.cluster.broker, "address", n.broker)
	}
	return nil
}

// refresh asks whether the name server still knows what we last told it, which is enough to be kept: a few
// hundred bytes on a line that may be paid by the megabyte.
func (r *registrar) refresh(ctx context.Context, n *nameServer) error {
	known, err := n.knows(ctx, r.cluster.current().version)
	if err != nil || known {
		return err
	}
	return r.register(ctx, n)
}

func (r *registrar) failed(err error) {
	state := Unreachable
	if _, answered := errors.AsType[refusal](err); answered || errors.Is(err, errTaken) {
		state = Refused
	}
	text := inWords(err)
	r.mu.Lock()
	news := r.shown.State != state
	if news {
		r.shown.State, r.shown.Since = state, time.Now()
	}
	r.shown.Error = text
	r.mu.Unlock()
	if news {
		r.cluster.log.Warn("not registered with a name server, trying again", "name_server", r.address, "state", state, "err", text)
	}
}

// inWords leaves out the ports of the connection, which are others every time.
func inWords(err error) string {
	if network, ok := errors.AsType[*net.OpError](err); ok && network.Op != "dial" {
		return fmt.Sprintf("the connection broke: %v", network.Err)
	}
	return err.Error()
}
