package modbus

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/message"
)

func registerPoints(n int) []Point {
	var points []Point
	for i := range n {
		points = append(points, Point{Name: fmt.Sprint("r", i), Address: Address{Area: Holding, Number: uint16(10 * i)}})
	}
	return points
}

// apart makes each register a request of its own, all of one length: the worst there is.
func apart(scheme string, n int) *Options {
	o := options(scheme+"://10.0.0.9:502", registerPoints(n)...)
	o.MaxGap = 0
	return o
}

// fillRegisters gives each register of registerPoints a value that tells which it is and when.
func fillRegisters(server *modbussim.Server, n, count int) {
	for i := range n {
		server.Set(modbussim.Holdings, uint16(10*i), uint16(1000*i+count))
	}
}

// wrongRegister says which point carries the value of another one, if any.
func wrongRegister(points []message.Point) error {
	for i, p := range points {
		if v, ok := p.Value.Float(); p.Error == "" && (!ok || int(v)/1000 != i) {
			return fmt.Errorf("%s is %v, which is the value of register r%d", p.Name, p.Value, int(v)/1000)
		}
	}
	return nil
}

// However late a device answers, its answer is not taken for that to a later question; and when it
// answers in time again, everything is read within two polls.
func TestLateAnswersNeverShiftValues(t *testing.T) {
	const n = 6
	for _, way := range dialects {
		for _, delay := range []time.Duration{1100, 1500, 2000, 2500, 4000, 9000} { // ms
			t.Run(fmt.Sprintf("%s %dms", way.scheme, delay), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := &modbussim.Server{Dialect: way.spoken}
					d := pipeTo(t, server, apart(way.scheme, n))
					late := modbussim.Fault{Kind: modbussim.Slow, Delay: delay * time.Millisecond}
					for count := range 40 {
						fillRegisters(server, n, count)
						if count%8 == 3 {
							server.Misbehave(late)
						}
						if count%8 == 6 {
							server.Misbehave(modbussim.Fault{}, late, late)
						}
						got, _ := read(t, d)
						if problem := wrongRegister(got); problem != nil {
							t.Fatalf("poll %d: %v", count, problem)
						}
						time.Sleep(200 * time.Millisecond)
					}
					server.Behave()
					time.Sleep(2 * time.Minute) // what it has heard is answered by then
					for range 2 {
						read(t, d)
					}
					got, err := read(t, d)
					if err != nil {
						t.Fatal(err)
					}
					for _, p := range got {
						if p.Error != "" {
							t.Errorf("%s: %s", p.Name, p.Error)
						}
					}
				})
			})
		}
	}
}

// A device that is always a little later than its time-out is silent for us, never wrong.
func TestDeviceThatIsAlwaysLateGivesNoWrongValue(t *testing.T) {
	const n = 4
	for _, way := range dialects {
		t.Run(way.scheme, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &modbussim.Server{Dialect: way.spoken}
				server.Always(modbussim.Fault{Kind: modbussim.Slow, Delay: 1200 * time.Millisecond})
				d := pipeTo(t, server, apart(way.scheme, n))
				for count := range 60 {
					fillRegisters(server, n, count)
					got, err := read(t, d)
					if err == nil {
						if problem := wrongRegister(got); problem != nil {
							t.Fatal(problem)
						}
					}
					time.Sleep(time.Duration(count%5) * 100 * time.Millisecond)
				}
			})
		})
	}
}

// What comes back is not a mixture: with delays drawn at random every value is that of its register,
// and not older than the poll.
func TestRandomDelaysGiveNoWrongValue(t *testing.T) {
	const n = 5
	for _, way := range dialects {
		for seed := range uint64(20) {
			t.Run(fmt.Sprint(way.scheme, " ", seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					random := rand.New(rand.NewPCG(seed, 7))
					server := &modbussim.Server{Dialect: way.spoken}
					d := pipeTo(t, server, apart(way.scheme, n))
					good := 0
					for count := range 80 {
						fillRegisters(server, n, count)
						server.Behave()
						if random.IntN(4) == 0 {
							server.Always(modbussim.Fault{Kind: modbussim.Slow, Delay: time.Duration(random.IntN(3000)) * time.Millisecond})
						}
						time.Sleep(300 * time.Millisecond)
						got, err := read(t, d)
						if err != nil {
							continue
						}
						if problem := wrongRegister(got); problem != nil {
							t.Fatalf("poll %d: %v", count, problem)
						}
						for _, p := range got {
							if v, _ := p.Value.Float(); p.Error == "" && int(v)%1000 != count {
								t.Fatalf("poll %d: %s is %v, which is older than the poll", count, p.Name, p.Value)
							}
							if p.Error == "" {
								good++
							}
						}
					}
					if good < 80 {
						t.Errorf("only %d good values in 80 polls", good)
					}
				})
			})
		}
	}
}

func TestWriteWaitsUntilNoLateAnswerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{Dialect: modbussim.RTU}
		o := options("rtu+tcp://10.0.0.9:502", Point{Name: "setpoint", Address: address("holding:100"), Access: "rw"})
		d := pipeTo(t, server, o)
		server.Misbehave(modbussim.Fault{}, modbussim.Fault{Kind: modbussim.Silence})
		if _, err := d.Write(t.Context(), "setpoint", json.RawMessage("41")); err == nil {
			t.Fatal("a write without an answer succeeded")
		}
		got, err := d.Write(t.Context(), "setpoint", json.RawMessage("42"))
		if err != nil || got.String() != "42" {
			t.Errorf("got %v, %v, want 42", got, err)
		}
		if n := len(server.Counts().Writes); n != 2 {
			t.Errorf("%d writes, want two", n)
		}
	})
}

func TestDebtsAreBoundedAndExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &debts{}
		for i := range 10_000 {
			d.unanswered(readOrder(span{Area(1 + i%4), i, 1 + i%125}), time.Now())
		}
		if len(d.owed) > 4*maxRegisters {
			t.Errorf("%d debts are kept", len(d.owed))
		}
		time.Sleep(longestDebt)
		d.expire(time.Now(), longestDebt)
		if len(d.owed) != 0 {
			t.Errorf("%d debts are left after %v", len(d.owed), longestDebt)
		}
	})
}

// Whatever was not answered so far, there is a probe whose answer settles it, and be it an exception.
func TestThereIsAlwaysAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, asked := range []order{
			readOrder(span{Holding, 5, 1}), readOrder(span{Holding, 5, 3}), readOrder(span{Coil, 5, 1}), readOrder(span{Coil, 5, 20}),
			{function: 6, span: span{Holding, 5, 1}},
		} {
			d := &debts{}
			d.unanswered(asked, time.Now())
			for round := range 40 {
				time.Sleep(time.Second)
				probes := d.probes(asked)
				if len(probes) == 0 || len(probes) > maxProbes+4 {
					t.Fatalf("round %d: %d probes in the place of %+v", round, len(probes), asked)
				}
				for _, probe := range probes {
					if !probe.reads() {
						t.Errorf("%+v is no harmless probe", probe)
					}
				}
				last := probes[len(probes)-1]
				if last.function == asked.function {
					t.Errorf("round %d: no other function among the probes for %+v", round, asked)
				}
				after := &debts{owed: slices.Clone(d.owed)}
				after.answered(last, true, time.Now())
				if after.function(asked.function) {
					t.Errorf("round %d: an exception to %+v leaves %+v owed", round, last, after.owed)
				}
				d.unanswered(probes[0], time.Now())
			}
		}
	})
}

// What may be the answer to an older probe settles what was asked before that, and no more.
func TestAnswerThatMayBeOldSettlesWhatIsOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &debts{}
		for _, o := range []order{readOrder(span{Holding, 0, 1}), readOrder(span{Input, 0, 1}), readOrder(span{Coil, 0, 1})} {
			d.unanswered(o, time.Now())
			time.Sleep(time.Second)
		}
		d.answered(readOrder(span{Input, 0, 1}), false, time.Now())
		if d.function(3) || !d.function(4) || !d.function(1) {
			t.Errorf("%+v is owed, want the coils and the probe", d.owed)
		}
		d.answered(readOrder(span{Discrete, 0, 1}), false, time.Now())
		if len(d.owed) != 0 {
			t.Errorf("%+v is owed after an answer that is certain", d.owed)
		}
	})
}
