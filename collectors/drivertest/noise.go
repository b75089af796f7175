package drivertest

import (
	"context"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/gateway/message"
)

// NoisyHour is an hour on a line with even parity that damages one character in a hundred: a third of
// these have a wrong bit and arrive as the 00 that a port makes of them, a third are lost, a third come
// from nowhere. Whatever is read meanwhile is right or missing, memory stays as it is, and two polls after
// the noise has ended all is read again. Time is simulated, so the devices' values must stand still.
type NoisyHour struct {
	// Serve lets the devices answer on the line until it ends. It is called once: the gateway comes and goes
	// as over a serial server, and the line behind that stays.
	Serve func(ctx context.Context, line net.Conn)
	// Open opens them at an address of buses.
	Open     func(t *testing.T, buses *bus.Set, address string) []collectors.Device
	Interval time.Duration
	Seed     uint64
}

const (
	damagedOneIn = 100
	settled      = 5 * time.Minute // in which buffers grow to what they need
	growth       = 1 << 20
)

// Run runs the hour.
func (h NoisyHour) Run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := newNoisyLine(h.Seed)
		line.carry(t.Context(), h.Serve)
		buses, err := bus.NewSet(nil)
		Must(t, err)
		buses.Dial = line.dial
		t.Cleanup(func() {
			Must(t, buses.Close())
			line.end()
		})
		devices := h.Open(t, buses, "tcp://10.0.0.9:4001")
		right := make([][]message.Point, len(devices))
		for i, d := range devices {
			right[i] = quiet(t, d)
		}
		line.noise(true)
		values, missing, early := 0, 0, uint64(0)
		for started := time.Now(); time.Since(started) < time.Hour; time.Sleep(h.Interval) {
			for i, d := range devices {
				lost := compare(t, d, right[i])
				values, missing = values+len(right[i])-lost, missing+lost
			}
			if early == 0 && time.Since(started) >= settled {
				early = heap()
			}
		}
		if grown := int64(heap()) - int64(early); grown > growth { // #nosec G115 -- no heap of a test is so large
			t.Errorf("memory grew by %d bytes in an hour", grown)
		}
		if values == 0 || missing == 0 {
			t.Errorf("%d values were read and %d were missing, want some of both", values, missing)
		}
		t.Logf("%d values right, %d missing", values, missing)
		line.noise(false)
		for i, d := range devices {
			compare(t, d, right[i])
			if lost := compare(t, d, right[i]); lost > 0 {
				t.Errorf("device %d: %d points are missing two polls after the noise", i, lost)
			}
		}
	})
}

// quiet reads what is right.
func quiet(t *testing.T, d collectors.Device) []message.Point {
	t.Helper()
	var r message.Reading
	Must(t, d.Read(t.Context(), &r))
	for _, p := range r.Points {
		if p.Error != "" {
			t.Fatalf("%s: %s", p.Name, p.Error)
		}
	}
	return append([]message.Point(nil), r.Points...)
}

// compare counts what is missing of a reading; what is there must be right.
func compare(t *testing.T, d collectors.Device, right []message.Point) (missing int) {
	t.Helper()
	var r message.Reading
	if err := d.Read(t.Context(), &r); err != nil {
		return len(right)
	}
	for i, p := range r.Points {
		if p.Error != "" {
			missing++
		} else if p != right[i] {
			t.Errorf("%s is %v, want %v", p.Name, p.Value, right[i].Value)
		}
	}
	return missing
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// noisyLine is a line of pipes behind a serial server. Pipes know simulated time, as sockets and terminals
// do not. Nobody is held up by who does not listen: a wire does not either.
type noisyLine struct {
	far, near net.Conn // the line's ends: the devices', and the server's
	down, up  way      // to the devices, and to the gateway
	toDevices chan []byte
	carrying  sync.WaitGroup
	gateways  sync.WaitGroup

	mu        sync.Mutex  // guards what follows
	toGateway chan []byte // nil: it is not connected
}

const wireful = 1024 // pieces on the way

func newNoisyLine(seed uint64) *noisyLine {
	l := &noisyLine{toDevices: make(chan []byte, wireful)}
	l.far, l.near = net.Pipe()
	l.down.random, l.up.random = rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2)) // #nosec G404 -- noise
	return l
}

func (l *noisyLine) noise(on bool) {
	for _, w := range []*way{&l.down, &l.up} {
		w.mu.Lock()
		w.on = on
		w.mu.Unlock()
	}
}

// carry lets the devices answer.
func (l *noisyLine) carry(ctx context.Context, serve func(ctx context.Context, line net.Conn)) {
	l.carrying.Go(func() { serve(ctx, l.far) })
	l.carrying.Go(func() { pour(l.near, l.toDevices) })
	l.carrying.Go(func() {
		listen(l.near, func(b []byte) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.toGateway != nil {
				l.toGateway <- l.up.damage(b)
			}
		})
	})
}

// end waits for everybody, after the gateway has gone.
func (l *noisyLine) end() {
	l.gateways.Wait()
	close(l.toDevices)
	l.near.Close()
	l.far.Close()
	l.carrying.Wait()
}

// dial connects the gateway, which has one connection at a time.
func (l *noisyLine) dial(context.Context, string) (net.Conn, error) {
	gateway, server := net.Pipe()
	said := make(chan []byte, wireful)
	l.mu.Lock()
	l.toGateway = said
	l.mu.Unlock()
	l.gateways.Go(func() { pour(server, said) })
	l.gateways.Go(func() {
		listen(server, func(b []byte) { l.toDevices <- l.down.damage(b) })
		l.mu.Lock()
		if l.toGateway == said {
			l.toGateway = nil
		}
		close(said)
		l.mu.Unlock()
	})
	return gateway, nil
}

// listen hears a pipe until it ends.
func listen(from net.Conn, hear func(b []byte)) {
	for {
		b := make([]byte, 512)
		n, err := from.Read(b)
		if err != nil {
			return
		}
		hear(b[:n])
	}
}

// pour says what comes, and loses it once the pipe has ended.
func pour(to net.Conn, said <-chan []byte) {
	defer to.Close()
	for b := range said {
		_, _ = to.Write(b)
	}
}

// way is one direction.
type way struct {
	mu     sync.Mutex // guards what follows
	random *rand.Rand
	on     bool
}

func (w *way) damage(b []byte) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on {
		return b
	}
	var out []byte
	for _, c := range b {
		switch w.random.IntN(3 * damagedOneIn) {
		case 0:
			c = 0
		case 1:
			continue
		case 2:
			out = append(out, byte(w.random.Uint32()))
		}
		out = append(out, c)
	}
	return out
}
