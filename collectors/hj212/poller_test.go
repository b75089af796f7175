package hj212

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors"
	wire "sluice/gateway/hj212"
	"sluice/gateway/message"
)

// log is one whose disk needs a while.
type log struct {
	delay time.Duration

	mu      sync.Mutex // guards what follows
	written []string
	running sync.WaitGroup
}

func (l *log) Publish(_ context.Context, m *message.Message, ack message.Acknowledger, token uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Seq > 0 {
		l.written = append(l.written, string(m.Payload))
	}
	l.running.Go(func() {
		time.Sleep(l.delay)
		ack.Acknowledge(token, 1, nil)
	})
	return nil
}

func (l *log) Sequence(string) (epoch, last uint64, err error) { return 1, 0, nil }

func (l *log) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.written...)
}

// From the logger's packet to the log, and only then back.
func TestLoggerIsAnsweredWhenItsReportIsOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 23, 4, 0, 1, 0, time.UTC))) // a clock that can be trusted
		s, connect := station(t, nil)
		disk := &log{delay: 300 * time.Millisecond}
		p := &collectors.Poller{Gateway: "g", Name: "outfall", Device: s, Sink: disk, Interval: time.Minute, Log: quiet()}
		run(t, p.Run)
		synctest.Wait() // until it listens: who comes before is sent away
		t.Cleanup(disk.running.Wait)
		c := connect()
		defer c.Close()
		sent := time.Now()
		send(t, c, report2011("20261123120000001", "DataTime=20261123120000;w01018-Rtd=45.2,w01018-Flag=C;w01001-Rtd=7,w01001-Flag=N"))
		if a := answer(t, c); a.CN != wire.DataAck || time.Since(sent) != disk.delay {
			t.Errorf("after %v the answer is %+v", time.Since(sent), a)
		}
		want := `{"gateway":"g","device":"outfall","epoch":1,"seq":1,"ts":1795406400000,"values":{"cod":45.2,"ph":7},"errors":{"cod":"calibration (flag C)"}}`
		if got := disk.all(); len(got) != 1 || got[0] != want {
			t.Errorf("the log has %q, want %q", got, want)
		}
		if got := p.State(); got.State != collectors.Degraded || got.Readings != 1 {
			t.Errorf("the state is %+v", got)
		}
		c.SetDeadline(time.Now().Add(time.Hour))
		time.Sleep(4 * time.Minute)
		if got := p.State(); got.State != collectors.Offline {
			t.Errorf("after 4 minutes of silence the state is %+v", got)
		}
		send(t, c, report2011("20261123120500001", "DataTime=20261123120500;w01018-Rtd=45,w01018-Flag=N;w01001-Rtd=7"))
		answer(t, c)
		if got := p.State(); got.State != collectors.Online || got.Readings != 2 {
			t.Errorf("when it is back the state is %+v", got)
		}
	})
}
