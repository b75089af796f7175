package all

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/collectors/bus/pty"
	"sluice/collectors/cjt188/cjt188sim"
	"sluice/collectors/dlt645/dlt645sim"
	"sluice/collectors/modbus/modbussim"
)

// cabinet is one line with devices that are set differently. A device hears only what is sent at its
// own rate; to the others that is noise. (A pseudo-terminal knows no parity.)
type cabinet struct {
	t    *testing.T
	ctx  context.Context
	stop context.CancelFunc
	line *pty.Line

	mu   sync.Mutex        // guards what follows
	ends map[int]io.Writer // by rate
}

func newCabinet(t *testing.T) *cabinet {
	t.Helper()
	line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &cabinet{t: t, ctx: ctx, stop: cancel, line: line, ends: map[int]io.Writer{}}
	var listening sync.WaitGroup
	listening.Go(c.listen)
	t.Cleanup(func() {
		cancel()
		line.Close()
		listening.Wait()
	})
	return c
}

func (c *cabinet) listen() {
	b := make([]byte, 512)
	for {
		n, err := c.line.Read(b)
		if err != nil {
			return
		}
		now := rateOf(c.t, c.line.Path())
		c.mu.Lock()
		end := c.ends[now]
		c.mu.Unlock()
		if end != nil {
			if _, err := end.Write(b[:n]); err != nil && c.ctx.Err() == nil {
				c.t.Errorf("a device does not hear: %v", err)
			}
		}
	}
}

// rateOf reads how the near end of a line is set now.
func rateOf(t *testing.T, path string) int {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0 // the line has gone
	}
	defer unix.Close(fd)
	now, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Errorf("settings of %s: %v", path, err)
		return 0
	}
	return map[uint32]int{
		unix.B300: 300, unix.B1200: 1200, unix.B2400: 2400, unix.B4800: 4800, unix.B9600: 9600, unix.B19200: 19200, unix.B38400: 38400, unix.B115200: 115200,
	}[now.Cflag&unix.CBAUD]
}

// put connects a device that has this rate: run speaks as it until the test ends.
func (c *cabinet) put(rate int, run func(context.Context, net.Conn)) {
	near, far := net.Pipe()
	c.mu.Lock()
	c.ends[rate] = near
	c.mu.Unlock()
	var running sync.WaitGroup
	running.Go(func() { run(c.ctx, far) })
	running.Go(func() {
		// What it answers goes on the line.
		_, _ = io.Copy(c.line, near)
	})
	c.t.Cleanup(func() {
		c.stop()
		near.Close()
		far.Close()
		running.Wait()
	})
}

func (c *cabinet) putModbus(rate int, rack *modbussim.Rack) {
	c.put(rate, func(ctx context.Context, conn net.Conn) { rack.Serve(ctx, conn) })
}

func (c *cabinet) putCJT188(rate int, meters ...cjt188sim.Meter) {
	line, err := cjt188sim.New(cjt188sim.Options{Meters: meters})
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(rate, func(ctx context.Context, conn net.Conn) { _ = line.Serve(ctx, conn) })
}

// putDLT645 lets the bytes through to a simulated meter, which has a line of its own.
func (c *cabinet) putDLT645(rate int, o dlt645sim.Options) *dlt645sim.Line {
	meters, err := dlt645sim.Open(o)
	if err != nil {
		c.t.Fatal(err)
	}
	port, err := os.OpenFile(meters.Path(), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(rate, func(ctx context.Context, conn net.Conn) {
		stop := context.AfterFunc(ctx, func() { port.Close() })
		defer stop()
		var relaying sync.WaitGroup
		relaying.Go(func() { _ = meters.Run(ctx) })
		relaying.Go(func() { _, _ = io.Copy(port, conn) })
		_, _ = io.Copy(conn, port)
		conn.Close()
		port.Close()
		relaying.Wait()
	})
	return meters
}

// run runs a simulator until the test ends.
func run(t *testing.T, serve func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := serve(ctx); err != nil {
			t.Errorf("simulator: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}
