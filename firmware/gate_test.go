package firmware

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pass lets time pass, and what is due then be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAHealthySystemIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(t)
		w.marks = nil
		p := w.begin()
		pass(4*time.Minute + 50*time.Second)
		s := p.State()
		if s.Trial == nil || len(w.marked()) > 0 || len(s.Trial.Checks) != 6 {
			t.Fatalf("before five minutes have passed: trial %+v, marks %q", s.Trial, w.marked())
		}
		for _, c := range s.Trial.Checks[:5] {
			if c.State != "good" {
				t.Errorf("check %+v, want good", c)
			}
		}
		if stable := s.Trial.Checks[5]; stable.State != "waiting" || stable.Said == "" {
			t.Errorf("check %+v, want waiting and since when", stable)
		}
		pass(20 * time.Second)
		if s = p.State(); s.Trial != nil || !slices.Equal(w.marked(), []string{"rootfs.1"}) {
			t.Errorf("after five minutes: trial %+v, marks %q", s.Trial, w.marked())
		}
		if got, want := kinds(s.History), []string{"kept", "installed", "restarting", "kept"}; !slices.Equal(got, want) {
			t.Errorf("history %q, want %q", got, want)
		}
		p.stop()
		if left, _ := filepath.Glob(filepath.Join(w.dir, "firmware", "*")); len(left) != 1 {
			t.Errorf("left behind: %q", left)
		}
	})
}

func TestAProvenSystemIsMarkedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.begin()
		pass(6 * time.Minute)
		p.stop()
		w.reason = map[string]error{"log": errors.New("the disk is gone")}
		for range 5 { // brown-outs that follow fast, and are nobody's fault
			w.start()
			p := w.begin()
			pass(5 * time.Second)
			if w.running != 0 || w.tried(0) != 0 || p.State().Trial != nil {
				t.Fatalf("slot %d runs after %d tries, trial %+v", w.running, w.tried(0), p.State().Trial)
			}
			p.stop()
		}
		if w.restarts != 0 {
			t.Error("a proven system was given up")
		}
	})
}

func TestEachCheckIsNeeded(t *testing.T) {
	broken := errors.New("it is broken")
	for name, spoil := range map[string]func(*world){
		"log":           func(w *world) { w.reason = map[string]error{"log": broken} },
		"configuration": func(w *world) { w.reason = map[string]error{"configuration": broken} },
		"listeners":     func(w *world) { w.reason = map[string]error{"listeners": broken} },
		"uplinks":       func(w *world) { w.uplinks["cloud"] = broken },
		"updater":       func(w *world) { w.modules = broken },
		"inspect":       func(w *world) { w.inspect = broken },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.update(t)
				w.marks = nil
				spoil(w)
				p := w.begin()
				pass(29 * time.Minute)
				if w.asked() || p.State().Trial == nil {
					p.stop()
					t.Fatal("it was judged before its time")
				}
				pass(time.Minute + 15*time.Second)
				if !w.asked() || len(w.marked()) > 0 {
					p.stop()
					t.Fatalf("reboot %v, marks %q; want the other slot", w.asked(), w.marked())
				}
				p.stop()
				w.start()
				if w.running != 0 {
					t.Fatalf("slot %d runs", w.running)
				}
				p = w.begin()
				pass(time.Minute)
				s := p.State()
				if got, want := kinds(s.History), []string{"kept", "installed", "restarting", "failed", "fell-back"}; !slices.Equal(got, want) {
					t.Errorf("history %q, want %q", got, want)
				}
				if e := s.History[0]; !strings.Contains(e.Text, "it is broken") || e.Slot != "B" || e.Version != "2" {
					t.Errorf("the last event is %+v, want the reason", e)
				}
				if !slices.Equal(w.marked(), []string{"rootfs.0"}) || s.Trial != nil || s.Waiting != nil {
					t.Errorf("marks %q, trial %+v, waiting %+v", w.marked(), s.Trial, s.Waiting)
				}
				p.stop()
			})
		})
	}
}

func TestAnUplinkThatWasDownMayStayDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.uplinks["cloud"] = errors.New("the line is cut")
		w.update(t)
		p := w.begin()
		defer p.stop()
		pass(6 * time.Minute)
		if s := p.State(); s.Trial != nil {
			t.Errorf("trial %+v, want it over", s.Trial)
		}
	})
}

func TestAnUplinkMayFlicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(t)
		p := w.begin()
		defer p.stop()
		away := func(during time.Duration) {
			w.set(func() { w.uplinks["cloud"] = errors.New("no signal") })
			pass(during)
			w.set(func() { w.uplinks["cloud"] = nil })
		}
		pass(2 * time.Minute)
		away(40 * time.Second)
		pass(2*time.Minute + 30*time.Second)
		if p.State().Trial != nil {
			t.Fatal("a short absence counted")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(t)
		p := w.begin()
		defer p.stop()
		pass(4 * time.Minute)
		w.set(func() { w.uplinks["cloud"] = errors.New("no signal") })
		pass(2 * time.Minute)
		w.set(func() { w.uplinks["cloud"] = nil })
		pass(4*time.Minute + 30*time.Second)
		if p.State().Trial == nil {
			t.Fatal("the five minutes did not begin anew after a long absence")
		}
		pass(time.Minute)
		if p.State().Trial != nil {
			t.Error("it is not kept although all is well again")
		}
	})
}

func TestCrashesEndATrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(t)
		for i := range mostCrashes {
			w.open() // and is gone
			pass(time.Second)
			if w.asked() {
				t.Fatalf("given up after %d crashes", i+1)
			}
		}
		p := w.begin()
		pass(11 * time.Second)
		if !w.asked() {
			t.Error("not given up")
		}
		p.stop()
		w.start()
		p = w.begin()
		pass(time.Second)
		if e := p.State().History[0]; e.Kind != "fell-back" || !strings.Contains(e.Text, "ended unexpectedly 3 times") {
			t.Errorf("the last event is %+v", e)
		}
		p.stop()
	})
}

func TestRestartsInOrderAreNoCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(t)
		for range 6 {
			p := w.begin()
			pass(4 * time.Minute)
			p.stop()
		}
		if w.asked() {
			t.Error("somebody who changes a setting is taken for a crash")
		}
		p := w.begin()
		defer p.stop()
		pass(4*time.Minute + 50*time.Second)
		if p.State().Trial == nil {
			t.Error("a restart did not begin the five minutes anew")
		}
		pass(time.Minute)
		if p.State().Trial != nil {
			t.Error("it is not kept")
		}
	})
}

func TestAGatewayThatDoesNotStartIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(t)
		for i := range mostCrashes + 1 {
			if w.asked() {
				t.Fatalf("given up after %d starts", i)
			}
			w.open().Unfit(context.Background(), errors.New("uplinks: a key that is not known"))
			pass(time.Second)
		}
		if !w.asked() {
			t.Fatal("not given up")
		}
		w.start()
		p := w.begin()
		pass(time.Second)
		if e := p.State().History[0]; w.running != 0 || e.Kind != "fell-back" || !strings.Contains(e.Text, "a key that is not known") {
			t.Errorf("slot %d runs, the last event is %+v", w.running, e)
		}
		p.stop()
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.begin()
		pass(6 * time.Minute)
		p.stop()
		for range 20 { // somebody wrote nonsense into the configuration of a proven system
			w.open().Unfit(context.Background(), errors.New("line 3: no YAML"))
		}
		if w.asked() {
			t.Error("a proven system was given up")
		}
	})
}

func TestWithoutAnotherGoodSlotItStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(t)
		w.set(func() {
			w.tries[0] = 3
			w.reason = map[string]error{"listeners": errors.New("nobody listens")}
		})
		p := w.begin()
		defer p.stop()
		pass(2 * time.Hour)
		s := p.State()
		if w.restarts != 1 { // the one into the update
			t.Error("it was restarted although there is nothing to fall back to")
		}
		if s.Trial == nil || !strings.Contains(s.Trial.Failed, "nobody listens") || s.Trial.Checks[2].State != "bad" {
			t.Errorf("trial %+v, want it failed", s.Trial)
		}
		if n := len(slices.DeleteFunc(kinds(s.History), func(k string) bool { return k != "failed" })); n != 1 {
			t.Errorf("it was told %d times", n)
		}
		w.set(func() { w.reason = nil })
		pass(6 * time.Minute)
		if p.State().Trial != nil || w.tried(1) != 0 {
			t.Error("a system that is well after all is not kept")
		}
	})
}

func TestAnUpdateThatBreaksTheUpdaterFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(t)
		for boot := range 3 { // RAUC cannot choose the other slot: the boot loader's tries do
			w.set(func() { w.absent = true })
			p := w.begin()
			pass(31 * time.Minute)
			if !w.asked() {
				t.Fatalf("start %d was not given up", boot+1)
			}
			p.stop()
			w.start()
		}
		w.set(func() { w.absent = false })
		p := w.begin()
		pass(time.Minute)
		if e := p.State().History[0]; w.running != 0 || e.Kind != "fell-back" || !strings.Contains(e.Text, "no RAUC") {
			t.Errorf("slot %d runs, the last event is %+v", w.running, e)
		}
		p.stop()
	})
}

func TestAMachineThatDoesNotRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(t)
		w.set(func() {
			w.stuck = errors.New("no logind")
			w.reason = map[string]error{"listeners": errors.New("nobody listens")}
		})
		p := w.begin()
		defer p.stop()
		before := len(p.State().History)
		if err := p.Restart(context.Background(), w, "ada"); !errors.Is(err, w.stuck) || len(p.State().History) != before {
			t.Errorf("%v, and %d events, want the reason and none more than %d", err, len(p.State().History), before)
		}
		pass(40 * time.Minute)
		if e := p.State().History[0]; e.Kind != "failed" || w.asked() {
			t.Errorf("the last event is %+v", e)
		}
		w.set(func() { w.stuck = nil })
		pass(rebootAgain + lookEvery)
		if !w.asked() {
			t.Error("the restart is not tried again")
		}
	})
}

func TestAnUpdateThatNeverComesUpIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(t)
		w.start()
		w.start()
		w.start() // three tries have passed without a gateway
		p := w.begin()
		pass(time.Second)
		if e := p.State().History[0]; w.running != 0 || e.Kind != "fell-back" || !strings.Contains(e.Text, "boot loader") {
			t.Errorf("slot %d runs, the last event is %+v", w.running, e)
		}
		p.stop()
	})
}

// moment is what a kill leaves: the world and the file.
type moment struct {
	slots          []Slot
	order, tries   []int
	running, boots int
	reboot         bool
	file           string
}

func (w *world) moment() moment {
	text, _ := os.ReadFile(filepath.Join(w.dir, "firmware", stateFile))
	w.mu.Lock()
	defer w.mu.Unlock()
	return moment{slices.Clone(w.slots), slices.Clone(w.order), slices.Clone(w.tries), w.running, w.boots, w.reboot, string(text)}
}

func (w *world) become(t *testing.T, m moment) {
	if err := os.MkdirAll(filepath.Join(w.dir, "firmware"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "firmware", stateFile), []byte(m.file), 0o600); err != nil {
		t.Fatal(err)
	}
	w.slots, w.order, w.tries, w.running, w.boots = slices.Clone(m.slots), slices.Clone(m.order), slices.Clone(m.tries), m.running, m.boots
}

// TestKillsBetweenAnyTwoSteps kills the gateway, or cuts the power, at every touch of the world in an update
// that goes well and in one that goes wrong, and lets things take their course.
func TestKillsBetweenAnyTwoSteps(t *testing.T) {
	for name, sick := range map[string]int{"healthy": -1, "sick": 1} {
		t.Run(name, func(t *testing.T) {
			var moments []moment
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.sick = sick
				w.step = func() {
					m := w.moment()
					if !slices.ContainsFunc(moments, func(o moment) bool { return reflect.DeepEqual(o, m) }) {
						moments = append(moments, m)
					}
				}
				w.update(t)
				w.live(t, 80*time.Minute)
				w.step = nil
			})
			if len(moments) < 8 {
				t.Fatalf("only %d moments", len(moments))
			}
			for i, m := range moments {
				for _, cut := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						w.sick = sick
						w.become(t, m)
						if cut || m.reboot {
							w.start()
						}
						w.live(t, 80*time.Minute)
						w.judgeEnd(t, i, cut, sick)
					})
				}
			}
			t.Logf("%d moments, each with a kill and with a power cut", len(moments))
		})
	}
}

// live runs the gateway, and starts the machine when it is asked to.
func (w *world) live(t *testing.T, during time.Duration) {
	t.Helper()
	p := w.begin()
	for end := time.Now().Add(during); time.Now().Before(end); {
		time.Sleep(10 * time.Second)
		w.mu.Lock()
		reboot := w.reboot
		w.mu.Unlock()
		if reboot {
			p.stop()
			w.start()
			p = w.begin()
		}
	}
	p.stop()
}

func (w *world) judgeEnd(t *testing.T, i int, cut bool, sick int) {
	t.Helper()
	s, err := load(filepath.Join(w.dir, "firmware"))
	if err != nil {
		t.Fatal(err)
	}
	if w.running == sick || s.Trial != nil || w.tries[w.running] != 0 {
		t.Errorf("moment %d, power cut %v: slot %d runs after %d tries, trial %+v", i, cut, w.running, w.tries[w.running], s.Trial)
	}
	if slices.Contains(w.marks, "rootfs.1") && sick == 1 {
		t.Errorf("moment %d, power cut %v: a sick system was kept", i, cut)
	}
	for _, mark := range s.Proven {
		if sick == 1 && strings.HasPrefix(mark, "system in B") {
			t.Errorf("moment %d, power cut %v: a sick system counts as proven", i, cut)
		}
	}
	if w.restarts > 2 {
		t.Errorf("moment %d, power cut %v: %d restarts", i, cut, w.restarts)
	}
}
