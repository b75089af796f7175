package rocketmq_test

import (
	"flag"
	"testing"
)

// Where to try the tests themselves instead: against a name server and a broker that others wrote.
var (
	otherNameServer = flag.String("namesrv", "", "host:port of a name server to test instead of the gateway")
	otherBroker     = flag.String("broker", "", "host:port of its broker")
)

// target is a broker under test.
type target struct {
	name               string
	nameServer, broker string // a gateway is both
	real               bool
}

// eachTarget runs a test against every broker there is.
func eachTarget(t *testing.T, test func(*testing.T, target)) {
	t.Helper()
	if *otherNameServer != "" {
		test(t, target{"the other", *otherNameServer, *otherBroker, true})
		return
	}
	t.Skip("nothing to test yet")
}
