package collectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

func TestPollerKeepsItsScheduleWithoutDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{delay: 7 * time.Millisecond}, &fakeSink{}
		started := time.Now()
		start(t, newPoller(device, sink, time.Second))
		pass(time.Hour + time.Millisecond)

		reads := device.readTimes()
		if len(reads) < 3600 || len(reads) > 3601 {
			t.Fatalf("%d polls in an hour at 1 s, want 3600", len(reads))
		}
		phase := reads[0].Sub(started)
		if phase >= time.Second {
			t.Errorf("first poll after %v, want within the interval", phase)
		}
		for i, at := range reads {
			if want := phase + time.Duration(i)*time.Second; at.Sub(started) != want {
				t.Fatalf("poll %d began at %v, want %v", i, at.Sub(started), want)
			}
		}
	})
}

func TestPollerSkipsMissedTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device := &fakeDevice{delay: 2500 * time.Millisecond}
		start(t, newPoller(device, &fakeSink{}, time.Second))
		pass(time.Minute)
		reads := device.readTimes()
		for i := 1; i < len(reads); i++ {
			if gap := reads[i].Sub(reads[i-1]); gap != 3*time.Second {
				t.Fatalf("polls %d and %d are %v apart, want the next free tick after 3s", i-1, i, gap)
			}
		}
		if len(reads) < 19 {
			t.Errorf("%d polls in a minute, want about 20", len(reads))
		}
	})
}

func TestDevicesThatStartTogetherAreSpread(t *testing.T) {
	now := time.Now()
	tenths := make(map[int]int)
	for i := range 100 {
		s := newSchedule(fmt.Sprintf("meter-%d", i), time.Second, now)
		phase := s.first.Sub(now)
		if phase < 0 || phase >= time.Second {
			t.Fatalf("meter-%d starts after %v, want less than the interval", i, phase)
		}
		tenths[int(phase/(100*time.Millisecond))]++
	}
	for tenth := range 10 {
		if n := tenths[tenth]; n == 0 || n > 30 {
			t.Errorf("%d of 100 devices start in tenth %d of the interval: %v", n, tenth, tenths)
		}
	}
	if late := newSchedule("x", time.Hour, now).first.Sub(now); late >= maxSpread {
		t.Errorf("an hourly device is first polled after %v, want less than %v", late, maxSpread)
	}
}

func TestReadingCarriesEpochSeqTimeAndClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{}, &fakeSink{epoch: 3}
		start(t, newPoller(device, sink, time.Second)) // a bubble begins in the year 2000
		pass(3 * time.Second)
		early := sink.readings(t)
		if len(early) != 3 {
			t.Fatalf("%d readings in 3 s, want 3", len(early))
		}
		r := early[0]
		if r.Gateway != "g" || r.Device != "press" || r.Epoch != 3 || r.Clock != "unsynced" {
			t.Errorf("reading %+v: want g, press, epoch 3, clock unsynced", r)
		}
		if want := device.readTimes()[0].UnixMilli(); r.TS != want {
			t.Errorf("ts %d, want the poll's %d", r.TS, want)
		}
		checkSequence(t, early, 1)
	})
}

func TestTrustedClockIsNotMentioned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)))
		sink := &fakeSink{}
		start(t, newPoller(&fakeDevice{}, sink, time.Second))
		pass(2 * time.Second)
		if r := sink.readings(t); len(r) == 0 || r[0].Clock != "" {
			t.Errorf("readings %+v: want some, none with a clock", r)
		}
	})
}

func TestDeadDeviceIsAskedAfterGrowingWaitsAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{err: errors.New("tcp://10.0.0.9:502: connection refused")}, &fakeSink{}
		var logged bytes.Buffer
		p := newPoller(device, sink, time.Second)
		p.Log = slog.New(slog.NewTextHandler(&logged, nil))
		stop := start(t, p)
		pass(10 * time.Minute)

		reads := device.readTimes()
		longest := time.Duration(0)
		for i := 1; i < len(reads); i++ {
			gap := reads[i].Sub(reads[i-1])
			ceiling := min(time.Second<<min(i, 10), 10*time.Second)
			if gap < minRetry || gap > ceiling {
				t.Fatalf("retry %d after %v, want %v to %v", i, gap, minRetry, ceiling)
			}
			longest = max(longest, gap)
		}
		// Waits drawn from (0, 10 s] take about 120 tries to fill ten minutes.
		if n := len(reads); n < 80 || n > 200 || longest < 5*time.Second {
			t.Errorf("%d tries in 10 minutes, longest wait %v", n, longest)
		}
		if r := sink.readings(t); len(r) != 0 {
			t.Errorf("%d readings from a dead device", len(r))
		}
		s := p.State()
		if s.State != Offline || s.LastError != device.err.Error() || s.Failures != s.Polls {
			t.Errorf("state %+v: want offline with the error, every poll failed", s)
		}

		device.set(func(d *fakeDevice) { d.err = nil })
		pass(20 * time.Second)
		if got := sink.states(t); !slices.Equal(got, []string{Offline, Online}) {
			t.Errorf("published states %v, want offline, online", got)
		}
		if s := p.State(); s.State != Online || s.LastError != "" {
			t.Errorf("state after recovery %+v", s)
		}
		checkSequence(t, sink.readings(t), 1)
		stop()
		if n := strings.Count(logged.String(), "device is offline"); n != 1 {
			t.Errorf("offline logged %d times, want once:\n%s", n, logged.String())
		}
		if device.closed != 1 {
			t.Errorf("device closed %d times, want once", device.closed)
		}
	})
}

func TestBackoffStaysWithinItsBounds(t *testing.T) {
	for _, interval := range []time.Duration{time.Millisecond, 200 * time.Millisecond, time.Second, 15 * time.Second, time.Hour} {
		b := newBackoff(interval)
		limit := min(max(10*interval, shortestCap), longestCap)
		var total time.Duration
		for i := range 1000 {
			wait := b.next()
			if wait < minRetry || wait > limit {
				t.Fatalf("interval %v: wait %d is %v, want %v to %v", interval, i, wait, minRetry, limit)
			}
			total += wait
		}
		if mean := total / 1000; mean < limit*4/10 || mean > limit*6/10 {
			t.Errorf("interval %v: mean wait %v, want about half of %v", interval, mean, limit)
		}
	}
}

func TestPartialFailureIsAReadingWithErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{broken: "exception 2: illegal data address"}, &fakeSink{}
		p := newPoller(device, sink, time.Second)
		start(t, p)
		pass(3 * time.Second)
		readings := sink.readings(t)
		if len(readings) != 3 {
			t.Fatalf("%d readings, want 3", len(readings))
		}
		r := readings[0]
		if r.Errors["level"] != device.broken || r.Values["count"] != 1.0 || len(r.Values) != 1 {
			t.Errorf("reading %+v: want count in values and level in errors", r)
		}
		s := p.State()
		if s.State != Degraded || s.LastError != "level: "+device.broken {
			t.Errorf("state %q, error %q", s.State, s.LastError)
		}
		want := []Point{{Name: "count", Value: message.Int(3)}, {Name: "level", Unit: "m", Error: device.broken}}
		if !slices.Equal(s.Points, want) {
			t.Errorf("points %+v, want %+v", s.Points, want)
		}
		device.set(func(d *fakeDevice) { d.broken = "" })
		pass(time.Second)
		if got := sink.states(t); !slices.Equal(got, []string{Degraded, Online}) {
			t.Errorf("published states %v, want degraded, online", got)
		}
	})
}

func TestPointWithoutAUsableValueFails(t *testing.T) {
	points := []message.Point{
		{Name: "a", Value: message.Float32(float32(math.NaN()))}, {Name: "b", Value: message.Float64(math.Inf(-1))},
		{Name: "c"}, {Name: "d", Value: message.Int(1)}, {Name: "e", Value: message.Int(1), Error: "late"},
	}
	nameFaults(points)
	want := []message.Point{
		{Name: "a", Error: "the device sent NaN"}, {Name: "b", Error: "the device sent -Inf"},
		{Name: "c", Error: "no value"}, {Name: "d", Value: message.Int(1)}, {Name: "e", Error: "late"},
	}
	if !slices.Equal(points, want) {
		t.Errorf("points %+v, want %+v", points, want)
	}
	shown := make([]Point, len(points))
	for i, p := range points {
		shown[i] = Point{Name: p.Name, Value: p.Value, Error: p.Error}
	}
	state, problem := condition(shown)
	if state != Degraded || problem != "4 of 5 points failed, the first is a: the device sent NaN" {
		t.Errorf("condition %q, %q", state, problem)
	}
}

func TestFullLogPausesPollingAndKeepsTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{}, &fakeSink{}
		p := newPoller(device, sink, time.Second)
		start(t, p)
		pass(5 * time.Second)
		sink.set(func(s *fakeSink) { s.refuse, s.offers = fmt.Errorf("append: %w", message.ErrFull), nil })
		pass(10 * time.Minute)

		if s := p.State(); s.State != Paused || !strings.Contains(s.LastError, "full") {
			t.Errorf("state %q, error %q, want paused because the log is full", s.State, s.LastError)
		}
		if n := len(device.readTimes()); n != 6 {
			t.Errorf("device polled %d times, want 5 and the one that was refused", n)
		}
		if n := len(sink.offers); n < 80 || n > 200 {
			t.Errorf("%d offers in 10 minutes of a full log, want growing waits", n)
		}
		sink.set(func(s *fakeSink) { s.refuse = nil })
		pass(30 * time.Second)
		readings := sink.readings(t)
		checkSequence(t, readings, 1)
		if len(readings) < 20 {
			t.Fatalf("%d readings after the pause", len(readings))
		}
		for i, r := range readings {
			if r.Values["count"] != float64(i+1) {
				t.Fatalf("reading %d has poll %v: a poll is missing", i, r.Values["count"])
			}
		}
		if s := p.State(); s.State != Online || s.Readings != uint64(len(readings)) {
			t.Errorf("state %q with %d readings, want online with %d", s.State, s.Readings, len(readings))
		}
	})
}

func TestSequenceContinuesAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{sync: 300 * time.Millisecond}
		for range 5 {
			p := newPoller(&fakeDevice{}, sink, 100*time.Millisecond)
			stop := start(t, p)
			pass(2 * time.Second)
			stop() // readings are on their way to the disk at this moment
		}
		readings := sink.readings(t)
		if len(readings) < 90 {
			t.Fatalf("%d readings, want about 100", len(readings))
		}
		checkSequence(t, readings, 1)
	})
}

func TestReadingThatWasNotKeptFreesItsSequenceNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{}, &fakeSink{sync: 300 * time.Millisecond}
		p := newPoller(device, sink, 100*time.Millisecond)
		start(t, p)
		pass(2 * time.Second)
		sink.set(func(s *fakeSink) { s.lose, s.refuse = message.ErrFailed, message.ErrFailed })
		pass(5 * time.Second)
		if s := p.State(); s.State != Paused || s.LastError != message.ErrFailed.Error() {
			t.Errorf("state %q, error %q, want paused because the disk failed", s.State, s.LastError)
		}
		sink.set(func(s *fakeSink) { s.lose, s.refuse = nil, nil })
		pass(10 * time.Second)
		checkSequence(t, sink.readings(t), 1)
		if s := p.State(); s.State != Online {
			t.Errorf("state %q after the log works again", s.State)
		}
	})
}

func TestNumberingWaitsUntilEveryLostReadingIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{sync: 350 * time.Millisecond}
		start(t, newPoller(&fakeDevice{}, sink, 100*time.Millisecond))
		for range 20 {
			pass(2 * time.Second)
			sink.set(func(s *fakeSink) { // what waits is lost, and nothing is taken until that is known
				s.refuse = message.ErrFailed
				for i := range s.queue {
					s.queue[i].lost = true
				}
			})
			pass(60 * time.Millisecond)
			sink.set(func(s *fakeSink) { s.refuse = nil })
		}
		pass(2 * time.Second)
		readings := sink.readings(t)
		if len(readings) < 250 {
			t.Errorf("%d readings, want about 300", len(readings))
		}
		checkSequence(t, readings, 1)
	})
}

func TestFailedSyncIsShownBeforeTheNextPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{sync: 10 * time.Millisecond, lose: message.ErrFailed}
		p := newPoller(&fakeDevice{}, sink, time.Hour)
		start(t, p)
		pass(maxSpread + time.Second)
		if s := p.State(); s.State != Paused || s.Readings != 0 || s.Polls != 1 {
			t.Errorf("state %+v, want paused after one poll and no durable reading", s)
		}
	})
}

func TestPollingGoesOnWhileReadingsWaitForTheirSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{}, &fakeSink{sync: 4 * time.Second}
		p := newPoller(device, sink, 100*time.Millisecond)
		start(t, p)
		pass(3900 * time.Millisecond)
		if s := p.State(); s.Polls < 38 || s.Readings != 0 || s.State != Online {
			t.Errorf("state %+v: want about 39 polls, none durable, online", s)
		}
	})
}

func TestUnsyncedReadingsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{}, &fakeSink{sync: time.Hour}
		p := newPoller(device, sink, 100*time.Millisecond)
		start(t, p)
		pass(59 * time.Minute)
		if want := maxUnsynced + 1; sink.accepted != want {
			t.Errorf("%d messages without a receipt, want %d readings and a status", sink.accepted, want-1)
		}
		if n := len(device.readTimes()); n != maxUnsynced+1 {
			t.Errorf("%d polls, want %d and one held in hand", n, maxUnsynced)
		}
		if s := p.State(); s.State != Paused {
			t.Errorf("state %q, want paused", s.State)
		}
		pass(3 * time.Minute)
		checkSequence(t, sink.readings(t), 1)
		if n := len(device.readTimes()); n < 2*maxUnsynced-2 {
			t.Errorf("%d polls three minutes after the disk caught up, want %d at once", n, 2*maxUnsynced)
		}
		sink.set(func(s *fakeSink) { s.sync = 0 })
		pass(2 * time.Hour)
		if s := p.State(); s.State != Online || s.Readings < 30000 {
			t.Errorf("state %q with %d readings after the disk caught up", s.State, s.Readings)
		}
		checkSequence(t, sink.readings(t), 1)
	})
}

func TestSlowDeviceDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{}
		dead := newPoller(&fakeDevice{delay: time.Hour}, sink, time.Second)
		dead.Name = "dead"
		device := &fakeDevice{}
		start(t, dead)
		start(t, newPoller(device, sink, time.Second))
		pass(10 * time.Minute)
		if n := len(device.readTimes()); n != 600 {
			t.Errorf("%d polls in 10 minutes beside a dead device, want 600", n)
		}
		if s := dead.State(); s.State != Offline || !strings.Contains(s.LastError, "not read within 30s") {
			t.Errorf("state %q, error %q, want offline with the deadline", s.State, s.LastError)
		}
	})
}

func TestEndReturnsPromptlyFromEverySituation(t *testing.T) {
	for name, set := range map[string]func(*fakeDevice, *fakeSink){
		"idle":            func(*fakeDevice, *fakeSink) {},
		"reading":         func(d *fakeDevice, _ *fakeSink) { d.delay = time.Minute },
		"backing off":     func(d *fakeDevice, _ *fakeSink) { d.err = errors.New("gone") },
		"paused":          func(_ *fakeDevice, s *fakeSink) { s.refuse = message.ErrFull },
		"disk is hanging": func(_ *fakeDevice, s *fakeSink) { s.sync = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				device, sink := &fakeDevice{}, &fakeSink{}
				set(device, sink)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(10*time.Second, cancel)
				started := time.Now()
				if err := newPoller(device, sink, time.Second).Run(ctx); err != nil {
					t.Errorf("Run returned %v", err)
				}
				if took := time.Since(started) - 10*time.Second; took < 0 || took > settleTime {
					t.Errorf("Run returned %v after its end, want at most %v", took, settleTime)
				}
				time.Sleep(2 * time.Hour) // lets the log's late acknowledgements arrive
			})
		})
	}
}

func TestStatusThatTheLogRefusedIsPublishedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{err: errors.New("gone")}, &fakeSink{refuse: message.ErrFull}
		start(t, newPoller(device, sink, time.Second))
		pass(time.Minute)
		sink.set(func(s *fakeSink) { s.refuse = nil })
		pass(time.Minute)
		told := sink.on(t, "status/g/press")
		if len(told) != 1 || told[0].State != Offline || told[0].Error != "gone" {
			t.Errorf("status %+v, want offline once with its error", told)
		}
	})
}

func TestStatusThatWasNotKeptIsPublishedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{lose: message.ErrFailed}
		start(t, newPoller(&fakeDevice{err: errors.New("gone")}, sink, time.Second))
		pass(time.Minute)
		sink.set(func(s *fakeSink) { s.lose = nil })
		pass(time.Minute)
		if got := sink.states(t); !slices.Equal(got, []string{Offline}) {
			t.Errorf("published states %v, want offline once", got)
		}
	})
}

func TestReadingThatCanNeverBePublishedIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{}, &fakeSink{refuse: message.ErrTooLarge}
		p := newPoller(device, sink, time.Second)
		start(t, p)
		pass(10 * time.Second)
		if s := p.State(); s.State != Degraded || s.Polls < 9 || s.LastError != message.ErrTooLarge.Error() {
			t.Errorf("state %+v, want degraded and polling on", s)
		}
	})
}

func TestStateMayBeReadWhilePolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := &fakeDevice{}, &fakeSink{}
		p := newPoller(device, sink, time.Millisecond)
		if s := p.State(); s.State != Starting {
			t.Errorf("state %q before Run, want starting", s.State)
		}
		start(t, p)
		for range 200 {
			time.Sleep(500 * time.Microsecond)
			s := p.State()
			for i := range s.Points {
				s.Points[i].Name = "mine"
			}
		}
		if s := p.State(); s.Points[0].Name != "count" {
			t.Errorf("points %+v: a caller's change reached the poller", s.Points)
		}
	})
}

func BenchmarkPoll(b *testing.B) {
	device := &fakeDevice{}
	w := newWork(newPoller(device, benchSink{}, time.Second))
	b.ReportAllocs()
	for b.Loop() {
		w.poll(b.Context(), w.scans[0])
		device.reads = device.reads[:0]
	}
}

// benchSink keeps nothing and acknowledges at once.
type benchSink struct{}

func (benchSink) Publish(_ context.Context, _ *message.Message, ack message.Acknowledger, token uint64) error {
	ack.Acknowledge(token, 1, nil)
	return nil
}

func (benchSink) Sequence(string) (epoch, last uint64, err error) { return 1, 0, nil }
