// Package modbussim is a Modbus TCP device for tests and demonstrations. It speaks real bytes on
// real sockets with code of its own, shares nothing with the driver, counts what it saw, and can be
// told to misbehave in the ways that devices in the field do.
package modbussim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	maxConnections = 64 // one more is closed at once
	maxWritesKept  = 1024
)

// Server is a device with all addresses of all four tables, each 0 at first. The zero Server works.
type Server struct {
	Unit byte // the only unit that is answered; 0: every unit

	listener net.Listener

	mu      sync.Mutex // guards what follows
	memory  memory
	faults  []Fault
	always  Fault
	open    int
	counted Counts
}

// Counts is what a Server has seen.
type Counts struct {
	Connections uint64
	Requests    map[byte]uint64 // by function code
	Writes      []Write         // the last 1,024
}

// Write is a write request that was carried out.
type Write struct {
	Unit     byte
	Function byte
	Table    Table
	Address  uint16
	Values   []uint16 // 0 or 1 for coils
}

// Listen opens the port, for example "127.0.0.1:0".
func (s *Server) Listen(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("modbus simulator: %w", err)
	}
	s.listener = listener
	return nil
}

// Addr gives host:port after Listen.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends and returns once the last connection has gone.
func (s *Server) Run(ctx context.Context) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer s.listener.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.listener.Close() })
	defer stop()
	for {
		conn, err := s.listener.Accept()
		if ctx.Err() != nil {
			if conn != nil {
				conn.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("modbus simulator: accept: %w", err)
		}
		if err != nil {
			if !sleep(ctx, 50*time.Millisecond) { // out of file descriptors: they come back
				return nil
			}
			continue
		}
		conns.Go(func() { s.Serve(ctx, conn) })
	}
}

// Serve speaks on one connection until it or ctx ends, and closes it.
func (s *Server) Serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	if !s.enter() {
		return
	}
	defer s.leave()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	for {
		frame, err := readFrame(conn)
		if err != nil {
			return
		}
		if s.Unit != 0 && frame.unit != s.Unit {
			continue // a device on a bus keeps silent when another one is asked
		}
		answer := s.answer(frame)
		if !s.send(ctx, conn, frame, answer) {
			return
		}
	}
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted.Connections++
	if s.open == maxConnections {
		return false
	}
	s.open++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// answer counts the request, carries it out and gives the answer's PDU.
func (s *Server) answer(f frame) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counted.Requests == nil {
		s.counted.Requests = make(map[byte]uint64)
	}
	s.counted.Requests[f.pdu[0]]++
	r, exception := parseRequest(f.pdu)
	if exception == 0 {
		exception = s.memory.check(r)
	}
	if exception != 0 {
		return []byte{f.pdu[0] | 0x80, exception}
	}
	if r.writes() {
		s.counted.Writes = append(s.counted.Writes, Write{
			Unit: f.unit, Function: r.function, Table: r.table, Address: r.address, Values: r.values,
		})
		if extra := len(s.counted.Writes) - maxWritesKept; extra > 0 {
			s.counted.Writes = slices.Delete(s.counted.Writes, 0, extra)
		}
	}
	return s.memory.perform(r)
}

// Counts gives a copy of what was seen so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counted
	c.Requests = maps.Clone(c.Requests)
	c.Writes = slices.Clone(c.Writes)
	return c
}

// Set stores values from an address on, all at once for whoever reads them. Coils and discrete
// inputs are on when the value is not 0.
func (s *Server) Set(table Table, address uint16, values ...uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory.set(table, address, values)
}

// Value gives what is stored at an address.
func (s *Server) Value(table Table, address uint16) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory.tables[table][address]
}

// Remove takes addresses away: a request that touches one is refused with exception 2.
func (s *Server) Remove(table Table, address uint16, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory.holes = append(s.memory.holes, hole{table, int(address), int(address) + count})
}

// sleep is false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
