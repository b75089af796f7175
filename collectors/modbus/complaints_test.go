package modbus

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/message"
)

// The tests in this file are what users of other products complain about, by the numbers of the list
// in docs/drivers/modbus.md.

// good reads and wants everything right.
func good(t *testing.T, d *device, want []message.Point) {
	t.Helper()
	got, err := read(t, d)
	if err != nil {
		t.Fatal(err)
	}
	if problem := samePoints(got, want); problem != nil {
		t.Fatal(problem)
	}
}

// notWrong reads and wants that what there is is right.
func notWrong(t *testing.T, d *device, want []message.Point) (missing int) {
	t.Helper()
	got, err := read(t, d)
	if err != nil {
		return len(want)
	}
	for i, p := range got {
		if p.Error != "" {
			missing++
		} else if p != want[i] {
			t.Fatalf("%s is %v, want %v", p.Name, p.Value, want[i].Value)
		}
	}
	return missing
}

// onEvery runs a test in every dialect, over pipes and in simulated time.
func onEvery(t *testing.T, test func(t *testing.T, server *modbussim.Server, open func(...Point) *device)) {
	for _, way := range dialects {
		t.Run(way.scheme, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &modbussim.Server{Dialect: way.spoken}
				test(t, server, func(points ...Point) *device {
					return pipeTo(t, server, options(way.scheme+"://10.0.0.9:502", points...))
				})
			})
		})
	}
}

func TestComplaint01LateAnswerShiftsNoOther(t *testing.T) {
	onEvery(t, func(t *testing.T, server *modbussim.Server, open func(...Point) *device) {
		const n = 5
		d := open(registerPoints(n)...)
		d.limits.gap = 0
		d.requests = makePlan(d.points, d.limits, d.known)
		fillRegisters(server, n, 0)
		if _, err := read(t, d); err != nil {
			t.Fatal(err)
		}
		server.Misbehave(modbussim.Fault{}, modbussim.Fault{Kind: modbussim.Slow, Delay: 1300 * time.Millisecond})
		for range 4 {
			got, err := read(t, d)
			if err != nil {
				t.Fatal(err)
			}
			if problem := wrongRegister(got); problem != nil {
				t.Fatal(problem)
			}
		}
		got, err := read(t, d)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range got {
			if p.Error != "" {
				t.Errorf("afterwards %s: %s", p.Name, p.Error)
			}
		}
	})
}

// rackOnALine opens a device for each unit of a rack, all on one line.
func rackOnALine(t *testing.T, scheme string, rack *modbussim.Rack, units ...int) (*pipes, []*device) {
	t.Helper()
	w := newPipes(t, rack)
	driver := &Driver{}
	var devices []*device
	for _, unit := range units {
		o := options(scheme+"://10.0.0.9:502", plantPoints()...)
		o.Unit = unit
		devices = append(devices, openOn(t, driver, w, o))
	}
	return w, devices
}

func TestComplaint02DeadUnitCostsOneTimeoutAndNobodyElse(t *testing.T) {
	for _, way := range dialects {
		t.Run(way.scheme, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				alive := &modbussim.Server{}
				newPlant(alive)
				dying := &modbussim.Server{}
				newPlant(dying)
				rack := &modbussim.Rack{Dialect: way.spoken, Devices: map[byte]*modbussim.Server{1: dying, 2: alive}}
				w, devices := rackOnALine(t, way.scheme, rack, 1, 2)
				for _, d := range devices {
					good(t, d, plantReading(1))
				}
				dying.Always(modbussim.Fault{Kind: modbussim.Silence})
				for poll := range 10 {
					before := len(w.exchanges)
					started := time.Now()
					_, err := read(t, devices[0])
					took, asked := time.Since(started), len(w.exchanges)-before
					if err == nil || !strings.Contains(err.Error(), "unit 1: no answer within 1s") {
						t.Fatalf("the dead unit: %v", err)
					}
					allowed := 1
					if poll == 0 {
						allowed = maxStrikes // it had been alive
					}
					if asked > allowed || took > time.Duration(allowed)*time.Second+time.Second/10 {
						t.Errorf("poll %d asked the dead unit %d times in %v, want %d", poll, asked, took, allowed)
					}
					good(t, devices[1], plantReading(1))
				}
				dying.Always(modbussim.Fault{})
				read(t, devices[0])
				good(t, devices[0], plantReading(1))
			})
		})
	}
}

func TestComplaint03NothingPilesUpBehindTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, alive := &modbussim.Server{}, &modbussim.Server{}
		dead.Always(modbussim.Fault{Kind: modbussim.Silence})
		newPlant(alive)
		rack := &modbussim.Rack{Dialect: modbussim.RTU, Devices: map[byte]*modbussim.Server{1: dead, 2: alive}}
		w, devices := rackOnALine(t, "rtu+tcp", rack, 1, 2)
		polled := make(chan struct{})
		go func() {
			defer close(polled)
			for range 20 {
				read(t, devices[0])
			}
		}()
		for i := range 10 {
			started := time.Now()
			value := fmt.Sprint(i)
			if got, err := devices[1].Write(t.Context(), "setpoint", json.RawMessage(value)); err != nil || got.String() != value {
				t.Errorf("a write beside a dead unit: %v, %v", got, err)
			}
			if took := time.Since(started); took > 1100*time.Millisecond {
				t.Errorf("a write waited %v, want one time-out at most", took)
			}
		}
		<-polled
		if n := len(w.exchanges); n > 20+2*10*3 {
			t.Errorf("%d exchanges for 20 polls of a dead unit and 10 writes", n)
		}
	})
}

func TestComplaint11WritesUseTheOrderOfReads(t *testing.T) {
	for _, order := range []Order{"ABCD", "CDAB", "BADC", "DCBA"} {
		for kind, value := range map[Type]string{"float32": "21.3", "uint32": "305419896", "float64": "-0.5", "int64": "-2", "uint16": "4660"} {
			synctest.Test(t, func(t *testing.T) {
				server := &modbussim.Server{}
				d := pipe(t, server, Point{Name: "v", Address: address("holding:4"), Type: kind, Order: order, Access: "rw"})
				if got, err := d.Write(t.Context(), "v", json.RawMessage(value)); err != nil || got.String() != value {
					t.Errorf("%s %s: wrote %s, got %v, %v", kind, order, value, got, err)
				}
				got, err := read(t, d)
				if err != nil || got[0].Value.String() != value {
					t.Errorf("%s %s: read %v, %v, want %s", kind, order, got, err, value)
				}
			})
		}
	}
}

func TestComplaint12DeviceThatKnowsOneWayToWriteIsWritten(t *testing.T) {
	for _, refused := range [][]byte{{6}, {16}} {
		onEvery(t, func(t *testing.T, server *modbussim.Server, open func(...Point) *device) {
			server.Refuse(refused...)
			d := open(plantPoints()...)
			for _, value := range []string{"41", "42", "43"} {
				got, err := d.Write(t.Context(), "setpoint", json.RawMessage(value))
				if err != nil || got.String() != value {
					t.Errorf("without function %d: got %v, %v", refused[0], got, err)
				}
			}
			if n := server.Counts().Requests[refused[0]]; n > 1 {
				t.Errorf("function %d was tried %d times, want at most once", refused[0], n)
			}
		})
	}
}

func TestComplaint13BothWaysToCountMeanOneRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		server.Set(modbussim.Holdings, 0, 100, 101)
		d := pipe(t, server, Point{Name: "wire", Address: address("holding:1")}, Point{Name: "manual", Address: address("40002")})
		got, err := read(t, d)
		if err != nil || got[0].Value != message.Uint(101) || got[1].Value != message.Uint(101) {
			t.Errorf("got %v, %v, want 101 twice", got, err)
		}
	})
}

func TestComplaint14HoleSpoilsNothing(t *testing.T) {
	onEvery(t, func(t *testing.T, server *modbussim.Server, open func(...Point) *device) {
		newPlant(server)
		server.Remove(modbussim.Holdings, 26, 5)
		points := append(plantPoints(), Point{Name: "beyond", Address: address("holding:32")}, Point{Name: "hole", Address: address("holding:28")})
		server.Set(modbussim.Holdings, 32, 77)
		want := append(plantReading(1), message.Point{Name: "beyond", Value: message.Uint(77)},
			message.Point{Name: "hole", Error: "exception 2: illegal data address"})
		d := open(points...)
		for range 3 {
			notWrong(t, d, want)
		}
		good(t, d, want)
	})
}

func TestComplaint14HoleThatSpoilsTheNextAnswerIsSeenThrough(t *testing.T) {
	onEvery(t, func(t *testing.T, server *modbussim.Server, open func(...Point) *device) {
		newPlant(server)
		server.Trap(modbussim.Holdings, 26, 5)
		server.Set(modbussim.Holdings, 32, 77)
		d := open(append(plantPoints(), Point{Name: "beyond", Address: address("holding:32")})...)
		want := append(plantReading(1), message.Point{Name: "beyond", Value: message.Uint(77)})
		for range 5 {
			notWrong(t, d, want)
		}
		good(t, d, want)
		if server.Counts().Requests[3] == 6*uint64(len(d.requests)) {
			t.Error("the trap was never met")
		}
	})
}

func TestComplaint15NeighboursAreReadTogether(t *testing.T) {
	onEvery(t, func(t *testing.T, server *modbussim.Server, open func(...Point) *device) {
		var points []Point
		for i := range 100 {
			points = append(points, Point{Name: fmt.Sprint("r", i), Address: Address{Area: Holding, Number: uint16(i)}})
		}
		d := open(points...)
		for range 10 {
			if _, err := read(t, d); err != nil {
				t.Fatal(err)
			}
		}
		if n := server.Counts().Requests[3]; n != 10 {
			t.Errorf("%d requests in 10 polls of 100 neighbours, want 10", n)
		}
	})
}

func TestComplaint17UnsolicitedFramesArePassedOver(t *testing.T) {
	onEvery(t, func(t *testing.T, server *modbussim.Server, open func(...Point) *device) {
		newPlant(server)
		server.Always(modbussim.Fault{Kind: modbussim.Unsolicited})
		d := open(plantPoints()...)
		for range 5 {
			good(t, d, plantReading(1))
		}
		if got, err := d.Write(t.Context(), "setpoint", json.RawMessage("41")); err != nil || got.String() != "41" {
			t.Errorf("a write got %v, %v", got, err)
		}
	})
}

func TestComplaint18AnotherMastersTalkIsPassedOver(t *testing.T) {
	onEvery(t, func(t *testing.T, server *modbussim.Server, open func(...Point) *device) {
		newPlant(server)
		server.Always(modbussim.Fault{Kind: modbussim.OtherMaster})
		d := open(plantPoints()...)
		for range 5 {
			good(t, d, plantReading(1))
		}
	})
}

// Nothing of an answer in the other dialect becomes a value; what to do is said; and once the
// converter is set right, or back, everything is read.
func TestComplaint19OtherDialectIsRecognised(t *testing.T) {
	for _, test := range []struct {
		scheme       string
		asked, turns modbussim.Dialect
		want         string
	}{
		{"tcp", modbussim.TCP, modbussim.RTU, "the converter answers in Modbus RTU over TCP; change the address to rtu+tcp://10.0.0.9:502"},
		{"tcp", modbussim.TCP, modbussim.ASCII, "the converter answers in Modbus ASCII over TCP; change the address to ascii+tcp://10.0.0.9:502"},
		{"rtu+tcp", modbussim.RTU, modbussim.TCP, "the converter answers in Modbus TCP; change the address to tcp://10.0.0.9:502"},
		{"ascii+tcp", modbussim.ASCII, modbussim.RTU, "the converter answers in Modbus RTU over TCP; change the address to rtu+tcp://10.0.0.9:502"},
	} {
		t.Run(test.scheme+" "+string(test.turns), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &modbussim.Server{Dialect: test.asked}
				plant := newPlant(server)
				d := pipeTo(t, server, options(test.scheme+"://10.0.0.9:502", plantPoints()...))
				good(t, d, plantReading(1))
				server.Speak(test.turns)
				plant.Step()
				for range 3 {
					_, err := read(t, d)
					if err == nil || !strings.Contains(err.Error(), test.want) {
						t.Errorf("got %v, want %q", err, test.want)
					}
				}
				server.Speak("")
				plant.Step()
				notWrong(t, d, plantReading(3))
				good(t, d, plantReading(3))
			})
		})
	}
}

func TestComplaint20EchoIsPassedOver(t *testing.T) {
	for _, way := range dialects[1:] { // what is spoken where adapters echo
		t.Run(way.scheme, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &modbussim.Server{Dialect: way.spoken}
				newPlant(server)
				server.Always(modbussim.Fault{Kind: modbussim.Echo})
				d := pipeTo(t, server, options(way.scheme+"://10.0.0.9:502", plantPoints()...))
				for range 5 {
					good(t, d, plantReading(1))
				}
			})
		})
	}
}

// An answer that begins while the adapter still sends loses its first byte. It is no answer then, and
// no value; what to change is the device's or the converter's delay.
func TestComplaint20AnswerThatComesTooSoonIsNoValue(t *testing.T) {
	onEvery(t, func(t *testing.T, server *modbussim.Server, open func(...Point) *device) {
		newPlant(server)
		d := open(plantPoints()...)
		good(t, d, plantReading(1))
		server.Misbehave(modbussim.Fault{Kind: modbussim.Hasty})
		for range 3 {
			notWrong(t, d, plantReading(1))
		}
		good(t, d, plantReading(1))
	})
}

// What the wire may do to an answer in every dialect: the values are right or missing, and all there
// again two polls later.
func TestDamagedAnswersAreNoValues(t *testing.T) {
	for _, kind := range []modbussim.Kind{
		modbussim.ShortFrame, modbussim.Garbage, modbussim.WrongUnit, modbussim.WrongFunction, modbussim.WrongByteCount,
		modbussim.WrongLength, modbussim.FlippedBit, modbussim.LostByte, modbussim.Hasty, modbussim.Noise,
		modbussim.Silence, modbussim.Close, modbussim.CloseAfter, modbussim.CutFrame,
	} {
		t.Run(string(kind), func(t *testing.T) {
			onEvery(t, func(t *testing.T, server *modbussim.Server, open func(...Point) *device) {
				plant := newPlant(server)
				d := open(plantPoints()...)
				good(t, d, plantReading(1))
				for count := uint32(1); count < 60; count++ {
					server.Misbehave(modbussim.Fault{}, modbussim.Fault{}, modbussim.Fault{Kind: kind})
					for range 2 {
						notWrong(t, d, plantReading(count))
					}
					plant.Step()
				}
				server.Always(modbussim.Fault{})
				for range 6 { // the rest of what was ordered
					notWrong(t, d, plantReading(60))
				}
				good(t, d, plantReading(60))
			})
		})
	}
}

func TestBusyDeviceIsAskedAgainInTheSamePoll(t *testing.T) {
	for _, code := range []byte{5, 6} {
		onEvery(t, func(t *testing.T, server *modbussim.Server, open func(...Point) *device) {
			newPlant(server)
			d := open(plantPoints()...)
			busy := modbussim.Fault{Kind: modbussim.Exception, Exception: code}
			server.Misbehave(busy, busy)
			started := time.Now()
			good(t, d, plantReading(1))
			if took := time.Since(started); took < 300*time.Millisecond || took > time.Second {
				t.Errorf("took %v, want pauses of 100 and 200 ms", took)
			}
			server.Always(busy)
			started = time.Now()
			if _, err := read(t, d); err == nil || !strings.Contains(err.Error(), exception(code).Error()) {
				t.Errorf("a device that stays busy: %v", err)
			}
			if took := time.Since(started); took > 2*patience {
				t.Errorf("a device that stays busy held the poll for %v", took)
			}
		})
	}
}

func TestGatewayThatFindsNobodyIsToldFromADeadOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := &modbussim.Server{}
		newPlant(there)
		rack := &modbussim.Rack{Gateway: true, Devices: map[byte]*modbussim.Server{2: there}}
		_, devices := rackOnALine(t, "tcp", rack, 1, 2)
		_, err := read(t, devices[0])
		if want := "unit 1: exception 11: gateway target device failed to respond: the gateway answers, the device behind it does not"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		good(t, devices[1], plantReading(1))
	})
}
