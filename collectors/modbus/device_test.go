package modbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors"
	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/message"
)

var _ collectors.Writer = (*device)(nil)

func TestReadGivesEveryPointOfThePlant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		plant := newPlant(server)
		d := pipe(t, server, plantPoints()...)
		for n := range uint32(1000) {
			got, err := read(t, d)
			if err != nil {
				t.Fatal(err)
			}
			if problem := samePoints(got, plantReading(n+1)); problem != nil {
				t.Fatalf("count %d: %v", n+1, problem)
			}
			plant.Step()
		}
		counts := server.Counts()
		if counts.Connections != 1 || counts.Requests[3] != 2000 {
			t.Errorf("%d connections and requests %v, want one connection and two requests a poll", counts.Connections, counts.Requests)
		}
	})
}

// misbehaviours is every way in which the simulator can fail to answer over TCP, with what must be
// seen.
var misbehaviours = []struct {
	fault modbussim.Fault
	want  string
}{
	{modbussim.Fault{Kind: modbussim.WrongTransaction}, "answers to other requests were dropped, the last had transaction id"},
	{modbussim.Fault{Kind: modbussim.OldTransaction}, "answers to other requests were dropped, the last had transaction id"},
	{modbussim.Fault{Kind: modbussim.ShortFrame}, "the answer stopped after"},
	{modbussim.Fault{Kind: modbussim.CutFrame}, "the other end closed the connection"},
	{modbussim.Fault{Kind: modbussim.Garbage}, "what came is not Modbus TCP, it begins with 48 54 54 50"},
	{modbussim.Fault{Kind: modbussim.Exception, Exception: 6}, "exception 6: server device busy"},
	{modbussim.Fault{Kind: modbussim.Exception, Exception: 4}, "exception 4: server device failure"},
	{modbussim.Fault{Kind: modbussim.Exception, Exception: 11}, "exception 11: gateway target device failed to respond: the gateway answers, the device behind it does not"},
	{modbussim.Fault{Kind: modbussim.Exception, Exception: 99}, "exception 99: unknown"},
	{modbussim.Fault{Kind: modbussim.Silence}, "no answer within 1s"},
	{modbussim.Fault{Kind: modbussim.Close}, "the other end closed the connection"},
	{modbussim.Fault{Kind: modbussim.Slow, Delay: 1500 * time.Millisecond}, "no answer within 1s"},
	{modbussim.Fault{Kind: modbussim.WrongUnit}, "the answer is from unit 2, the request was for 1"},
	{modbussim.Fault{Kind: modbussim.WrongFunction}, "the answer has function 4, the request had 3"},
	{modbussim.Fault{Kind: modbussim.WrongByteCount}, "bytes of data"},
	{modbussim.Fault{Kind: modbussim.WrongLength}, "bytes of data"},
	{modbussim.Fault{Kind: modbussim.FlippedBit}, "what came is not Modbus TCP"},
	{modbussim.Fault{Kind: modbussim.LostByte}, "the answer stopped after"},
	{modbussim.Fault{Kind: modbussim.Hasty}, "what came is not Modbus TCP"},
	{modbussim.Fault{Kind: modbussim.Echo}, "bytes of data"},
}

func TestMisbehavingDeviceIsAClearErrorAndNeverAWrongValue(t *testing.T) {
	for _, test := range misbehaviours {
		t.Run(fmt.Sprintf("%s %d", test.fault.Kind, test.fault.Exception), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &modbussim.Server{}
				plant := newPlant(server)
				d := pipe(t, server, plantPoints()...)
				if _, err := read(t, d); err != nil {
					t.Fatal(err)
				}
				server.Always(test.fault)
				started := time.Now()
				_, err := read(t, d)
				if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "tcp://10.0.0.9:502 unit 1: ") {
					t.Errorf("got %v, want the device's name and %q", err, test.want)
				}
				if took := time.Since(started); took > maxStrikes*time.Second+patience {
					t.Errorf("a poll of a dead device took %v, want at most %d time-outs", took, maxStrikes)
				}
				server.Always(modbussim.Fault{})
				plant.Step()
				got, err := read(t, d)
				if err != nil {
					t.Fatalf("after recovery: %v", err)
				}
				if problem := samePoints(got, plantReading(2)); problem != nil {
					t.Errorf("after recovery: %v", problem)
				}
			})
		})
	}
}

// One bad answer in the middle of good ones costs its own points at most, and no value is wrong:
// neither in that poll nor in those after it, while late answers may still be on their way.
func TestOneBadAnswerSpoilsNoOther(t *testing.T) {
	for _, test := range misbehaviours {
		t.Run(fmt.Sprintf("%s %d", test.fault.Kind, test.fault.Exception), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &modbussim.Server{}
				plant := newPlant(server)
				d := pipe(t, server, plantPoints()...)
				count, failed := uint32(1), 0
				for range 20 {
					server.Misbehave(modbussim.Fault{}, modbussim.Fault{}, modbussim.Fault{}, test.fault)
					for range 3 {
						got, err := read(t, d)
						if err != nil {
							t.Fatalf("one bad answer failed the device: %v", err)
						}
						want := plantReading(count)
						for i, p := range got {
							if p.Error != "" {
								failed++
							} else if p != want[i] {
								t.Fatalf("count %d: %s is %v, want %v", count, p.Name, p.Value, want[i].Value)
							}
						}
						plant.Step()
						count++
						time.Sleep(300 * time.Millisecond)
					}
				}
				if again := test.fault.Kind == modbussim.Close || test.fault.Kind == modbussim.CutFrame || test.fault.Exception == 6; failed == 0 && !again { // which are asked again at once
					t.Error("no point ever had an error")
				}
			})
		})
	}
}

func TestStaleAnswerBeforeTheRightOneIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		server.Always(modbussim.Fault{Kind: modbussim.StaleFirst})
		d := pipe(t, server, plantPoints()...)
		for range 10 {
			got, err := read(t, d)
			if err != nil {
				t.Fatal(err)
			}
			if problem := samePoints(got, plantReading(1)); problem != nil {
				t.Error(problem)
			}
		}
	})
}

func TestSlowAnswerWithinTheTimeoutIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		server.Always(modbussim.Fault{Kind: modbussim.Slow, Delay: 900 * time.Millisecond})
		d := pipe(t, server, plantPoints()...)
		got, err := read(t, d)
		if err != nil {
			t.Fatal(err)
		}
		if problem := samePoints(got, plantReading(1)); problem != nil {
			t.Error(problem)
		}
	})
}

func TestTransactionIDsWrapAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		server.Always(modbussim.Fault{Kind: modbussim.StaleFirst})
		driver := &Driver{}
		driver.ids.Store(65533)
		d := openOn(t, driver, newPipes(t, server), options("tcp://10.0.0.9:502", plantPoints()...))
		for range 5 {
			got, err := read(t, d)
			if err != nil {
				t.Fatal(err)
			}
			if problem := samePoints(got, plantReading(1)); problem != nil {
				t.Error(problem)
			}
		}
	})
}

func TestRefusedPointTakesNoOtherWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		server.Remove(modbussim.Holdings, 4, 2) // pressure
		d := pipe(t, server, plantPoints()...)
		want := plantReading(1)
		want[2] = message.Point{Name: "pressure", Error: "exception 2: illegal data address"}
		requests := make([]uint64, 0, 5)
		for range 5 {
			got, err := read(t, d)
			if err != nil {
				t.Fatal(err)
			}
			if problem := samePoints(got, want); problem != nil {
				t.Error(problem)
			}
			requests = append(requests, server.Counts().Requests[3])
		}
		// The bad one, the two runs beside it, and the setpoint; what comes behind the refusal twice.
		if later := requests[4] - requests[3]; later > 5 {
			t.Errorf("%d requests in a later poll, want the split remembered: %v; %s", later, requests, describe(d.requests))
		}
		if n := server.Counts().Connections; n != 1 {
			t.Errorf("%d connections, want one: an exception leaves the connection in order", n)
		}
	})
}

func TestRefusedGapIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		server.Remove(modbussim.Holdings, 3, 1)
		d := pipe(t, server,
			Point{Name: "a", Address: address("holding:0"), Type: "uint32"},
			Point{Name: "b", Address: address("holding:2"), Type: "uint16"},
			Point{Name: "c", Address: address("holding:6"), Type: "int16"})
		for range 3 {
			got, err := read(t, d)
			if err != nil || got[0].Error+got[1].Error+got[2].Error != "" {
				t.Fatalf("points %+v, %v: nothing but the gap is missing", got, err)
			}
		}
		if got, want := describe(d.requests), "holding:0+3[0 1] holding:6+1[2]"; got != want {
			t.Errorf("plan %s, want %s", got, want)
		}
	})
}

func TestAllPointsRefusedIsAReadingOfErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		server.Always(modbussim.Fault{Kind: modbussim.Exception, Exception: 1})
		d := pipe(t, server, plantPoints()...)
		got, err := read(t, d)
		if err != nil {
			t.Fatalf("the device answers: %v", err)
		}
		for _, p := range got {
			if p.Error != "exception 1: illegal function" {
				t.Errorf("%s has value %v, error %q", p.Name, p.Value, p.Error)
			}
		}
	})
}

func TestDeviceIsReadWholeAfterOneRefusalAndOneSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		d := pipe(t, server, plantPoints()...)
		server.Misbehave(modbussim.Fault{Kind: modbussim.Exception, Exception: 2}, modbussim.Fault{}, modbussim.Fault{Kind: modbussim.Silence})
		for range 2 {
			if _, err := read(t, d); err != nil {
				t.Fatal(err)
			}
		}
		got, err := read(t, d)
		if err != nil {
			t.Fatal(err)
		}
		if problem := samePoints(got, plantReading(1)); problem != nil {
			t.Error(problem)
		}
	})
}

func TestConnectionThatWasIdleTooLongIsReplacedUnnoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		d := pipe(t, server, plantPoints()...)
		if _, err := read(t, d); err != nil {
			t.Fatal(err)
		}
		server.Misbehave(modbussim.Fault{Kind: modbussim.Close})
		got, err := read(t, d)
		if err != nil {
			t.Fatal(err)
		}
		if problem := samePoints(got, plantReading(1)); problem != nil {
			t.Error(problem)
		}
		if n := server.Counts().Connections; n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
	})
}

func TestEndOfContextEndsARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		server.Always(modbussim.Fault{Kind: modbussim.Silence})
		d := pipe(t, server, plantPoints()...)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		started := time.Now()
		var r message.Reading
		err := d.Read(ctx, &r)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(started) != 100*time.Millisecond {
			t.Errorf("got %v after %v, want the end of the context", err, time.Since(started))
		}
		server.Always(modbussim.Fault{})
		got, err := read(t, d)
		if err != nil {
			t.Fatal(err)
		}
		if problem := samePoints(got, plantReading(1)); problem != nil {
			t.Error(problem)
		}
	})
}

func TestNonFiniteFloatReachesTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		server.Set(modbussim.Holdings, 2, 0x7FC0, 0)
		d := pipe(t, server, plantPoints()[1])
		got, err := read(t, d)
		if err != nil {
			t.Fatal(err)
		}
		r := message.Reading{Points: got}
		if text := string(r.AppendJSON(nil)); !strings.Contains(text, `"errors":{"temperature":"the device sent NaN"}`) {
			t.Errorf("reading %s, want an error for NaN", text)
		}
	})
}
