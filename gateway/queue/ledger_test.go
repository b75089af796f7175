package queue

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The clock of a ledger between two runs, for all that a wall clock may do.
func TestTheClockOfALedger(t *testing.T) {
	const hour = int64(3600_000)
	today := time.UnixMilli(knownWall + 24*365*hour)
	for name, c := range map[string]struct {
		savedWall int64
		opened    time.Time // at which the next run begins; an hour later the wall clock says:
		then      time.Time
		want      int64 // hours of the ledger's clock, which was 5
	}{
		"two hours off":                              {today.UnixMilli() - 2*hour, today, today.Add(time.Hour), 8},
		"the clock was set back meanwhile":           {today.UnixMilli() + 9*hour, today, today.Add(time.Hour), 6},
		"never set":                                  {1000 * hour, time.UnixMilli(1000 * hour), time.UnixMilli(1001 * hour), 6},
		"set for the first time while at work":       {1000 * hour, time.UnixMilli(1000 * hour), today, 6},
		"set for the first time before the start":    {1000 * hour, today, today.Add(time.Hour), 6},
		"without a battery, and set an hour later":   {today.UnixMilli() - 7*hour, time.UnixMilli(0), today, 12},
		"without a battery, and never set":           {today.UnixMilli() - 7*hour, time.UnixMilli(0), time.UnixMilli(hour), 6},
		"set again, forward, while at work":          {today.UnixMilli() - 2*hour, today, today.Add(100 * time.Hour), 8},
		"without a battery, and set to an older day": {today.UnixMilli(), time.UnixMilli(0), today.Add(-time.Hour), 6},
	} {
		// A time.UnixMilli has no monotonic part, so the start and the hour are given by hand.
		var k clock
		k.resume(5*hour, c.savedWall, c.opened)
		k.base += hour
		k.start = c.then
		k.set(c.then)
		if got := (k.at(c.then) + 1) / hour; got != c.want { // it rounds down
			t.Errorf("%s: the clock says %d hours, want %d", name, got, c.want)
		}
	}
}

func TestTheClockOfALedgerNeverRunsAhead(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	while := func() time.Duration { return time.Duration(random.Int64N(int64(5 * time.Millisecond))) }
	for range 1000 {
		start := time.Unix(0, knownWall*int64(time.Millisecond)).Add(while())
		now, k := start, clock{start: start}
		const restarts = 5
		for range restarts {
			now = now.Add(while())
			saved, wall := k.at(now), now.UnixMilli()
			now = now.Add(while())
			k.resume(saved, wall, now)
			if ahead := time.Duration(k.at(now))*time.Millisecond - now.Sub(start); ahead > 0 {
				t.Fatalf("after %v the clock is %v ahead", now.Sub(start), ahead)
			}
		}
		if behind := now.Sub(start) - time.Duration(k.at(now))*time.Millisecond; behind > 3*restarts*time.Millisecond {
			t.Fatalf("after %d restarts the clock is %v behind", restarts, behind)
		}
	}
}

func TestADeliverTimeIsTheSameWheneverItIsAskedFor(t *testing.T) {
	var c clock
	start := time.UnixMilli(knownWall + 1000)
	c.resume(1000, knownWall+500, start)
	due := c.of(knownWall+10000, start)
	if due != 10499 { // 1000, and less than 500 between the runs, at the start
		t.Errorf("due at %d, want 10499", due)
	}
	c.base++ // the milliseconds of two clocks do not change at the same moment
	if again := c.of(knownWall+10000, start); again != due {
		t.Errorf("then at %d, want %d", again, due)
	}
	c.base += 5000
	if again := c.of(knownWall+10000, start); again != due+5001 {
		t.Errorf("with a clock that was set: at %d, want %d", again, due+5001)
	}
}

func FuzzMark(f *testing.F) {
	for _, m := range []mark{{}, {clock: 5, done: []uint64{0, 1, 300}}, {done: []uint64{7}, checks: []checks{{0, 1}, {9, 15}}}} {
		f.Add(m.append(nil))
	}
	f.Add([]byte{1, 0, 2, 5, 0, 0})
	f.Add([]byte{1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := readMark(in)
		if err != nil {
			return
		}
		if again, err := readMark(m.append(nil)); err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%x is %+v, and again %+v, %v", in, m, again, err)
		}
		for i := 1; i < len(m.done); i++ {
			if m.done[i] <= m.done[i-1] {
				t.Errorf("%x is %+v: its offsets do not grow", in, m)
			}
		}
	})
}

func FuzzNote(f *testing.F) {
	f.Add(note{due: 5, clock: 4, since: 3, order: 2, origin: 1}.String())
	f.Add("1 2 3 4 5")
	f.Add("1 2 3 4 5 6 ")
	f.Add("-1 0 0 0 0 0")
	f.Fuzz(func(t *testing.T, in string) {
		n, ok := readNote(in)
		if !ok {
			return
		}
		if again, ok := readNote(n.String()); !ok || again != n {
			t.Errorf("%q is %+v, and again %+v", in, n, again)
		}
	})
}

func TestADelayIsTakenFromTheProperties(t *testing.T) {
	const now = 1_700_000_000_300
	for in, want := range map[string]string{
		"DELAY=3":                              "10s 0",
		"DELAY=3 TIMER_DELAY_SEC=9999999":      "10s 0",
		"DELAY=19":                             "2h0m0s 0",
		"DELAY=-1":                             "none",
		"DELAY=x TIMER_DELAY_MS=1":             "0s 1700000001000",
		"TIMER_DELAY_SEC=1 TIMER_DELAY_MS=99":  "0s 1700000002000",
		"TIMER_DELAY_MS=700":                   "0s 1700000001000",
		"TIMER_DELAY_MS=701":                   "0s 1700000002000",
		"TIMER_DELIVER_MS=1700000001000":       "0s 1700000001000",
		"TIMER_DELIVER_MS=1700000000300":       "none",
		"TIMER_DELIVER_MS=-9":                  "none",
		"TIMER_DELAY_SEC=-9223372036854775":    "none",
		"TIMER_DELAY_SEC=5 TIMER_OUT_MS=1":     "none",
		"TIMER_DELAY_SEC=259200":               "0s 1700259201000",
		"TIMER_DELAY_SEC=259201":               "refused",
		"TIMER_DELAY_SEC=9223372036854775807":  "refused",
		"TIMER_DELAY_MS=5 TIMER_DEL_UNIQKEY=a": "refused",
	} {
		var m Message
		for field := range strings.FieldsSeq(in) {
			name, value, _ := strings.Cut(field, "=")
			m.Set(name, value)
		}
		got := "none"
		if d, ok, err := m.takeDelay(now); err != nil {
			got = "refused"
		} else if ok {
			got = fmt.Sprint(d.after, " ", d.until)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
