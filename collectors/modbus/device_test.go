package modbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// misbehaviours is every way in which the simulator can fail to answer, with what must be seen.
var misbehaviours = []struct {
	fault modbussim.Fault
	want  string
}{
	{modbussim.Fault{Kind: modbussim.WrongTransaction}, "the answer has transaction id"},
	{modbussim.Fault{Kind: modbussim.OldTransaction}, "no answer within 1s; 1 stale answers were dropped, the last had transaction id"},
	{modbussim.Fault{Kind: modbussim.ShortFrame}, "the answer stopped after"},
	{modbussim.Fault{Kind: modbussim.CutFrame}, "the device closed the connection after"},
	{modbussim.Fault{Kind: modbussim.Garbage}, "what came is not Modbus TCP, it begins with 48 54 54 50"},
	{modbussim.Fault{Kind: modbussim.Exception, Exception: 6}, "exception 6: server device busy"},
	{modbussim.Fault{Kind: modbussim.Exception, Exception: 4}, "exception 4: server device failure"},
	{modbussim.Fault{Kind: modbussim.Exception, Exception: 11}, "exception 11: gateway target device failed to respond"},
	{modbussim.Fault{Kind: modbussim.Exception, Exception: 99}, "exception 99: unknown"},
	{modbussim.Fault{Kind: modbussim.Silence}, "no answer within 1s"},
	{modbussim.Fault{Kind: modbussim.Close}, "the device closed the connection instead of answering"},
	{modbussim.Fault{Kind: modbussim.Slow, Delay: 1500 * time.Millisecond}, "no answer within 1s"},
	{modbussim.Fault{Kind: modbussim.WrongUnit}, "the answer is from unit 2, the request was for 1"},
	{modbussim.Fault{Kind: modbussim.WrongFunction}, "the answer has function 4, the request had 3"},
	{modbussim.Fault{Kind: modbussim.WrongByteCount}, "bytes of data"},
	{modbussim.Fault{Kind: modbussim.WrongLength}, "bytes of data"},
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
				if took := time.Since(started); took > maxStrikes*time.Second {
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
				if failed == 0 && test.fault.Kind != modbussim.Close { // which is tried again at once
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
		d := pipe(t, server, plantPoints()...)
		d.link.transaction = 65533
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
		// 1 merged, 8 pieces and the setpoint; then the bad one, the two runs beside it with the
		// gaps left out, and the setpoint.
		if requests[0] != 10 {
			t.Errorf("%d requests in the first poll, want 10", requests[0])
		}
		if later := requests[4] - requests[3]; later > 5 {
			t.Errorf("%d requests in a later poll, want the split remembered: %v; %s", later, requests, describe(d.plan))
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
		if got, want := describe(d.plan), "holding:0+3[0 1] holding:6+1[2]"; got != want {
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

func TestPlanIsKeptWhenTheSplitFailsForAnotherReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		d := pipe(t, server, plantPoints()...)
		server.Misbehave(modbussim.Fault{Kind: modbussim.Exception, Exception: 2}, modbussim.Fault{}, modbussim.Fault{Kind: modbussim.Silence})
		before := describe(d.plan)
		if _, err := read(t, d); err != nil {
			t.Fatal(err)
		}
		if after := describe(d.plan); after != before {
			t.Errorf("plan %s, want %s", after, before)
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

func TestWriteReadsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		d := pipe(t, server,
			Point{Name: "setpoint", Address: address("holding:100"), Type: "uint16", Access: "rw"},
			Point{Name: "limit", Address: address("holding:102"), Type: "float32", Order: "CDAB", Access: "rw"},
			Point{Name: "valve", Address: address("coil:3"), Access: "rw"},
			Point{Name: "recipe", Address: address("holding:110"), Type: "string", Length: 5, Access: "rw"},
			Point{Name: "level", Address: address("holding:104"), Type: "int16", Scale: 0.1, Access: "rw"},
			Point{Name: "counter", Address: address("holding:0"), Type: "uint32"})
		for _, test := range []struct{ point, value, back string }{
			{"setpoint", "42", "42"}, {"limit", "21.3", "21.3"}, {"valve", "true", "true"}, {"valve", "false", "false"},
			{"recipe", `"AB"`, `"AB"`}, {"level", "-21.5", "-21.5"},
		} {
			got, err := d.Write(t.Context(), test.point, json.RawMessage(test.value))
			if err != nil || got.String() != test.back {
				t.Errorf("%s = %s: got %v, %v, want %s", test.point, test.value, got, err, test.back)
			}
		}
		functions := map[byte]uint64{1: 4, 3: 8, 5: 2, 6: 2, 16: 2}
		if got := server.Counts().Requests; !maps.Equal(got, functions) {
			t.Errorf("requests by function %v, want %v", got, functions)
		}
		for _, test := range []struct{ point, value, want string }{
			{"counter", "1", "read-only"}, {"nothing", "1", "no point"}, {"setpoint", "70000", "does not fit"},
		} {
			if _, err := d.Write(t.Context(), test.point, json.RawMessage(test.value)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s = %s: got %v, want %q", test.point, test.value, err, test.want)
			}
		}
		if n := len(server.Counts().Writes); n != 6 {
			t.Errorf("%d writes reached the device, want 6", n)
		}
	})
}

func TestWriteIsNeverTriedTwice(t *testing.T) {
	for name, test := range map[string]struct {
		faults []modbussim.Fault // for the read before, the write, the read back
		want   string
		writes int
	}{
		"no answer to the write": {[]modbussim.Fault{{}, {Kind: modbussim.Silence}}, "outcome unknown", 1},
		"closed at the write":    {[]modbussim.Fault{{}, {Kind: modbussim.Close}}, "outcome unknown", 1},
		"garbage":                {[]modbussim.Fault{{}, {Kind: modbussim.Garbage}}, "outcome unknown", 1},
		"wrong echo":             {[]modbussim.Fault{{}, {Kind: modbussim.WrongFunction}}, "outcome unknown", 1},
		"refused":                {[]modbussim.Fault{{}, {Kind: modbussim.Exception, Exception: 3}}, "not written: exception 3: illegal data value", 1},
		"dead before the write":  {[]modbussim.Fault{{Kind: modbussim.Silence}}, "not written", 0},
		"dead after the write":   {[]modbussim.Fault{{}, {}, {Kind: modbussim.Silence}}, "reading it back failed", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &modbussim.Server{}
				d := pipe(t, server, plantPoints()...)
				server.Misbehave(test.faults...)
				_, err := d.Write(t.Context(), "setpoint", json.RawMessage("42"))
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
				if n := len(server.Counts().Writes); n != test.writes {
					t.Errorf("%d writes reached the device, want %d", n, test.writes)
				}
			})
		})
	}
}

func TestWriteThatTheDeviceBentIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		d := pipe(t, server, plantPoints()...)
		server.Misbehave(modbussim.Fault{}, modbussim.Fault{Kind: modbussim.Slow, Delay: 100 * time.Millisecond})
		time.AfterFunc(50*time.Millisecond, func() { server.Set(modbussim.Holdings, 100, 30) })
		v, err := d.Write(t.Context(), "setpoint", json.RawMessage("42"))
		if err == nil || !strings.Contains(err.Error(), "reads back 30") || v.String() != "30" {
			t.Errorf("got %v, %v, want the value read back and an error", v, err)
		}
	})
}

func TestWriteWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		server.Misbehave(modbussim.Fault{Kind: modbussim.Slow, Delay: 500 * time.Millisecond})
		d := pipe(t, server, plantPoints()...)
		polled := make(chan error, 1)
		go func() {
			_, err := read(t, d)
			polled <- err
		}()
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := d.Write(impatient, "setpoint", json.RawMessage("41")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a write that could not wait gave %v", err)
		}
		if _, err := d.Write(t.Context(), "setpoint", json.RawMessage("42")); err != nil {
			t.Error(err)
		}
		if err := <-polled; err != nil {
			t.Error(err)
		}
		if got := server.Counts().Writes; len(got) != 1 || got[0].Values[0] != 42 {
			t.Errorf("writes %+v, want 42 alone", got)
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
