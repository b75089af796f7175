package hj212

import (
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/hj212/hj212sim"
	wire "sluice/gateway/hj212"
)

// shownBy gives a set and the one line that it shows.
func shownBy(t *testing.T) (*bus.Set, func() *bus.Port) {
	t.Helper()
	set, err := bus.NewSet(nil)
	must(t, err)
	t.Cleanup(func() { must(t, set.Close()) })
	return set, func() *bus.Port {
		t.Helper()
		ports := set.Ports()
		if len(ports) != 1 {
			t.Fatalf("%d lines are shown, want 1", len(ports))
		}
		return ports[0]
	}
}

// Both directions of a logger's connection stand in the monitor, with what they say.
func TestLoggersAppearInTheMonitor(t *testing.T) {
	set, line := shownBy(t)
	d := &Driver{Log: quiet(), Buses: set}
	o := options(d, freeAddress(t))
	s := open(t, d, o)
	var got book
	stop := run(t, got.report(s))
	eventually(t, "the address is shown", func() bool { return len(set.Ports()) == 1 })
	if stats := line().Stats(); stats.Open || !strings.Contains(stats.LastError, bus.ErrNotCalled.Error()) || len(stats.Clients) != 1 {
		t.Errorf("before a logger has come: %+v", stats)
	}
	logger := simulate(t, hj212sim.Options{Address: o.Listen})
	eventually(t, "three reports are acknowledged", func() bool { return logger.Seen().Acked >= 3 })
	stats := line().Stats()
	if c := stats.Clients[0]; stats.Name != bus.VisitedName(o.Listen) || !stats.Open || stats.LastError != "" || stats.BytesIn == 0 || stats.BytesOut == 0 ||
		c.Device != "station" || c.Exchanges < 3 || c.LastGood.IsZero() {
		t.Errorf("the line is %+v", stats)
	}
	frames := line().Recent(0)
	for i, want := range []struct {
		direction bus.Direction
		summary   string
	}{{bus.In, "realtime report of logger " + o.MN}, {bus.Out, "report of logger " + o.MN + " acknowledged"}} {
		f := frames[i]
		summary, ok := Dissect(f.Direction, f.Bytes)
		if f.Direction != want.direction || !ok || !strings.HasPrefix(summary, want.summary) || f.Device != "station" || f.Protocol != protocol || f.Verdict != "" {
			t.Errorf("frame %d is %+v, %q; want %q", i, f, summary, want.summary)
		}
	}
	_, err := s.Clock(t.Context())
	must(t, err)
	if !slices.ContainsFunc(line().Recent(0), func(f bus.Frame) bool {
		summary, _ := Dissect(f.Direction, f.Bytes)
		return f.Direction == bus.Out && strings.Contains(summary, "is asked for")
	}) {
		t.Error("a request to the logger is not shown")
	}
	stop()
	if n := len(set.Ports()); n != 0 {
		t.Errorf("%d lines are shown though nobody listens", n)
	}
}

// What is wrong stands at the frame, and counts.
func TestMonitorSaysWhatIsWrongWithALogger(t *testing.T) {
	for _, c := range []struct {
		name    string
		packet  func(*wire.Packet)
		spoil   func([]byte) []byte
		again   bool // the packet comes behind a good one
		device  string
		verdict string
		line    string // what the line says
		counts  func(bus.ClientStats) uint64
	}{
		{name: "a stranger", packet: func(p *wire.Packet) { p.MN = "MN-7" }, verdict: "no device is configured for: MN MN-7", line: "MN MN-7"},
		{name: "another password", packet: func(p *wire.Packet) { p.PW = "654321" }, device: "station", verdict: "another password",
			counts: func(c bus.ClientStats) uint64 { return c.Refused }},
		{name: "damage", spoil: func(b []byte) []byte { b[20] ^= 1; return b }, again: true, device: "station", verdict: "checksum",
			counts: func(c bus.ClientStats) uint64 { return c.Damaged }},
		{name: "damage by nobody known", spoil: func(b []byte) []byte { b[20] ^= 1; return b }, verdict: "checksum", line: "somebody connects"},
		{name: "a report without its moment", packet: func(p *wire.Packet) { p.Data = "w01018-Rtd=1" }, device: "station", verdict: "cannot be used"},
		{name: "too many packets", packet: func(p *wire.Packet) { p.Flag, p.PNUM, p.PNO = 7, maxParts+1, 1 }, device: "station", verdict: "are taken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set, shown := shownBy(t)
				s, got, connect := line(t, nil)
				l := s.driver.listeners["pipe:1"]
				l.remove(s) // and again, where it is shown
				l.shown = set.Visited("pipe:1")
				l.add(s)
				conn := connect()
				defer conn.Close()
				p := report2011("1", "DataTime=20261123120000;w01018-Rtd=1")
				if c.again {
					send(t, conn, p)
					answer(t, conn)
				}
				p.QN = "2"
				if c.packet != nil {
					c.packet(&p)
				}
				b := p.Append(nil)
				if c.spoil != nil {
					b = c.spoil(b)
				}
				go drain(conn)
				_, err := conn.Write(b)
				must(t, err)
				synctest.Wait()
				heard := slices.DeleteFunc(shown().Recent(0), func(f bus.Frame) bool { return f.Direction == bus.Out })
				f := heard[len(heard)-1]
				if f.Device != c.device || !strings.Contains(f.Verdict, c.verdict) || f.Protocol != protocol {
					t.Errorf("the frame is %+v, want %q of %q", f, c.verdict, c.device)
				}
				stats := shown().Stats()
				if c.counts != nil && c.counts(stats.Clients[0]) != 1 {
					t.Errorf("the device is %+v", stats.Clients[0])
				}
				if !strings.Contains(stats.LastError, c.line) || c.line == "" && stats.LastError != "" {
					t.Errorf("the line says %q, want %q", stats.LastError, c.line)
				}
				if len(got.all()) > 0 && !c.again {
					t.Errorf("readings came: %+v", got.all())
				}
			})
		})
	}
}

// A report that the log does not take is shown as one that is not acknowledged.
func TestMonitorShowsWhatIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, shown := shownBy(t)
		s, got, connect := line(t, nil)
		l := s.driver.listeners["pipe:1"]
		l.shown = set.Visited("pipe:1")
		got.refuse(true)
		conn := connect()
		defer conn.Close()
		send(t, conn, report2011("1", "DataTime=20261123120000;w01018-Rtd=1"))
		synctest.Wait()
		if f := shown().Recent(0); len(f) != 1 || f[0].Verdict != "it is not acknowledged: the log is full" {
			t.Errorf("the frames are %+v", f)
		}
	})
}

// A request that the logger leaves unanswered counts.
func TestMonitorCountsUnansweredRequests(t *testing.T) {
	set, line := shownBy(t)
	d := &Driver{Log: quiet(), Buses: set}
	o := options(d, freeAddress(t))
	o.Timeout = 100 * time.Millisecond
	s := open(t, d, o)
	var got book
	run(t, got.report(s))
	logger := simulate(t, hj212sim.Options{Address: o.Listen})
	eventually(t, "the logger is heard", func() bool { return logger.Seen().Acked > 0 })
	logger.Misbehave(hj212sim.NoAnswer)
	if _, err := s.Clock(t.Context()); err == nil {
		t.Fatal("the clock was read though nobody answered")
	}
	if c := line().Stats().Clients[0]; c.NoReply != 1 {
		t.Errorf("the device is %+v", c)
	}
}

// drain reads what comes until the connection ends.
func drain(c net.Conn) {
	b := make([]byte, 1000)
	for _, err := c.Read(b); err == nil; _, err = c.Read(b) {
	}
}
