package conformance

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

	"go.uber.org/goleak"

	"sluice/gateway"
	"sluice/gateway/config"
)

// Where the gateway that all tests share listens: TCP, and WebSocket.
var address, webAddress string

// elsewhere lets the tests themselves be tried against brokers that others wrote.
var elsewhere = flag.String("address", "", "host:port of another broker to test instead of the gateway")

// The tests wait for time-outs more than for anything else: many run at once.
const atOnce = "48"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", atOnce); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if *elsewhere != "" {
		address = *elsewhere
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "sluice-conformance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	addresses, err := freePorts(2)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	address, webAddress = addresses[0], addresses[1]
	stop, err := startGateway(dir, configured(address, webAddress))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the gateway ended with:", err)
		code = max(code, 1)
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func configured(address, webAddress string) string {
	return fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: ./data}
web: {listen: ""}
mqtt:
  listen: [%q]
  anonymous: true
  deny_subscribe: [test/nosubscribe]
  max_keep_alive: 60s
  websocket: {listen: %q}
`, address, webAddress)
}

// startGateway runs a gateway until stop, which waits for it.
func startGateway(dir, text string) (stop func() error, err error) {
	c, err := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(text), gateway.Kinds())
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SLUICE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	g, err := gateway.New(gateway.Options{Config: c, Version: "test", Log: log, AdminPassword: "correct horse"})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	return sync.OnceValue(func() error {
		cancel()
		return <-ended
	}), nil
}

// ownGateway is for a test that needs another configuration, or a restart.
func ownGateway(t *testing.T, dir, text string) (stop func()) {
	t.Helper()
	end, err := startGateway(dir, text)
	for tries := 0; err != nil && strings.Contains(err.Error(), "in use by another process") && tries < 100; tries++ {
		// A program that another test is just starting has what is open here until it runs.
		time.Sleep(20 * time.Millisecond)
		end, err = startGateway(dir, text)
	}
	if err != nil {
		t.Fatal(err)
	}
	stop = func() {
		if err := end(); err != nil {
			t.Errorf("the gateway ended with: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// freePorts gives addresses that nobody listens on.
func freePorts(n int) (addresses []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
