//go:build linux

package nighttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAcknowledgedReportsSurviveKills lets a data logger report by HJ 212 while the gateway is killed again and
// again. What was acknowledged the logger throws away, so all of it must be in the log, once, in order; what
// was not, the logger sends again.
func TestAcknowledgedReportsSurviveKills(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute: an acknowledgement waits for the disk")
	}
	kills := 4
	if long() {
		kills = 40
	}
	address, web := freeAddress(t), freeAddress(t)
	g := newGateway(t, site{}, web, fmt.Sprintf(`
gateway: {name: site}
store: {dir: "{dir}/data"}
web: {listen: %q}
mqtt: {listen: []}
devices:
  - {name: outfall, driver: hj212, listen: %q, mn: "MN1", interval: 1s, points: [{name: n, factor: w01018}]}
`, web, address))
	g.start(t)
	logger := &reporter{address: address, stopped: make(chan struct{}), began: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	var running sync.WaitGroup
	running.Go(logger.run)
	stop := sync.OnceFunc(func() { close(logger.stopped); running.Wait() })
	defer stop()
	for range kills {
		before := logger.acknowledged()
		until(t, time.Minute, "reports that are acknowledged", func() bool { return logger.acknowledged() > before+8 })
		time.Sleep(between(0, 300*time.Millisecond))
		g.kill(t)
		g.start(t)
	}
	before := logger.acknowledged()
	until(t, time.Minute, "reports behind the last kill", func() bool { return logger.acknowledged() > before+8 })
	stop()
	g.stop(t)

	out, err := exec.Command(g.binary, "log", "dump", "--json", "--topic", "readings/#", filepath.Join(g.dir, "data")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var kept []int
	for line := range bytes.Lines(out) {
		var r struct{ Payload string }
		var reading struct{ Values struct{ N int } }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(r.Payload), &reading); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, reading.Values.N)
	}
	acked := logger.acknowledged()
	next, twice := 1, 0
	for i, n := range kept {
		switch {
		case n == next:
			next++
		case n == next-1 && n > 0:
			twice++ // it was in the log when the gateway died, and its acknowledgement was not out
		default:
			t.Fatalf("reading %d is of report %d, want %d", i, n, next)
		}
	}
	if next <= acked || twice > kills {
		t.Errorf("the log has the reports up to %d, %d twice; %d were acknowledged, and the gateway was killed %d times", next-1, twice, acked, kills)
	}
	t.Logf("%d reports acknowledged, %d in the log, %d of them twice", acked, next-1, twice)
}

// reporter is a data logger: it numbers its reports, sends one, and the next when that is acknowledged.
type reporter struct {
	address string
	began   time.Time
	stopped chan struct{}

	mu    sync.Mutex // guards what follows
	acked int
}

func (l *reporter) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

func (l *reporter) run() {
	for {
		if conn, err := net.Dial("tcp", l.address); err == nil {
			l.talk(conn)
			conn.Close()
		}
		select {
		case <-l.stopped:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// talk reports over one connection until it ends.
func (l *reporter) talk(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		select {
		case <-l.stopped:
			return
		default:
		}
		n := l.acknowledged() + 1
		at := l.began.Add(time.Duration(n) * time.Second).Format("20060102150405")
		segment := fmt.Sprintf("QN=%s000;ST=32;CN=2011;PW=123456;MN=MN1;Flag=5;CP=&&DataTime=%s;w01018-Rtd=%d,w01018-Flag=N&&", at, at, n)
		if _, err := fmt.Fprintf(conn, "##%04d%s%04X\r\n", len(segment), segment, sumHJ212(segment)); err != nil {
			return
		}
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if !strings.Contains(line, "CN=9014;") || !strings.Contains(line, "QN="+at+"000;") {
			continue // not this report's: it goes out again
		}
		l.mu.Lock()
		l.acked = n
		l.mu.Unlock()
	}
}

// sumHJ212 is the checksum as the standard's appendix A has it.
func sumHJ212(segment string) uint16 {
	sum := uint16(0xFFFF)
	for _, c := range []byte(segment) {
		sum = sum>>8 ^ uint16(c)
		for range 8 {
			odd := sum&1 != 0
			sum >>= 1
			if odd {
				sum ^= 0xA001
			}
		}
	}
	return sum
}

// The example of the standard's appendix.
func TestReporterCountsAsTheStandardDoes(t *testing.T) {
	const published = "QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&"
	if got, want := strconv.FormatUint(uint64(sumHJ212(published)), 16), "1c80"; got != want {
		t.Errorf("the checksum is %s, want %s", got, want)
	}
}
