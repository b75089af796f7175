package rocketmq_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway"
	"sluice/gateway/config"
	rocketmqtest "sluice/testpeers/rocketmq"
)

// The tests themselves can be tried against a name server and a broker that somebody else started.
var (
	otherNameServer = flag.String("namesrv", "", "host:port of a real name server to test instead of the gateway")
	otherBroker     = flag.String("broker", "", "host:port of its broker")
)

// target is a broker under test.
type target struct {
	nameServer, broker string // of the gateway they are one
	real               bool
}

// eachTarget runs a test against the gateway, and in the long form against a real broker; what that says to
// bad input and shows to clients stands in the tables and recordings.
func eachTarget(t *testing.T, test func(*testing.T, target)) {
	t.Helper()
	if *otherNameServer == "" {
		t.Run("gateway", func(t *testing.T) { test(t, startGateway(t, "")) })
	}
	if asksReal() {
		t.Run("real", func(t *testing.T) { test(t, sharedReal(t)) })
	}
}

// asksReal says whether real brokers are asked too: in the long form.
func asksReal() bool { return *otherNameServer != "" || os.Getenv("SLUICE_LONG") == "1" }

// startReal runs a real broker of its own for a test that needs another configuration.
func startReal(t *testing.T, options rocketmqtest.Options) target {
	t.Helper()
	if *otherNameServer != "" {
		return target{*otherNameServer, *otherBroker, true}
	}
	r := rocketmqtest.Start(t, options)
	return target{r.NameServer, r.Broker, true}
}

// startGateway runs a gateway with a RocketMQ listener until the test ends; more are lines of its section.
func startGateway(t *testing.T, more string) target {
	t.Helper()
	return startGatewayOn(t, "{dir: ./data}", more)
}

// startGatewayOn is startGateway with settings of the log.
func startGatewayOn(t *testing.T, store, more string) target {
	t.Helper()
	at, _ := runGateway(t, store, more)
	return at
}

// runGateway is startGatewayOn for a test that stops the gateway itself.
func runGateway(t *testing.T, store, more string) (at target, stop func()) {
	t.Helper()
	dir := t.TempDir()
	listen, nameServer := freeAddress(t), freeAddress(t)
	text := fmt.Sprintf("gateway: {name: broker-a}\nstore: %s\nweb: {listen: \"\"}\nrocketmq:\n  listen: %q\n  nameserver: %q\n%s", store, listen, nameServer, more)
	c, err := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(text), gateway.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SLUICE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	g, err := gateway.New(gateway.Options{Config: c, Version: "test", Log: log, AdminPassword: "correct horse"})
	for tries := 0; err != nil && strings.Contains(err.Error(), "in use by another process") && tries < 100; tries++ {
		time.Sleep(20 * time.Millisecond) // a program that another test is just starting has what is open here until it runs
		g, err = gateway.New(gateway.Options{Config: c, Version: "test", Log: log, AdminPassword: "correct horse"})
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the gateway ended with: %v", err)
		}
	})
	t.Cleanup(stop)
	return target{nameServer: nameServer, broker: listen}, stop
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
