package bridge

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

func TestHoursAreReadAndPassOverMidnight(t *testing.T) {
	night, err := ParseHours("22:00-06:00")
	if err != nil {
		t.Fatal(err)
	}
	day, err := ParseHours("08:30 - 17:00")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		clock      string
		night, day bool
	}{{"21:59", false, false}, {"22:00", true, false}, {"00:00", true, false}, {"05:59", true, false},
		{"06:00", false, false}, {"08:29", false, false}, {"08:30", false, true}, {"17:00", false, false}} {
		at, _ := time.Parse("15:04", c.clock)
		if night.include(at) != c.night || day.include(at) != c.day {
			t.Errorf("%s: night %v, day %v", c.clock, night.include(at), day.include(at))
		}
	}
	for _, bad := range []string{"", "22:00", "25:00-06:00", "a-b", "22:00-06:00-07:00"} {
		if h, err := ParseHours(bad); err == nil {
			t.Errorf("%q is read as %v", bad, h)
		}
	}
}

func TestCapsHold(t *testing.T) {
	for name, c := range map[string]struct {
		limits Limits
		want   int // messages in the 20 s
	}{
		"messages": {Limits{Messages: 50}, 1000},
		"bytes":    {Limits{Bytes: 240}, 200}, // a topic of 21 bytes and a payload of 3
		"hours":    {Limits{Hours: []Hours{{From: 0, To: 1}}}, 5000},
		"closed":   {Limits{Hours: []Hours{{From: 12 * 60, To: 13 * 60}}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it begins at midnight, UTC
				time.Local = time.UTC
				source := newSource(t, "readings/line-3/press", 100, 0, 0)
				for i := range 5000 {
					source.add("readings/line-3/press", message.Position(100+i))
				}
				cloud := &fakeCloud{}
				f := forwarder(cloud, 100, source)
				f.Limits = c.limits
				start(t, f)
				time.Sleep(20 * time.Second)
				synctest.Wait()
				if got := len(cloud.messages()); got < c.want*95/100 || got > c.want*105/100+1 {
					t.Errorf("%d messages went up within 20 s, want about %d", got, c.want)
				}
			})
		})
	}
}

// liveSource is a fakeSource that counts its beginnings.
type liveSource struct {
	*fakeSource
	begun int
}

func (s *liveSource) Begin() { s.begun++ }

func TestWhatIsNewGoesBesideTheBackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := newSource(t, "readings/line-3/press", 1, 1, 2000)
		live := &liveSource{fakeSource: newSource(t, "readings/line-3/press", 5000, 0, 0)}
		cloud := &fakeCloud{latency: 100 * time.Millisecond}
		f := forwarder(cloud, 10, old)
		f.Routes[0].Live = live
		f.Routes[0].To = "{lane}/{device}"
		f.Backfill = Limits{Messages: 20}
		start(t, f)
		for i := range 300 {
			time.Sleep(100 * time.Millisecond)
			live.add("readings/line-3/press", message.Position(5000+i))
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if behind := 5299 - live.Acked(); behind > 2 {
			t.Errorf("what is new is %d messages late", behind)
		}
		if got := int(old.Acked()); got < 550 || got > 650 {
			t.Errorf("%d messages filled in behind in 30 s, want about 600: 20 a second", got)
		}
		for _, m := range cloud.messages() {
			if want := map[bool]string{true: "live/press", false: "backfill/press"}[m.at >= 5000]; m.topic != want {
				t.Fatalf("message %d went to %s, want %s", m.at, m.topic, want)
			}
		}
		cloud.lose(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if live.begun != 2 {
			t.Errorf("the live lane began %d times on two connections", live.begun)
		}
	})
}

func TestWhatACloudBroughtDoesNotGoBackToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "a", 1, 1, 3)
		source.records[0].Properties = []message.Property{{Name: message.FromUplink, Value: "cloud"}}
		source.records[1].Properties = []message.Property{{Name: message.FromUplink, Value: "another"}}
		cloud := &fakeCloud{}
		start(t, forwarder(cloud, 10, source))
		time.Sleep(time.Second)
		synctest.Wait()
		if got := positions(cloud.messages()); !slices.Equal(got, []message.Position{2, 3}) || source.Acked() != 3 {
			t.Errorf("sent %v and acknowledged up to %d, want 2 and 3, and 3", got, source.Acked())
		}
	})
}

func TestRoutesOfHigherPriorityGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		low := newSource(t, "readings/line-3/press", 1, 1, 1000)
		high := newSource(t, "alarms/line-3/press", 5000, 1, 1000)
		cloud := &fakeCloud{latency: 100 * time.Millisecond}
		f := forwarder(cloud, 10, low, high)
		f.Routes[1].Priority = 1
		start(t, f)
		time.Sleep(8 * time.Second)
		synctest.Wait()
		h, l := int(high.Acked())-4999, int(low.Acked())
		if h < 650 || l < 40 || l > 120 {
			t.Errorf("8 s brought %d of the higher and %d of the lower, want nearly all slots for the higher, and the lower not starved", h, l)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if high.Acked() != 5999 || low.Acked() != 1000 {
			t.Errorf("in the end %d and %d", high.Acked(), low.Acked())
		}
		var order []message.Position
		for _, m := range cloud.messages() {
			if m.at < 5000 {
				order = append(order, m.at)
			}
		}
		if !slices.IsSorted(order) {
			t.Error("the lower route is out of order")
		}
	})
}

func TestHoursSayWhenTheyOpen(t *testing.T) {
	hours := func(texts ...string) (l Limits) {
		for _, text := range texts {
			h, err := ParseHours(text)
			if err != nil {
				t.Fatal(err)
			}
			l.Hours = append(l.Hours, h)
		}
		return l
	}
	for _, c := range []struct {
		limits   Limits
		at, want string
	}{
		{Limits{}, "2026-11-23 12:00", "2026-11-23 12:00"},
		{hours("22:00-06:00"), "2026-11-23 12:00", "2026-11-23 22:00"},
		{hours("22:00-06:00"), "2026-11-23 23:10", "2026-11-23 23:10"},
		{hours("08:00-09:00"), "2026-12-31 12:00", "2027-01-01 08:00"},
		{hours("22:00-06:00", "12:30-13:00"), "2026-11-23 12:00", "2026-11-23 12:30"},
		{hours("12:30-13:00", "09:00-10:00"), "2026-11-23 13:00", "2026-11-24 09:00"},
	} {
		at, _ := time.Parse("2006-01-02 15:04", c.at)
		if got := c.limits.OpensAt(at).Format("2006-01-02 15:04"); got != c.want {
			t.Errorf("%v at %s open at %s, want %s", c.limits.Hours, c.at, got, c.want)
		}
	}
}

func TestWhatAnotherCloudDidNotWantStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "a", 1, 1, 3)
		source.records[0].Properties = []message.Property{{Name: message.OnlyUplink, Value: "cloud"}}
		source.records[1].Properties = []message.Property{{Name: message.OnlyUplink, Value: "another"}}
		cloud := &fakeCloud{}
		start(t, forwarder(cloud, 10, source))
		time.Sleep(time.Second)
		synctest.Wait()
		if got := positions(cloud.messages()); !slices.Equal(got, []message.Position{1, 3}) || source.Acked() != 3 {
			t.Errorf("sent %v and acknowledged up to %d, want 1 and 3, and 3", got, source.Acked())
		}
	})
}
