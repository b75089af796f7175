package rocketmqtest

import "testing"

// KillBroker is kill -9 of the broker; what it has on disk stays.
func (r *Real) KillBroker() { r.broker.kill() }

// RestartBroker runs the broker anew where it was, after KillBroker, and returns once the name server
// knows it.
func (r *Real) RestartBroker(t testing.TB) {
	t.Helper()
	again, err := r.start("broker", r.broker.cmd.Args)
	if err != nil {
		t.Fatal(err)
	}
	r.broker = again
	if err := r.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Restart runs both anew where they were, after Stop, and returns once the name server knows the broker.
func (r *Real) Restart(t testing.TB) {
	t.Helper()
	again, err := r.start("namesrv", r.nameServer.cmd.Args)
	if err != nil {
		t.Fatal(err)
	}
	r.nameServer = again
	// A broker that finds no name server when it starts tries again many seconds later.
	if err := r.listens(); err != nil {
		t.Fatal(err)
	}
	r.RestartBroker(t)
}
