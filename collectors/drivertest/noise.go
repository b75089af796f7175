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
	// Serve lets the devices answer on a line until it ends.
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
		line := &noisyLine{
			serve: h.Serve, ctx: t.Context(),
			ways: [2]way{{random: rand.New(rand.NewPCG(h.Seed, 1))}, {random: rand.New(rand.NewPCG(h.Seed, 2))}}, // #nosec G404 -- noise
		}
		buses, err := bus.NewSet(nil)
		Must(t, err)
		buses.Dial = line.dial
		t.Cleanup(func() {
			Must(t, buses.Close())
			line.carrying.Wait()
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

// noisyLine is a line of pipes, whose ends know simulated time as sockets and terminals do not.
type noisyLine struct {
	serve    func(ctx context.Context, line net.Conn)
	ctx      context.Context // of the test, for the devices
	carrying sync.WaitGroup
	ways     [2]way // to the devices, and to the gateway
}

// way is one direction.
type way struct {
	mu     sync.Mutex // guards what follows
	random *rand.Rand
	on     bool
}

func (l *noisyLine) noise(on bool) {
	for i := range l.ways {
		l.ways[i].mu.Lock()
		l.ways[i].on = on
		l.ways[i].mu.Unlock()
	}
}

func (l *noisyLine) dial(context.Context, string) (net.Conn, error) {
	gateway, near := net.Pipe()
	far, devices := net.Pipe()
	l.carry(&l.ways[0], near, far)
	l.carry(&l.ways[1], far, near)
	l.carrying.Go(func() {
		defer devices.Close()
		l.serve(l.ctx, devices)
	})
	return gateway, nil
}

// carry brings what one end says to the other, which may be busy saying something itself: a wire holds
// nobody up.
func (l *noisyLine) carry(w *way, from, to net.Conn) {
	said := make(chan []byte, 1024)
	l.carrying.Go(func() {
		defer close(said)
		for {
			b := make([]byte, 512)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			said <- w.damage(b[:n])
		}
	})
	l.carrying.Go(func() {
		defer to.Close()
		for b := range said {
			if _, err := to.Write(b); err != nil {
				break
			}
		}
		for range said { // so that who says it is not held up
		}
	})
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
