package hj212

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	wire "sluice/gateway/hj212"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// authority is a server that takes reports.
type authority struct {
	t        testing.TB
	address  string
	perParts bool // it acknowledges each packet, else the last one only

	mu      sync.Mutex // guards what follows
	net     net.Listener
	conns   map[net.Conn]bool
	taken   []wire.Packet // reports, each packet once
	numbers map[string]bool
	again   int // packets that came before
	mute    bool
	refuse  string // the data of reports that are refused
	code    string // QnRtn for them
	running sync.WaitGroup
}

func startAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, perParts: true, numbers: map[string]bool{}, code: "2"}
	a.setUp(true)
	t.Cleanup(func() {
		a.setUp(false)
		a.running.Wait()
	})
	return a
}

// setUp opens the address, or cuts everything.
func (a *authority) setUp(up bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if up == (a.net != nil) {
		return
	}
	if !up {
		a.net.Close()
		a.net = nil
		for c := range a.conns {
			c.Close()
		}
		return
	}
	at := a.address
	if at == "" {
		at = "127.0.0.1:0"
	}
	on, err := net.Listen("tcp", at)
	if err != nil {
		a.t.Fatal(err)
	}
	a.net, a.address, a.conns = on, on.Addr().String(), map[net.Conn]bool{}
	conns := a.conns
	a.running.Go(func() {
		for {
			c, err := on.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			if a.net != on {
				c.Close()
			}
			conns[c] = true
			a.mu.Unlock()
			a.running.Go(func() { a.serve(c) })
		}
	})
}

func (a *authority) serve(c net.Conn) {
	defer c.Close()
	var buffer []byte
	chunk := make([]byte, 4096)
	for {
		n, err := c.Read(chunk)
		buffer = append(buffer, chunk[:n]...)
		for {
			p, frame, used, damage := wire.Next(buffer)
			buffer = buffer[used:]
			if damage != nil {
				a.t.Errorf("a damaged packet: %v", damage)
			} else if frame == nil {
				break
			} else if len(frame) > 10+wire.MaxStandardSegment {
				a.t.Errorf("a packet of %d bytes", len(frame))
			} else {
				c.Write(a.take(p))
			}
		}
		if err != nil {
			return
		}
	}
}

// take keeps a report and gives the answer.
func (a *authority) take(p wire.Packet) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.CN[0] != '2' {
		a.taken = append(a.taken, p)
		return nil
	}
	answer := wire.Packet{QN: p.QN, ST: "91", CN: wire.DataAck, PW: p.PW, MN: p.MN, Flag: 4}
	if a.refuse != "" && strings.Contains(p.Data, a.refuse) {
		answer.CN, answer.Data = wire.Accepted, "QnRtn="+a.code
		return answer.Append(nil)
	}
	key := p.CN + p.QN + p.Data
	if a.numbers[key] {
		a.again++
	} else {
		a.taken = append(a.taken, p)
	}
	a.numbers[key] = true
	if a.mute || !p.AckWanted() || !a.perParts && p.PNO < p.PNUM {
		return nil
	}
	return answer.Append(nil)
}

// say sends a packet to everybody who is connected.
func (a *authority) say(p wire.Packet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.conns {
		c.Write(p.Append(nil))
	}
}

func (a *authority) set(change func(*authority)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

func (a *authority) all() []wire.Packet {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]wire.Packet(nil), a.taken...)
}

// optionsFor leads to a with a few points.
func optionsFor(t testing.TB, a *authority, points ...PointOptions) Options {
	t.Helper()
	o := DefaultOptions()
	o.Address, o.MN, o.OverTime = "tcp://"+a.address, "88888880000001", 5*time.Second
	if o.Points = points; len(points) == 0 {
		o.Points = []PointOptions{{Point: "n", Factor: "w01018"}}
	}
	return o
}

func newUplink(t testing.TB, o Options) *Uplink {
	t.Helper()
	u, err := New(o, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func connected(t testing.TB, u bridge.Uplink) bridge.Link {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l, err := u.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
