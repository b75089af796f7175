package rules

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/message"
)

func limit(f float64) *float64 { return &f }

func above(name string, at float64) config.Alarm {
	return config.Alarm{Name: name, Device: "press", Point: "t", When: "above", Limit: limit(at), Severity: "critical", Enabled: true}
}

// run runs an engine over the log until the function that it gives is called, which waits for its end.
func run(t testing.TB, l *fakeLog, alarms ...config.Alarm) (*Engine, func()) {
	t.Helper()
	e := New(Options{Gateway: "g", Alarms: alarms, Devices: []string{"press", "oven"}, Open: l.Open, To: l, Keep: l})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := e.Run(ctx); err != nil && !errors.Is(err, errKilled) {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait() // a new engine begins with what comes next
	return e, func() { cancel(); running.Wait() }
}

func told(events []Event) string {
	var list []string
	for _, e := range events {
		list = append(list, fmt.Sprintf("%s %s %s", e.State, e.Alarm, strings.TrimSuffix(e.Device+" "+e.Point, " ")))
	}
	return strings.Join(list, ", ")
}

func wantTold(t *testing.T, l *fakeLog, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := told(l.events(t)); got != strings.Join(want, ", ") {
		t.Errorf("the log tells %q, want %q", got, strings.Join(want, ", "))
	}
}

func TestAnAlarmIsRaisedAndEndsByItsHysteresis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		hot := above("hot", 80)
		hot.Hysteresis, hot.Text = 5, "{device}/{point} is at {value}"
		e, stop := run(t, l, hot)
		defer stop()
		for _, value := range []string{"79", "81.5", "90", "76", "75.5"} {
			l.reading("press", `"t":`+value)
			time.Sleep(time.Second)
		}
		wantTold(t, l, "raised hot press t")
		if got := e.Active(); len(got) != 1 || got[0].Text != "press/t is at 81.5" || got[0].Severity != "critical" {
			t.Errorf("raised is %+v", got)
		}
		first := l.events(t)[0]
		if string(first.Value) != "81.5" || first.Text != "press/t is at 81.5" || first.Since != first.Time {
			t.Errorf("the event is %+v", first)
		}
		l.reading("press", `"t":75`)
		wantTold(t, l, "raised hot press t", "cleared hot press t")
		if len(e.Active()) != 0 || l.events(t)[1].ID != first.ID {
			t.Error("it goes on, or has ended under another identifier")
		}
	})
}

func TestDelaysGoOnWhenNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		hot := above("hot", 80)
		hot.For, hot.ClearAfter = config.Duration(10*time.Second), config.Duration(5*time.Second)
		_, stop := run(t, l, hot)
		defer stop()
		l.reading("press", `"t":81`)
		time.Sleep(9 * time.Second)
		l.reading("press", `"t":79`) // it was no alarm yet
		time.Sleep(time.Minute)
		wantTold(t, l)
		l.reading("press", `"t":81`)
		time.Sleep(10*time.Second + patience - time.Millisecond)
		wantTold(t, l)
		time.Sleep(10 * time.Millisecond)
		wantTold(t, l, "raised hot press t")
		if e := l.events(t)[0]; e.Time-e.Since != 10_000 {
			t.Errorf("it was raised %d ms after it began", e.Time-e.Since)
		}
		l.reading("press", `"t":70`)
		time.Sleep(4 * time.Second)
		l.reading("press", `"t":90`)
		time.Sleep(time.Minute)
		wantTold(t, l, "raised hot press t")
		l.reading("press", `"t":70`)
		time.Sleep(7 * time.Second)
		wantTold(t, l, "raised hot press t", "cleared hot press t")
	})
}

func TestWhatIsNoValueNeitherRaisesNorEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		_, stop := run(t, l, above("hot", 80))
		defer stop()
		now := time.Now().UnixMilli()
		for _, payload := range []string{
			`{"ts":%d,"values":{"t":99},"errors":{"t":"held: no answer"}}`, `{"ts":%d,"values":{"t":null}}`, `{"ts":%d,"values":{"t":"99"}}`,
			`{"ts":%d,"errors":{"t":"no answer"}}`, `{"ts":%d,"values":{"t":{"t":99}}}`, `{"ts":%d,"values":{"t":99}`, `null`, `[]`, ``,
		} {
			if strings.Contains(payload, "%d") {
				payload = fmt.Sprintf(payload, now)
			}
			l.append(message.Message{Topic: "readings/g/press", Payload: []byte(payload)})
		}
		wantTold(t, l)
		l.reading("press", `"t":81`)
		l.append(message.Message{Topic: "readings/g/press", Payload: []byte(`{"values":{"t":1},"errors":{"t":"held"}}`)})
		wantTold(t, l, "raised hot press t")
	})
}

func TestEachKindOfRule(t *testing.T) {
	rule := func(when string, change func(*config.Alarm)) config.Alarm {
		a := config.Alarm{Name: when, Device: "press", Point: "t", When: when, Enabled: true, Severity: "info", Per: config.Duration(10 * time.Second)}
		change(&a)
		return a
	}
	for _, c := range []struct {
		rule   config.Alarm
		values string // a second apart
		want   string // r raised, c cleared behind which value
	}{
		{rule("below", func(a *config.Alarm) { a.Limit = limit(5) }), "5 4.9 5", "1r 2c"},
		{rule("outside", func(a *config.Alarm) { a.Low, a.High, a.Hysteresis = limit(0), limit(10), 1 }), "0 -1 0.5 1 11 9.5 9", "1r 3c 4r 6c"},
		{rule("equals", func(a *config.Alarm) { a.Value = int64(3) }), "1 3 3 4", "1r 3c"},
		{rule("equals", func(a *config.Alarm) { a.Value = "fault" }), `"ok" "fault" "ok"`, "1r 2c"},
		{rule("equals", func(a *config.Alarm) { a.Value = true }), "false true false", "1r 2c"},
		{rule("changes", func(a *config.Alarm) { a.ClearAfter = config.Duration(3 * time.Second) }), `"a" "a" "b" "b" "b" "b" "b"`, "2r 5c"},
		{rule("rate", func(a *config.Alarm) { a.Limit = limit(5) }), "0 1 2 3 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9", "4r 20c"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLog()
			_, stop := run(t, l, c.rule)
			defer stop()
			var got []string
			for i, value := range strings.Fields(c.values) {
				before := len(l.events(t))
				l.reading("press", `"t":`+value)
				time.Sleep(time.Second)
				synctest.Wait()
				for _, e := range l.events(t)[before:] {
					got = append(got, fmt.Sprintf("%d%c", i, e.State[0]))
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s of %s: got %q, want %q", c.rule.When, c.values, got, c.want)
			}
		})
	}
}

func TestSilenceIsOfTheGatewaysOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		quiet := config.Alarm{Name: "quiet", Device: "*", When: "silence", For: config.Duration(time.Minute), Severity: "warning", Enabled: true}
		_, stop := run(t, l, quiet)
		for range 10 {
			l.reading("press", `"t":1`)
			time.Sleep(10 * time.Second)
		}
		wantTold(t, l, "raised quiet oven")
		stop()
		time.Sleep(time.Hour) // the gateway is off: nobody listens
		_, stop = run(t, l, quiet)
		defer stop()
		time.Sleep(40 * time.Second)
		wantTold(t, l, "raised quiet oven")
		time.Sleep(40 * time.Second)
		wantTold(t, l, "raised quiet oven", "raised quiet press")
		l.reading("oven", `"t":1`)
		wantTold(t, l, "raised quiet oven", "raised quiet press", "cleared quiet oven")
	})
}

func TestADevicesStateIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		gone := config.Alarm{Name: "gone", Device: "*", When: "state", Severity: "critical", Enabled: true}
		e, stop := run(t, l, gone)
		defer stop()
		say := func(device, state string) {
			l.append(message.Message{Topic: "status/g/" + device, Payload: fmt.Appendf(nil, `{"gateway":"g","device":%q,"state":%q,"ts":1}`, device, state)})
		}
		say("press", "online")
		say("oven", "offline")
		wantTold(t, l, "raised gone oven")
		if got := e.Active()[0].Text; got != "oven is offline" {
			t.Errorf("the text is %q", got)
		}
		say("oven", "degraded")
		wantTold(t, l, "raised gone oven", "cleared gone oven")
	})
}

func TestEveryPointIsWatchedForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		any := above("any", 10)
		any.Device, any.Point = "*", "*"
		e, stop := run(t, l, any, above("hot", 80))
		defer stop()
		l.reading("press", `"t":90,"u":5`)
		l.reading("stray", `"\u0075":11`)
		synctest.Wait()
		if got := e.Count(); got.Severity["critical"] != 3 || got.Open != 3 {
			t.Errorf("counted %+v in %q", got, told(l.events(t)))
		}
	})
}

func TestAnAcknowledgementIsDurableAndPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		e, stop := run(t, l, above("hot", 80))
		l.reading("press", `"t":81`)
		synctest.Wait()
		id := e.Active()[0].ID
		got, err := e.Acknowledge(t.Context(), id, "li", "on my way")
		if err != nil || got.Acked == nil || got.Acked.By != "li" {
			t.Fatalf("acknowledged: %+v, %v", got, err)
		}
		if _, err := e.Acknowledge(t.Context(), "nobody", "li", ""); !errors.Is(err, ErrUnknown) {
			t.Errorf("acknowledging what is not there: %v", err)
		}
		wantTold(t, l, "raised hot press t", "acknowledged hot press t")
		l.mu.Lock()
		l.dead = true // a kill, before anything was saved
		l.mu.Unlock()
		stop()
		l.mu.Lock()
		l.dead, l.shelf = false, nil
		l.mu.Unlock()
		e, stop = run(t, l, above("hot", 80))
		defer stop()
		synctest.Wait()
		if after := e.Active(); len(after) != 1 || after[0].Acked == nil || after[0].Acked.Note != "on my way" || after[0].ID != id {
			t.Errorf("after a kill there is %+v", after)
		}
		wantTold(t, l, "raised hot press t", "acknowledged hot press t")
	})
}

func TestAnAlarmOfARuleThatIsGoneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		_, stop := run(t, l, above("hot", 80), above("hotter", 85))
		l.reading("press", `"t":90`)
		synctest.Wait()
		stop()
		_, stop = run(t, l, above("hotter", 85))
		wantTold(t, l, "raised hot press t", "raised hotter press t", "cleared hot press t")
		stop()
		_, stop = run(t, l)
		wantTold(t, l, "raised hot press t", "raised hotter press t", "cleared hot press t", "cleared hotter press t")
		stop()
		if l.shelf != nil || l.place != 4+1 {
			t.Errorf("without rules %q is kept and the place is %d", l.shelf, l.place)
		}
	})
}

func TestNobodyElseTellsTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		e, stop := run(t, l, above("hot", 80))
		defer stop()
		l.reading("press", `"t":90`)
		synctest.Wait()
		forged := l.events(t)[0]
		forged.State, forged.By = Acknowledged, "nobody"
		m := forged.Message()
		m.Client = "panel"
		l.append(*m)
		m.Client, m.Properties = "", nil
		l.append(*m)
		synctest.Wait()
		if e.Active()[0].Acked != nil {
			t.Error("a client's message has acknowledged an alarm")
		}
	})
}

// TestKillsChangeNothing feeds random readings to engines that are killed again and again, and compares what
// the log tells at the end with a plain model that was never killed.
func TestKillsChangeNothing(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			rules := []config.Alarm{above("hot", 80), above("late", 70), above("long", 60)}
			rules[0].Hysteresis = 10
			rules[1].For = config.Duration(30 * time.Second)
			rules[2].For, rules[2].ClearAfter = config.Duration(5*time.Second), config.Duration(20*time.Second)
			all := config.Alarm{Name: "all", Device: "*", Point: "*", When: "outside", Low: limit(5), High: limit(95), Severity: "info", Enabled: true}
			changed := config.Alarm{Name: "changed", Device: "oven", Point: "t", When: "changes", ClearAfter: config.Duration(8 * time.Second), Severity: "info", Enabled: true}
			rules = append(rules, all, changed)

			l := newLog()
			var model []string
			plain := newCore("g", rules)
			_, stop := run(t, l, rules...)
			for range 300 {
				if r.IntN(6) == 0 {
					stop()
					l.mu.Lock()
					l.dead, l.budget = false, r.IntN(8)
					l.mu.Unlock()
					_, stop = run(t, l, rules...)
				}
				device := []string{"press", "oven"}[r.IntN(2)]
				values := fmt.Sprintf(`"t":%d`, r.IntN(10)*11)
				l.reading(device, values)
				l.mu.Lock()
				last := l.records[len(l.records)-1]
				if p := l.records[len(l.records)-1]; p.Topic != "readings/g/"+device {
					last = l.records[slices.IndexFunc(l.records, func(x message.Record) bool { return x.Time == p.Time && x.Topic == "readings/g/"+device })]
				}
				l.mu.Unlock()
				plain.position = last.Position
				plain.advance(last.Time - patience.Milliseconds() - 1)
				plain.take(device, last.Payload, last.Time)
				time.Sleep(time.Duration(1+r.IntN(9000)) * time.Millisecond)
			}
			stop()
			l.mu.Lock()
			l.dead, l.budget = false, 0
			l.mu.Unlock()
			var e *Engine
			e, stop = run(t, l, rules...)
			time.Sleep(time.Minute)
			synctest.Wait()
			plain.advance(time.Now().UnixMilli() - patience.Milliseconds())
			for _, event := range plain.out {
				model = append(model, fmt.Sprint(event.Alarm, event.Device, event.State, event.Since, event.Time))
			}
			var got []string
			for _, event := range l.events(t) {
				got = append(got, fmt.Sprint(event.Alarm, event.Device, event.State, event.Since, event.Time))
			}
			stop()
			slices.Sort(model)
			slices.Sort(got)
			if !slices.Equal(got, model) {
				t.Errorf("seed %d: the log tells\n%s\nthe model\n%s", seed, strings.Join(got, "\n"), strings.Join(model, "\n"))
			}
			if len(e.core.open) != len(plain.open) {
				t.Errorf("seed %d: %d are raised, the model has %d", seed, len(e.core.open), len(plain.open))
			}
		})
		if t.Failed() {
			return
		}
	}
}
