package hj212

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/collectors/hj212/hj212sim"
	"sluice/gateway/message"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// freeAddress is one of 127.0.0.1 that nobody listens at.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// options for the simulator's monitor.
func options(d *Driver, address string) *Options {
	o := d.Options().(*Options)
	o.Listen, o.MN, o.Password = address, hj212sim.DefaultMN, hj212sim.DefaultPassword
	o.Points = []PointOptions{
		{Name: "cod", Factor: Factor{"w01018", "Rtd"}},
		{Name: "ph", Factor: Factor{"w01001", "Rtd"}},
		{Name: "cod_hour", Factor: Factor{"w01018", "Avg"}, Period: Hour},
	}
	return o
}

func open(t testing.TB, d *Driver, o *Options) *Station {
	t.Helper()
	device, err := d.Open("station", o)
	must(t, err)
	t.Cleanup(func() { must(t, device.Close()) })
	return device.(*Station)
}

// simulate runs a logger until the test ends.
func simulate(t testing.TB, o hj212sim.Options) *hj212sim.Logger {
	t.Helper()
	if o.Interval == 0 {
		o.Interval = 20 * time.Millisecond
	}
	if o.OverTime == 0 {
		o.OverTime = 200 * time.Millisecond
	}
	o.Redial = 10 * time.Millisecond
	l := hj212sim.New(o)
	run(t, l.Run)
	return l
}

// run lets a component run until the test ends.
func run(t testing.TB, component func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- component(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// book takes readings.
type book struct {
	mu       sync.Mutex // guards what follows
	readings []message.Reading
	full     bool
}

var errFull = errors.New("the log is full")

func (b *book) take(_ context.Context, r *message.Reading) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		return errFull
	}
	b.readings = append(b.readings, *r)
	return nil
}

func (b *book) refuse(full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full = full
}

func (b *book) all() []message.Reading {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]message.Reading(nil), b.readings...)
}

func (b *book) report(s *Station) func(context.Context) error {
	return func(ctx context.Context) error { return s.Report(ctx, b.take) }
}

func eventually(t testing.TB, what string, fulfilled func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !fulfilled(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

// text gives points as "name=value" or "name: error".
func text(points []message.Point) string {
	var all []string
	for _, p := range points {
		if p.Error != "" {
			all = append(all, p.Name+": "+p.Error)
			continue
		}
		all = append(all, p.Name+"="+p.Value.String())
	}
	return strings.Join(all, "; ")
}

// wanted is what a reading of the simulated monitor at that time says.
func wanted(r message.Reading) string {
	s := hj212sim.StateAt(time.UnixMilli(r.Time))
	return fmt.Sprintf("cod=%v; ph=%v", message.Float64(s.COD), message.Float64(s.PH))
}
