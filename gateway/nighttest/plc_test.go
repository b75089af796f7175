//go:build linux

package nighttest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const python = "/usr/bin/python3" // Debian's, which is where python3-pymodbus puts its module

// pymodbus is a PLC that is not ours, on Debian's python3-pymodbus. Its register 0 counts polls.
type pymodbus struct{ *process }

func newPymodbus(t *testing.T, s site, address string) *pymodbus {
	t.Helper()
	if out, err := exec.Command(python, "-c", "import pymodbus.server").CombinedOutput(); err != nil {
		lacking(t, fmt.Sprintf("python3-pymodbus is not installed (.ci/peers installs it): %v: %s", err, out))
	}
	p := &pymodbus{s.start(t, "pymodbus", nil, python, "testdata/plc.py", address)}
	until(t, 30*time.Second, "pymodbus's listener", func() bool {
		p.alive(t)
		return bytes.Contains(tail(p.output, 9), []byte("serving"))
	})
	return p
}

// stop ends the PLC and gives how many polls it has answered.
func (p *pymodbus) stop(t *testing.T) (served int) {
	t.Helper()
	code, _, err := p.terminate(30 * time.Second)
	if code != 0 || err != nil {
		t.Fatalf("pymodbus ended with code %d: %v", code, err)
	}
	for _, line := range bytes.Split(tail(p.output, 1000), []byte("\n")) {
		if n, _ := fmt.Sscanf(string(line), "served %d", &served); n == 1 {
			return served
		}
	}
	t.Fatalf("pymodbus did not say how much it served:\n%s", tail(p.output, 20))
	return 0
}

// plant is many small PLCs in this process, for when polls a second count and not whose they are:
// each listens on a port of its own and answers "read holding registers" only. Its register 0 and 1
// count polls; the others hold their own address.
type plant struct {
	addresses []string
	listeners []net.Listener
	serving   sync.WaitGroup

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]bool
	shut  bool
}

// newPlant starts n PLCs on the site's loopback, on ports of the system's choice.
func newPlant(t *testing.T, s site, n int) *plant {
	t.Helper()
	p := &plant{conns: map[net.Conn]bool{}}
	for range n {
		listener := s.listen(t, "127.0.0.1:0")
		p.listeners = append(p.listeners, listener)
		p.addresses = append(p.addresses, listener.Addr().String())
		served := new(atomic.Uint32)
		p.serving.Go(func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				if p.admit(conn) {
					p.serving.Go(func() { p.serve(conn, served) })
				}
			}
		})
	}
	t.Cleanup(p.stop)
	return p
}

func (p *plant) admit(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

// stop ends every PLC and waits.
func (p *plant) stop() {
	p.mu.Lock()
	p.shut = true
	for conn := range p.conns {
		conn.Close()
	}
	p.mu.Unlock()
	for _, listener := range p.listeners {
		listener.Close()
	}
	p.serving.Wait()
}

func (p *plant) serve(conn net.Conn, served *atomic.Uint32) {
	defer func() {
		conn.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, conn)
	}()
	var request [12]byte // transaction, protocol, length, unit, function, address, count
	for {
		if _, err := io.ReadFull(conn, request[:]); err != nil {
			return
		}
		address := binary.BigEndian.Uint16(request[8:])
		count := binary.BigEndian.Uint16(request[10:])
		if request[7] != 3 || count == 0 || count > 125 {
			return // the gateway was told of nothing else: the test shall see it fail
		}
		answer := append([]byte(nil), request[:9]...)
		binary.BigEndian.PutUint16(answer[4:], 3+2*count)
		answer[8] = byte(2 * count)
		registers := make([]byte, 2*count)
		for i := range count {
			binary.BigEndian.PutUint16(registers[2*i:], address+i)
		}
		if address == 0 && count >= 2 {
			binary.BigEndian.PutUint32(registers, served.Add(1))
		}
		if _, err := conn.Write(append(answer, registers...)); err != nil {
			return
		}
	}
}
