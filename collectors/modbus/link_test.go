package modbus

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/bus/pty"
	"sluice/collectors/drivertest"
	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/message"
)

// dialects are the ways to a device, each with how the simulator speaks there.
var dialects = []struct {
	scheme string
	spoken modbussim.Dialect
}{
	{"tcp", modbussim.TCP}, {"rtu+tcp", modbussim.RTU}, {"ascii+tcp", modbussim.ASCII},
}

func TestDriverContract(t *testing.T) {
	for _, way := range dialects {
		t.Run(way.scheme, func(t *testing.T) {
			server := &modbussim.Server{Dialect: way.spoken}
			newPlant(server)
			address := way.scheme + "://" + serve(t, server)
			contract(t, &Driver{Buses: lines(t, nil)}, server, address)
		})
	}
}

func TestDriverContractOnASerialLine(t *testing.T) {
	for scheme, spoken := range map[string]modbussim.Dialect{"rtu": modbussim.RTU, "ascii": modbussim.ASCII} {
		t.Run(scheme, func(t *testing.T) {
			server := &modbussim.Server{Dialect: spoken}
			newPlant(server)
			line := serveLine(t, server)
			set := lines(t, map[string]bus.Settings{"hall": {Serial: line.Path(), Character: bus.Character{Baud: 115200}}})
			contract(t, &Driver{Buses: set}, server, scheme+"://hall")
		})
	}
}

func contract(t *testing.T, driver *Driver, server *modbussim.Server, address string) {
	var names []string
	for _, p := range plantPoints() {
		names = append(names, p.Name)
	}
	drivertest.Run(t, drivertest.Case{
		Driver: driver,
		Options: func() any {
			o := options(address, plantPoints()...)
			o.Timeout = 250 * time.Millisecond
			return o
		},
		Points: names,
		Silence: func(silent bool) {
			server.Always(modbussim.Fault{})
			if silent {
				server.Always(modbussim.Fault{Kind: modbussim.Silence})
			}
		},
	})
}

// serveLine runs a simulator at the far end of a serial line for the length of the test.
func serveLine(t testing.TB, server serving) *pty.Line {
	t.Helper()
	line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(ctx, line)
	}()
	t.Cleanup(func() {
		cancel()
		line.Close()
		<-done
	})
	return line
}

func TestRefusedConnectionIsPlainlySaid(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "tcp://" + listener.Addr().String()
	listener.Close()
	d := open(t, options(address, plantPoints()...))
	_, err = read(t, d)
	want := address + " unit 1: cannot connect to " + listener.Addr().String() + ": connection refused"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestResetConnectionIsPlainlySaid(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			io.ReadFull(conn, make([]byte, 4))
			conn.(*net.TCPConn).SetLinger(0) // Close sends a reset
			conn.Close()
		}
	}()
	d := open(t, options("tcp://"+listener.Addr().String(), plantPoints()...))
	for range 2 {
		_, err = read(t, d)
		if err == nil || !strings.Contains(err.Error(), "connection reset by peer") {
			t.Errorf("got %v, want a reset", err)
		}
	}
}

// Parts of a device and devices behind one gateway share its connection, and the last device to be
// closed closes it.
func TestConnectionIsSharedAndClosedByTheLast(t *testing.T) {
	rack := &modbussim.Rack{Devices: map[byte]*modbussim.Server{1: {}, 2: {}}}
	rack.Devices[1].Set(modbussim.Holdings, 0, 11, 12)
	rack.Devices[2].Set(modbussim.Holdings, 0, 21, 22)
	gateway := "tcp://" + serve(t, rack)
	driver := &Driver{Buses: lines(t, nil)}
	points := []Point{{Name: "a", Address: address("holding:0")}, {Name: "b", Address: address("holding:1")}}
	first := openWith(t, driver, options(gateway, points...))
	o := options(gateway, points...)
	o.Unit = 2
	second := openWith(t, driver, o)
	part := first.Part([]int{1}).(*device)
	for range 3 {
		for _, each := range []struct {
			device *device
			want   []uint64
		}{{first, []uint64{11, 12}}, {second, []uint64{21, 22}}, {part, []uint64{12}}} {
			got, err := read(t, each.device)
			if err != nil || len(got) != len(each.want) {
				t.Fatalf("got %v, %v, want %v", got, err, each.want)
			}
			for i, p := range got {
				if p.Value != message.Uint(each.want[i]) {
					t.Errorf("%s is %v %q, want %d", p.Name, p.Value, p.Error, each.want[i])
				}
			}
		}
	}
	if n := rack.Connections(); n != 1 {
		t.Errorf("%d connections, want one for all", n)
	}
	first.Close()
	if _, err := read(t, second); err != nil {
		t.Errorf("after its neighbour was closed: %v", err)
	}
	if n := rack.Connections(); n != 1 {
		t.Errorf("%d connections, want that the neighbour keeps it", n)
	}
	second.Close()
	if _, err := read(t, part); err != nil {
		t.Errorf("after all were closed: %v", err)
	}
	if n := rack.Connections(); n != 2 {
		t.Errorf("%d connections, want a new one after all were closed", n)
	}
}

func TestUnusableLineEndsThePollAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPipes(t, &modbussim.Server{})
		w.refuse = fmt.Errorf("cannot connect: no route to host")
		d := openOn(t, &Driver{}, w, options("tcp://10.0.0.9:502", plantPoints()...))
		started := time.Now()
		_, err := read(t, d)
		if err == nil || !strings.Contains(err.Error(), "no route to host") || time.Since(started) != 0 {
			t.Errorf("got %v after %v", err, time.Since(started))
		}
		_, err = d.Write(t.Context(), "setpoint", []byte("1"))
		if err == nil || !strings.Contains(err.Error(), "not written: ") {
			t.Errorf("a write got %v, want that it was not written", err)
		}
	})
}

func BenchmarkRead125Registers(b *testing.B) {
	server := &modbussim.Server{}
	address := serve(b, server)
	var points []Point
	for i := range 125 {
		points = append(points, Point{Name: fmt.Sprint("r", i), Address: Address{Area: Holding, Number: uint16(i)}})
	}
	d := open(b, options("tcp://"+address, points...))
	var r message.Reading
	b.ReportAllocs()
	b.SetBytes(250)
	for b.Loop() {
		if err := d.Read(b.Context(), &r); err != nil {
			b.Fatal(err)
		}
	}
}
