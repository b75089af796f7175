package hj212

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors/bus"
	wire "sluice/gateway/hj212"
)

// pipes is a listener that connections are put into.
type pipes struct {
	in     chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.in:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// line starts a station in bubble time and gives the logger's end of a connection to it.
func line(t *testing.T, change func(*Options)) (*Station, *book, func() net.Conn) {
	t.Helper()
	s, connect := station(t, change)
	got := &book{}
	run(t, got.report(s))
	synctest.Wait() // until somebody takes reports, none is acknowledged
	return s, got, connect
}

// station opens one that loggers reach through pipes.
func station(t *testing.T, change func(*Options)) (*Station, func() net.Conn) {
	t.Helper()
	d := &Driver{Log: quiet()}
	o := options(d, "pipe:1")
	if change != nil {
		change(o)
	}
	device, err := d.Open("station", o)
	must(t, err)
	s := device.(*Station)
	on := &pipes{make(chan net.Conn), make(chan struct{})}
	l := newListener(on, quiet())
	l.add(s)
	d.listeners = map[string]*listener{"pipe:1": l}
	l.start()
	s.entered = true
	return s, func() net.Conn {
		mine, theirs := net.Pipe()
		on.in <- theirs
		return mine
	}
}

func send(t *testing.T, c net.Conn, p wire.Packet) {
	t.Helper()
	_, err := c.Write(p.Append(nil))
	must(t, err)
}

func report2011(qn, data string) wire.Packet {
	return wire.Packet{QN: qn, ST: "32", CN: wire.Realtime, PW: "123456", MN: "88888880000001", Flag: 5, Data: data}
}

// answer reads one packet from the gateway.
func answer(t *testing.T, c net.Conn) wire.Packet {
	t.Helper()
	b := make([]byte, 4096)
	n, err := c.Read(b)
	must(t, err)
	p, err := wire.Decode(b[:n])
	must(t, err)
	return p
}

func TestAcknowledgementLooksAsTheStandardHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, got, connect := line(t, nil)
		c := connect()
		defer c.Close()
		p := report2011("20261123120000001", "DataTime=20261123120000;w01018-Rtd=1")
		send(t, c, p)
		want := wire.Packet{QN: p.QN, ST: "91", CN: "9014", PW: "123456", MN: p.MN, Flag: 4}
		if a := answer(t, c); a != want {
			t.Errorf("got %+v, want %+v", a, want)
		}
		p.QN, p.Flag = "20261123120000002", 1 // the edition of 2005
		send(t, c, p)
		want = wire.Packet{QN: p.QN, ST: "91", CN: "9014", PW: "123456", MN: p.MN, Flag: 0, Data: "QN=20261123120000002;CN=2011"}
		if a := answer(t, c); a != want {
			t.Errorf("2005: got %+v, want %+v", a, want)
		}
		p.QN, p.Flag = "20261123120000003", 9 // a later edition has a higher version
		send(t, c, p)
		if a := answer(t, c); a.Flag != 8 {
			t.Errorf("a later edition: got %+v", a)
		}
		p.Flag = 4 // wants none
		p.QN = "20261123120000004"
		send(t, c, p)
		send(t, c, wire.Packet{QN: "5", ST: "91", CN: wire.ClockNotice, PW: "123456", MN: p.MN, Flag: 5})
		if a := answer(t, c); a.QN != "5" || a.CN != wire.NoticeAck {
			t.Errorf("the notice was answered with %+v", a)
		}
		if n := len(got.all()); n != 4 {
			t.Errorf("%d readings, want 4", n)
		}
	})
}

// One packet after the other: a report's first packet is acknowledged at once only if that is wished.
func TestPartsAreAcknowledgedAsConfigured(t *testing.T) {
	for _, parts := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			_, got, connect := line(t, func(o *Options) { o.AckParts = parts })
			c := connect()
			defer c.Close()
			first := report2011("1", "DataTime=20261123120000;w01018-Rtd=1")
			first.Flag, first.PNUM, first.PNO = 7, 2, 1
			send(t, c, first)
			c.SetReadDeadline(time.Now().Add(time.Second))
			_, err := c.Read(make([]byte, 1000))
			if (err == nil) != parts {
				t.Errorf("ack_parts %v: after the first packet came %v", parts, err)
			}
			c.SetReadDeadline(time.Time{})
			second := first
			second.PNO, second.Data = 2, "w01001-Rtd=7"
			send(t, c, second)
			answer(t, c)
			if !parts {
				answer(t, c)
			}
			if all := got.all(); len(all) != 1 || text(all[0].Points) != "cod=1; ph=7" {
				t.Errorf("readings %+v", all)
			}
		})
	}
}

func TestWrongPasswordIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, got, connect := line(t, nil)
		c := connect()
		defer c.Close()
		p := report2011("1", "DataTime=20261123120000;w01018-Rtd=1")
		p.PW = "654321"
		send(t, c, p)
		if a := answer(t, c); a.CN != wire.Accepted || a.Data != "QnRtn=3" {
			t.Errorf("answered with %+v", a)
		}
		if len(got.all()) != 0 || !strings.Contains(s.Trouble(), "password") {
			t.Errorf("%d readings, trouble %q", len(got.all()), s.Trouble())
		}
	})
}

func TestHalfAPacketIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, got, connect := line(t, nil)
		c := connect()
		defer c.Close()
		p := report2011("1", "DataTime=20261123120000;w01018-Rtd=1")
		_, err := c.Write(append([]byte("##9000"), p.Append(nil)[:20]...))
		must(t, err)
		time.Sleep(partGap + time.Second)
		send(t, c, p)
		answer(t, c)
		if len(got.all()) != 1 {
			t.Errorf("%d readings", len(got.all()))
		}
	})
}

func TestSilentConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, connect := line(t, func(o *Options) { o.Silence = 3 * time.Minute })
		stranger, logger := connect(), connect()
		send(t, logger, report2011("1", "DataTime=20261123120000;w01018-Rtd=1"))
		answer(t, logger)
		began := time.Now()
		if _, err := stranger.Read(make([]byte, 1)); err == nil || time.Since(began) != introduction {
			t.Errorf("a connection without a word was closed after %v, %v", time.Since(began), err)
		}
		if _, err := logger.Read(make([]byte, 1)); err == nil || time.Since(began) != 3*time.Minute {
			t.Errorf("a logger's connection was closed after %v, %v", time.Since(began), err)
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, connect := line(t, nil)
		var all []net.Conn
		for range maxConns + 10 {
			all = append(all, connect())
		}
		synctest.Wait()
		l := s.driver.listeners["pipe:1"]
		l.mu.Lock()
		n := len(l.conns)
		l.mu.Unlock()
		if n != maxConns {
			t.Errorf("%d connections are served, want %d", n, maxConns)
		}
		for i := range 2 * maxLines { // one logger that dials again and again
			go func() {
				b := make([]byte, 1000)
				for _, err := all[i].Read(b); err == nil; _, err = all[i].Read(b) {
				}
			}()
			send(t, all[i], report2011(string(rune('a'+i)), "DataTime=20261123120000;w01018-Rtd=1"))
			synctest.Wait()
		}
		s.mu.Lock()
		lines := len(s.lines)
		s.mu.Unlock()
		if lines != maxLines {
			t.Errorf("the logger has %d lines, want %d", lines, maxLines)
		}
		for _, c := range all {
			c.Close()
		}
	})
}

func TestPacketsInOneLineForPeople(t *testing.T) {
	for want, p := range map[string]wire.Packet{
		"realtime report of logger 1: 2 factors at 20261123120000":                   {CN: "2011", MN: "1", Data: "DataTime=20261123120000;a-Rtd=1,a-Flag=N;b-Rtd=2"},
		"minute report of logger 1, packet 2 of 3: 1 factors at ":                    {CN: "2051", MN: "1", PNUM: 3, PNO: 2, Data: "a-Avg=1"},
		"request for hour reports of logger 1 from 20260101000000 to 20260102000000": {CN: "2061", MN: "1", Data: "BeginTime=20260101000000,EndTime=20260102000000"},
		"report of logger 1 acknowledged":                                            {CN: "9014", MN: "1"},
		"request of logger 1 answered: the password (PW) is wrong":                   {CN: "9011", MN: "1", Data: "QnRtn=3"},
		"request of logger 1 ended: done":                                            {CN: "9012", MN: "1", Data: "ExeRtn=1"},
		"clock of logger 1 is asked for":                                             {CN: "1011", MN: "1"},
		"clock of logger 1 says 20260101000000":                                      {CN: "1011", MN: "1", Data: "SystemTime=20260101000000"},
		"command 3020 of logger 1":                                                   {CN: "3020", MN: "1"},
	} {
		if got, ok := Dissect(bus.In, p.Append(nil)); !ok || got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got, ok := Dissect(bus.Out, []byte("##0001")); ok {
		t.Errorf("half a packet is %q", got)
	}
}
