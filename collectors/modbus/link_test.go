package modbus

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goburrow/modbus"

	"sluice/collectors/drivertest"
	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/message"
)

func TestDriverContract(t *testing.T) {
	server := &modbussim.Server{}
	newPlant(server)
	address := serve(t, server)
	var names []string
	for _, p := range plantPoints() {
		names = append(names, p.Name)
	}
	drivertest.Run(t, drivertest.Case{
		Driver: Driver{},
		Options: func() any {
			o := options("tcp://"+address, plantPoints()...)
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

func TestRefusedConnectionIsPlainlySaid(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "tcp://" + listener.Addr().String()
	listener.Close()
	d := open(t, options(address, plantPoints()...))
	_, err = read(t, d)
	if want := address + " unit 1: cannot connect: connection refused"; err == nil || err.Error() != want {
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

func TestDialGivesUpAfterTheTimeout(t *testing.T) {
	o := options("tcp://10.0.0.9:502", plantPoints()...)
	o.Timeout = 20 * time.Millisecond
	d := open(t, o)
	d.link.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, err := read(t, d)
	if want := "tcp://10.0.0.9:502 unit 1: no connection within 20ms"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestVerifyAcceptsOnlyTheAnswer(t *testing.T) {
	const read3 = "0007 0000 0006 01 03 0000 0002"
	const read1 = "0007 0000 0006 01 01 0000 000a"
	const write6 = "0007 0000 0006 01 06 0064 002a"
	const write16 = "0007 0000 000b 01 10 0064 0002 04 0001 0002"
	for _, test := range []struct{ name, request, response, want string }{
		{"registers", read3, "0007 0000 0007 01 03 04 0001 0002", ""},
		{"coils", read1, "0007 0000 0005 01 01 02 ff03", ""},
		{"write", write6, write6, ""},
		{"write many", write16, "0007 0000 0006 01 10 0064 0002", ""},
		{"exception", read3, "0007 0000 0003 01 83 02", ""},
		{"empty", read3, "", "too short"},
		{"header only", read3, "0007 0000 0001 01", "too short"},
		{"transaction id", read3, "0008 0000 0007 01 03 04 0001 0002", "transaction id 8, the request had 7"},
		{"protocol id", read3, "0007 0001 0007 01 03 04 0001 0002", "not Modbus TCP"},
		{"length", read3, "0007 0000 0008 01 03 04 0001 0002", "says that 8 bytes follow, 7 do"},
		{"unit", read3, "0007 0000 0007 02 03 04 0001 0002", "unit 2"},
		{"function", read3, "0007 0000 0007 01 04 04 0001 0002", "function 4, the request had 3"},
		{"exception to another function", read3, "0007 0000 0003 01 84 02", "function 132"},
		{"long exception", read3, "0007 0000 0004 01 83 02 00", "exception has 3 bytes"},
		{"one register less", read3, "0007 0000 0005 01 03 02 0001", "announces 2 bytes of data and has 2, the request was for 4"},
		{"one register more", read3, "0007 0000 0009 01 03 06 0001 0002 0003", "announces 6"},
		{"byte count too great", read3, "0007 0000 0007 01 03 06 0001 0002", "announces 6 bytes of data and has 4"},
		{"one coil byte less", read1, "0007 0000 0004 01 01 01 ff", "announces 1"},
		{"echo of another value", write6, "0007 0000 0006 01 06 0064 002b", "want its echo"},
		{"echo of another address", write6, "0007 0000 0006 01 06 0065 002a", "want its echo"},
		{"short echo", write16, "0007 0000 0005 01 10 0064 00", "want its echo"},
		{"function never asked", "0007 0000 0006 01 2b 0000 0001", "0007 0000 0003 01 2b 00", "not one that is asked for"},
	} {
		err := verify(unhex(t, test.request), unhex(t, test.response))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// stream is a connection that gives recorded bytes and takes everything.
type stream struct{ io.Reader }

func (s stream) Write(b []byte) (int, error)      { return len(b), nil }
func (s stream) Close() error                     { return nil }
func (s stream) LocalAddr() net.Addr              { return nil }
func (s stream) RemoteAddr() net.Addr             { return nil }
func (s stream) SetDeadline(time.Time) error      { return nil }
func (s stream) SetReadDeadline(time.Time) error  { return nil }
func (s stream) SetWriteDeadline(time.Time) error { return nil }

// FuzzAnswer lets a device send anything. Whatever becomes data must have stood, whole and with
// every field right, in what was sent.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"0001 0000 0007 01 03 04 0001 0002", "0000 0000 0007 01 03 04 0009 0009 0001 0000 0007 01 03 04 0001 0002",
		"0001 0000 0003 01 83 02", "0001 0000 0005 01 03 02 0001", "485454502f312e31", "0001 0000 00ff 01", "",
	} {
		f.Add(unhex(f, seed), byte(2))
	}
	f.Fuzz(func(t *testing.T, wire []byte, count byte) {
		l := newLink("tcp://fuzzed unit 1", "fuzzed", 1, time.Second)
		dials := 0
		l.dial = func(context.Context, string, string) (net.Conn, error) {
			if dials++; dials > 1 {
				return nil, os.ErrDeadlineExceeded
			}
			return stream{bytes.NewReader(wire)}, nil
		}
		s := span{Holding, 0, 1 + int(count)%maxRegisters}
		data, err := l.read(t.Context(), s)
		if err != nil {
			return
		}
		header := binary.BigEndian.AppendUint16(nil, l.transaction)
		header = append(header, 0, 0)
		header = binary.BigEndian.AppendUint16(header, uint16(3+2*s.count))
		header = append(header, 1, modbus.FuncCodeReadHoldingRegisters, byte(2*s.count))
		if len(data) != 2*s.count || !bytes.Contains(wire, append(header, data...)) {
			t.Errorf("% x was taken from % x", data, wire)
		}
	})
}

func BenchmarkRead125Registers(b *testing.B) {
	server := &modbussim.Server{}
	address := serve(b, server)
	var points []Point
	for i := range 125 {
		points = append(points, Point{Name: "r" + string(rune('a'+i)), Address: Address{Area: Holding, Number: uint16(i)}})
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
