package rocketmqtest

import (
	"fmt"
	"net"
	"testing"
	"time"
)

// NameServer is a running name server without a broker.
type NameServer struct {
	// Address is where it listens, also after a Restart.
	Address string

	real    *Real
	jars    jars
	options Options
	port    int
}

// StartNameServer runs a name server until the test ends.
func StartNameServer(t testing.TB, options Options) *NameServer {
	t.Helper()
	found := require(t)
	in := options.where()
	var port int
	err := in(func() (err error) {
		port, err = freePort()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n := &NameServer{Address: address(port), jars: found, options: options, port: port}
	n.real = &Real{NameServer: n.Address, Dir: t.TempDir(), in: in}
	t.Cleanup(func() {
		n.real.Stop()
		if t.Failed() {
			t.Log(logs(n.real.Dir))
		}
	})
	n.Start(t)
	return n
}

// Kill ends it with all that it knows.
func (n *NameServer) Kill() { n.real.nameServer.kill() }

// Start runs it anew where it was, after a Kill.
func (n *NameServer) Start(t testing.TB) {
	t.Helper()
	if err := n.real.launchNameServer(n.jars, n.options, n.port); err != nil {
		t.Fatal(err)
	}
	if err := n.real.listens(); err != nil {
		t.Fatal(err)
	}
}

// listens returns once the name server takes connections.
func (r *Real) listens() error {
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := r.in(func() error {
			conn, err := net.DialTimeout("tcp", r.NameServer, time.Second)
			if err == nil {
				conn.Close()
			}
			return err
		})
		if err == nil {
			return nil
		}
		if dead := r.nameServer.alive(); dead != nil || time.Since(began) > patience {
			return fmt.Errorf("the name server does not listen after %v: %w (%v)", time.Since(began), err, dead)
		}
	}
}
