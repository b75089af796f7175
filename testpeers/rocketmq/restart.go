package rocketmqtest

import "testing"

// KillBroker is kill -9 of the broker; what it has on disk stays.
func (r *Real) KillBroker() { r.broker.kill() }

// RestartBroker runs the broker anew where it was, after KillBroker, and returns once the name server
// knows it.
func (r *Real) RestartBroker(t testing.TB) {
	t.Helper()
	again, err := start("broker", r.Dir, r.broker.cmd.Args)
	if err != nil {
		t.Fatal(err)
	}
	r.broker = again
	if err := r.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}
