package bus

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"
)

// registers answers requests for 125 registers over TCP: 12 bytes in, 259 out.
func registers(b *testing.B) net.Listener {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				request, answer := make([]byte, 12), make([]byte, 259)
				for {
					if _, err := io.ReadFull(conn, request); err != nil {
						return
					}
					copy(answer, request[:4])
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			})
		}
	})
	b.Cleanup(func() { listener.Close(); serving.Wait() })
	return listener
}

// BenchmarkBareSocket is what a request costs without this package.
func BenchmarkBareSocket(b *testing.B) {
	conn, err := net.Dial("tcp", registers(b).Addr().String())
	must(b, err)
	defer conn.Close()
	request, answer := make([]byte, 12), make([]byte, 512)
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		for n := 0; n < 259; {
			got, err := conn.Read(answer[n:])
			if err != nil {
				b.Fatal(err)
			}
			n += got
		}
	}
}

// BenchmarkMatchedExchange is the same by way of a client.
func BenchmarkMatchedExchange(b *testing.B) {
	set := newSet(b, nil)
	c := client(b, set, "tcp://"+registers(b).Addr().String(), "plc")
	b.Cleanup(c.Rest) // before the server waits for its connections
	frame := make([]byte, 12)
	id := uint16(0)
	q := Request{Frame: frame, Timeout: time.Second, Matched: true, Protocol: "modbus-tcp", Buffer: make([]byte, 0, 512)}
	q.Answer = func(received []byte) ([]byte, bool) {
		if len(received) < 259 || binary.BigEndian.Uint16(received) != id {
			return nil, false
		}
		return received[:259], true
	}
	b.ReportAllocs()
	for b.Loop() {
		id++
		binary.BigEndian.PutUint16(frame, id)
		if _, err := c.Exchange(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBusUtilisation asks for registers by RTU at 115200 8E1 and tells which share of the time the wire
// and the prescribed silences alone would take.
func BenchmarkBusUtilisation(b *testing.B) {
	for _, registers := range []int{1, 10, 125} {
		b.Run(strconv.Itoa(registers), func(b *testing.B) { utilisation(b, 5+2*registers) })
	}
}

func utilisation(b *testing.B, out int) {
	line := newLine(b)
	line.Pace(115200, 11)
	set := newSet(b, map[string]Settings{"line": {Serial: line.Path(), Character: Character{Baud: 115200, Parity: "even"}}})
	c := client(b, set, "bus://line", "meter")
	const in = 8
	settings := Settings{Serial: "x", Character: Character{115200, 8, "even", 1}}
	silence := settings.silence(settings.Character)
	var device sync.WaitGroup
	device.Go(func() {
		request, answer := make([]byte, in), make([]byte, out)
		for {
			if _, err := io.ReadFull(line, request); err != nil {
				return
			}
			if _, err := line.WriteFrom(answer, line.Quiet().Add(silence)); err != nil {
				return
			}
		}
	})
	b.Cleanup(func() { line.Close(); device.Wait() })
	q := Request{Frame: []byte{1, 3, 0, 0, 0, 125, 0, 0}, Timeout: time.Second, Buffer: make([]byte, 0, 512), Protocol: "modbus-rtu"}
	q.Answer = func(received []byte) ([]byte, bool) { return received, len(received) == out }
	if _, err := c.Exchange(b.Context(), q); err != nil {
		b.Fatal(err)
	}
	started := time.Now()
	for b.Loop() {
		if _, err := c.Exchange(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	ideal := settings.wireTime(in+out) + 2*silence
	b.ReportMetric(float64(ideal)*float64(b.N)/float64(time.Since(started)), "utilisation")
}
