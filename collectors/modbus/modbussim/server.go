// Package modbussim is Modbus devices for tests and demonstrations: one or a rack of them, speaking
// Modbus TCP, RTU or ASCII on sockets and serial lines. It speaks real bytes with code of its own,
// shares nothing with the driver, counts what it saw, and can be told to misbehave in the ways that
// devices in the field do.
package modbussim

import (
	"context"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
)

const maxWritesKept = 1024

// Server is a device with all addresses of all four tables, each 0 at first. The zero Server works
// and speaks Modbus TCP.
type Server struct {
	Unit    byte    // the only unit that is answered; 0: every unit
	Dialect Dialect // what is spoken; TCP when empty

	port

	state   sync.Mutex // guards what follows
	memory  memory
	faults  []Fault
	always  Fault
	speaks  Dialect // empty: as it was asked
	spoiled bool    // the next answer is not what was asked for
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

// Run serves those who connect until ctx ends and returns once the last connection has gone.
func (s *Server) Run(ctx context.Context) error {
	return s.run(ctx, func(ctx context.Context, conn net.Conn) { s.Serve(ctx, conn) })
}

// Serve speaks on one connection or serial line until it or ctx ends, and closes it if it can be
// closed.
func (s *Server) Serve(ctx context.Context, line io.ReadWriter) {
	s.serve(ctx, line, s.Dialect, func(unit byte) *Server {
		if s.Unit != 0 && unit != s.Unit {
			return nil
		}
		return s
	})
}

// Rack is several devices on one line or behind one gateway, each with memory and faults of its own.
type Rack struct {
	Dialect Dialect          // what is spoken; TCP when empty
	Devices map[byte]*Server // by unit
	// Gateway answers exception 11 for units that are not there, as gateways do; else nobody does.
	Gateway bool

	port
}

// Run serves those who connect until ctx ends and returns once the last connection has gone.
func (r *Rack) Run(ctx context.Context) error {
	return r.run(ctx, func(ctx context.Context, conn net.Conn) { r.Serve(ctx, conn) })
}

// Serve speaks on one connection or serial line until it or ctx ends, and closes it if it can be
// closed.
func (r *Rack) Serve(ctx context.Context, line io.ReadWriter) {
	missing := &Server{}
	missing.Always(Fault{Kind: Exception, Exception: targetSilent})
	r.serve(ctx, line, r.Dialect, func(unit byte) *Server {
		if device := r.Devices[unit]; device != nil || !r.Gateway {
			return device
		}
		return missing
	})
}

// Connections is how many there were.
func (r *Rack) Connections() uint64 { return r.seen() }

// answer counts the request, carries it out and gives the answer's PDU.
func (s *Server) answer(f frame) []byte {
	s.state.Lock()
	defer s.state.Unlock()
	if s.counted.Requests == nil {
		s.counted.Requests = make(map[byte]uint64)
	}
	s.counted.Requests[f.pdu[0]]++
	r, exception := parseRequest(f.pdu)
	if s.memory.refused[f.pdu[0]] {
		exception = illegalFunction
	}
	if exception == 0 {
		exception = s.memory.check(r)
	}
	if exception != 0 {
		s.spoiled = exception == illegalAddress && s.memory.trapped(r)
		return []byte{f.pdu[0] | 0x80, exception}
	}
	if r.writes() {
		s.note(f.unit, r)
	}
	pdu := s.memory.perform(r)
	if s.spoiled {
		s.spoiled = false
		return inverted(pdu)
	}
	return pdu
}

func (s *Server) note(unit byte, r request) {
	s.counted.Writes = append(s.counted.Writes, Write{
		Unit: unit, Function: r.function, Table: r.table, Address: r.target(), Values: r.written(&s.memory),
	})
	if extra := len(s.counted.Writes) - maxWritesKept; extra > 0 {
		s.counted.Writes = slices.Delete(s.counted.Writes, 0, extra)
	}
}

// Counts gives a copy of what was seen so far.
func (s *Server) Counts() Counts {
	s.state.Lock()
	defer s.state.Unlock()
	c := s.counted
	c.Connections = s.seen()
	c.Requests = maps.Clone(c.Requests)
	c.Writes = slices.Clone(c.Writes)
	return c
}

// Set stores values from an address on, all at once for whoever reads them. Coils and discrete
// inputs are on when the value is not 0.
func (s *Server) Set(table Table, address uint16, values ...uint16) {
	s.state.Lock()
	defer s.state.Unlock()
	s.memory.set(table, address, values)
}

// Value gives what is stored at an address.
func (s *Server) Value(table Table, address uint16) uint16 {
	s.state.Lock()
	defer s.state.Unlock()
	return s.memory.tables[table][address]
}

// Remove takes addresses away: a request that touches one is refused with exception 2.
func (s *Server) Remove(table Table, address uint16, count int) {
	s.state.Lock()
	defer s.state.Unlock()
	s.memory.holes = append(s.memory.holes, hole{table, int(address), int(address) + count, false})
}

// Trap is Remove in its worst form: the answer to the next request after a refused one has other
// data in a sound frame.
func (s *Server) Trap(table Table, address uint16, count int) {
	s.state.Lock()
	defer s.state.Unlock()
	s.memory.holes = append(s.memory.holes, hole{table, int(address), int(address) + count, true})
}

// Refuse makes functions unknown to the device: they are answered with exception 1.
func (s *Server) Refuse(functions ...byte) {
	s.state.Lock()
	defer s.state.Unlock()
	s.memory.refused = make(map[byte]bool)
	for _, function := range functions {
		s.memory.refused[function] = true
	}
}
