package rocketmq_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	rocketmqtest "sluice/testpeers/rocketmq"
)

// A real broker takes a minute to start on a busy machine, so the tests that need nothing special of it
// share one. It is started by the first that asks.
var shared = sync.OnceValues(func() (*rocketmqtest.Real, error) {
	dir, err := os.MkdirTemp("", "sluice-rocketmq-")
	if err != nil {
		return nil, err
	}
	// As it comes, which is with TLS: it is asked what it says to every kind of frame.
	stock := []string{"-Dtls.server.mode=permissive"}
	r, err := rocketmqtest.Launch(context.Background(), dir, rocketmqtest.Options{BrokerJVM: stock, NameServerJVM: stock})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	atEnd = append(atEnd, func() {
		r.Stop()
		os.RemoveAll(dir)
	})
	return r, nil
})

var atEnd []func()

func TestMain(m *testing.M) {
	if address := os.Getenv(silentAt); address != "" {
		os.Exit(beSilent(address))
	}
	code := m.Run()
	for _, end := range atEnd {
		end()
	}
	os.Exit(code)
}

func sharedReal(t *testing.T) target {
	t.Helper()
	if *otherNameServer != "" {
		return target{*otherNameServer, *otherBroker, true}
	}
	rocketmqtest.Require(t)
	r, err := shared()
	if err != nil {
		t.Fatal(fmt.Errorf("start a real broker: %w", err))
	}
	return target{r.NameServer, r.Broker, true}
}
