package collectors

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

// logger reports what the test says, and notes which reports were taken.
type logger struct {
	panel
	say   chan message.Reading
	taken chan error
	fail  error
}

func newLogger() *logger {
	return &logger{panel: *newPanel(), say: make(chan message.Reading), taken: make(chan error, 100)}
}

func (l *logger) Report(ctx context.Context, take func(context.Context, *message.Reading) error) error {
	l.mu.Lock()
	fail := l.fail
	l.mu.Unlock()
	if fail != nil {
		return fail
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-l.say:
			l.taken <- take(ctx, &r)
		}
	}
}

func told(at int64, v float64) message.Reading {
	return message.Reading{Time: at, Points: []message.Point{{Name: "cod", Value: message.Float64(v)}}}
}

func TestWhatIsReportedIsTakenOnceItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := newLogger(), &fakeSink{sync: 300 * time.Millisecond}
		p := newPoller(device, sink, time.Minute)
		start(t, p)
		pass(time.Second)
		device.say <- told(1234, 30)
		pass(299 * time.Millisecond)
		if n := len(device.taken); n != 0 {
			t.Fatalf("%d reports acknowledged before their sync", n)
		}
		pass(time.Millisecond)
		if err := <-device.taken; err != nil {
			t.Errorf("take said %v", err)
		}
		device.say <- told(5678, 31)
		pass(time.Second)
		readings := sink.readings(t)
		if len(readings) != 2 || readings[0].TS != 1234 || readings[1].Values["cod"] != 31.0 {
			t.Errorf("readings %+v, want two with the times that the device told", readings)
		}
		checkSequence(t, readings, 1)
		if s := p.State(); s.State != Online || len(s.Points) != 1 || s.Points[0].Name != "cod" {
			t.Errorf("state %+v, want online with the point that was told", s)
		}
	})
}

func TestAReportThatTheLogLosesIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := newLogger(), &fakeSink{sync: time.Millisecond, lose: message.ErrFailed}
		start(t, newPoller(device, sink, time.Minute))
		device.say <- told(1, 30)
		pass(time.Second)
		if err := <-device.taken; !errors.Is(err, message.ErrFailed) {
			t.Errorf("take said %v, want %v", err, message.ErrFailed)
		}
		sink.set(func(s *fakeSink) { s.lose = nil })
		device.say <- told(1, 30)
		pass(time.Second)
		if err := <-device.taken; err != nil {
			t.Errorf("take said %v when the log works again", err)
		}
		if readings := sink.readings(t); len(readings) != 1 || readings[0].Seq != 1 {
			t.Errorf("readings %+v, want one with number 1", readings)
		}
	})
}

func TestSilenceOfADeviceThatSpeaksUnaskedIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := newLogger(), &fakeSink{}
		p := newPoller(device, sink, time.Minute)
		start(t, p)
		device.say <- told(1, 30)
		pass(quietIntervals*time.Minute - time.Second)
		if s := p.State(); s.State != Online {
			t.Errorf("%s before the silence is long enough", s.State)
		}
		pass(2 * time.Second)
		if s := p.State(); s.State != Offline || s.LastError != "nothing was heard for 3m0s" {
			t.Errorf("state %+v, want offline and why", s)
		}
		device.say <- told(2, 31)
		pass(time.Second)
		if got := sink.states(t); !slices.Equal(got, []string{Online, Offline, Online}) {
			t.Errorf("published states %v", got)
		}
	})
}

func TestReportThatFailsBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := newLogger(), &fakeSink{}
		device.fail = errors.New("listen on :9212: address already in use")
		p := newPoller(device, sink, time.Minute)
		start(t, p)
		pass(time.Minute)
		if s := p.State(); s.State != Offline || s.LastError != device.fail.Error() {
			t.Errorf("state %+v, want offline and why", s)
		}
		device.mu.Lock()
		device.fail = nil
		device.mu.Unlock()
		pass(2 * time.Minute)
		device.say <- told(1, 30)
		pass(time.Second)
		if s := p.State(); s.State != Online {
			t.Errorf("state %+v after the second try", s)
		}
	})
}
