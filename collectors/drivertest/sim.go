package drivertest

import (
	"context"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"sluice/collectors/bus"
)

// Simulate lets a simulator run until the test ends.
func Simulate(t testing.TB, run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(ctx); err != nil {
			t.Errorf("simulator: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

// Serve lets a simulator answer whoever connects, as behind a transparent serial server, until the test
// ends, and gives the address. serve returns when its context ends; how a connection ends before is the
// other side's affair.
func Serve(t testing.TB, serve func(ctx context.Context, conn net.Conn) error) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_ = serve(ctx, conn)
			})
		}
	})
	t.Cleanup(func() { cancel(); listener.Close(); running.Wait() })
	return "tcp://" + listener.Addr().String()
}

// Buses are lines that are closed with the test; devices at an address of their own need none of them.
func Buses(t testing.TB, lines map[string]bus.Settings) *bus.Set {
	t.Helper()
	set, err := bus.NewSet(lines)
	Must(t, err)
	t.Cleanup(func() { set.Close() })
	return set
}

// Silencer makes the Silence of a Case from what a simulator can be told.
func Silencer[F any](misbehave func(F), silence, healthy F) func(silent bool) {
	return func(silent bool) {
		if silent {
			misbehave(silence)
			return
		}
		misbehave(healthy)
	}
}

// FaultsAreTested checks that driver_test.go has a test for every fault of the simulator in the package
// sim: a row of a table that begins with the fault or names it as fault, or a call of Misbehave.
func FaultsAreTested[F ~string](t *testing.T, sim string, faults []F) {
	source, err := os.ReadFile("driver_test.go")
	Must(t, err)
	for _, fault := range faults {
		name := strings.ReplaceAll(string(fault), "-", "")
		if !regexp.MustCompile(`(?i)(fault: |\{|misbehave\()` + sim + `\.` + name + `\b`).Match(source) {
			t.Errorf("no test for %s", fault)
		}
	}
}

// Mistakes are the places of all that Validate reports.
func Mistakes(options interface {
	Validate(report func(path, problem string))
}) string {
	var paths []string
	options.Validate(func(path, _ string) { paths = append(paths, path) })
	return strings.Join(paths, " ")
}
