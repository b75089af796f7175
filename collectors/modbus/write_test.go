package modbus

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors/modbus/modbussim"
)

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

func TestExceptionTellsWhetherAWriteMayHaveBeenDone(t *testing.T) {
	for code, want := range map[byte]string{
		2: "not written", 3: "not written", 6: "not written", 10: "not written",
		4: "outcome unknown", 5: "outcome unknown", 8: "outcome unknown", 11: "outcome unknown", 77: "outcome unknown",
	} {
		synctest.Test(t, func(t *testing.T) {
			server := &modbussim.Server{}
			d := pipe(t, server, plantPoints()...)
			server.Misbehave(modbussim.Fault{}, modbussim.Fault{Kind: modbussim.Exception, Exception: code})
			_, err := d.Write(t.Context(), "setpoint", json.RawMessage("42"))
			if err == nil || !strings.Contains(err.Error(), want+": exception") {
				t.Errorf("exception %d: got %v, want %q", code, err, want)
			}
		})
	}
}

// functionsOf lists the functions of the writes that reached the device, refused ones included.
func functionsOf(server *modbussim.Server) []byte {
	var out []byte
	for _, function := range []byte{5, 6, 15, 16, 22, 23} {
		for range server.Counts().Requests[function] {
			out = append(out, function)
		}
	}
	return out
}

func TestWayToWriteIsChosenAndLearned(t *testing.T) {
	points := []Point{
		{Name: "one", Address: address("holding:10"), Access: "rw"},
		{Name: "two", Address: address("holding:12"), Type: "uint32", Access: "rw"},
		{Name: "coil", Address: address("coil:3"), Access: "rw"},
	}
	for _, test := range []struct {
		name    string
		style   WriteStyle
		refused []byte
		writes  []string // point=value, and what is said; nothing when it succeeds
		asked   []byte
	}{
		{"auto", writeAuto, nil, []string{"one=7", "two=70000", "coil=true"}, []byte{5, 6, 16}},
		{"only 16", writeAuto, []byte{5, 6}, []string{"one=7", "one=8", "one=9", "coil=true", "coil=false"}, []byte{5, 6, 15, 15, 16, 16, 16}},
		{"only 6", writeAuto, []byte{15, 16}, []string{"one=7", "coil=true", "two=70000: not written: exception 1: illegal function (16); the device cannot write 2 registers in one"}, []byte{5, 6, 16}},
		{"neither", writeAuto, []byte{6, 16}, []string{"one=7: not written: exception 1: illegal function (16); nor does it know the other"}, []byte{6, 16}},
		{"single", writeSingle, []byte{15, 16}, []string{"one=7", "two=70000", "coil=true"}, []byte{5, 6, 6, 6}},
		{"single refused", writeSingle, []byte{6}, []string{"one=7: not written: exception 1: illegal function (6); set write to auto"}, []byte{6}},
		{"multiple", writeMultiple, []byte{5, 6}, []string{"one=7", "two=70000", "coil=true"}, []byte{15, 16, 16}},
		{"read-write", writeSwap, nil, []string{"one=7", "two=70000", "coil=true"}, []byte{5, 23, 23}},
		{"read-write refused", writeSwap, []byte{23}, []string{"one=7: not written: exception 1: illegal function (23); the device cannot write and read in one: set write to auto"}, []byte{23}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &modbussim.Server{}
				server.Refuse(test.refused...)
				o := options("tcp://10.0.0.9:502", points...)
				o.Write = test.style
				d := pipeTo(t, server, o)
				for _, written := range test.writes {
					written, want, fails := strings.Cut(written, ": ")
					name, value, _ := strings.Cut(written, "=")
					got, err := d.Write(t.Context(), name, json.RawMessage(value))
					if fails && (err == nil || !strings.Contains(err.Error(), want)) || !fails && (err != nil || got.String() != value) {
						t.Errorf("%s: got %v, %v, want %q", written, got, err, want)
					}
				}
				if got := functionsOf(server); !slices.Equal(got, test.asked) {
					t.Errorf("functions %v, want %v", got, test.asked)
				}
			})
		})
	}
}

func TestValueWrittenInPartIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		o := options("tcp://10.0.0.9:502", Point{Name: "two", Address: address("holding:12"), Type: "uint32", Access: "rw"})
		o.Write = writeSingle
		d := pipeTo(t, server, o)
		server.Misbehave(modbussim.Fault{}, modbussim.Fault{}, modbussim.Fault{Kind: modbussim.Exception, Exception: 3})
		_, err := d.Write(t.Context(), "two", json.RawMessage("70000"))
		if want := "outcome unknown: of 2 registers 1 were written: exception 3"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	})
}

func TestPartOfARegisterIsWrittenAlone(t *testing.T) {
	points := []Point{
		{Name: "bit", Address: address("holding:7.2"), Access: "rw"},
		{Name: "high", Address: address("holding:7.h"), Access: "rw"},
		{Name: "swapped", Address: address("holding:7.2"), Order: "BA", Access: "rw"},
	}
	for _, test := range []struct {
		name         string
		style        BitStyle
		refused      []byte
		point, value string
		after        uint16
		want         string
		asked        []byte
	}{
		{"bit on", bitMask, nil, "bit", "true", 0xA5A5 | 4, "", []byte{22}},
		{"bit off", bitMask, nil, "bit", "false", 0xA5A1, "", []byte{22}},
		{"byte", bitMask, nil, "high", "18", 0x12A5, "", []byte{22}},
		{"bit of the other byte", bitMask, nil, "swapped", "false", 0xA1A5, "", []byte{22}},
		{"no mask", bitMask, []byte{22}, "bit", "false", 0xA5A5, "not written: exception 1: illegal function (22); a part of a register can then only", []byte{22}},
		{"modified", bitModify, []byte{22}, "bit", "false", 0xA5A1, "", []byte{6, 22}},
		{"modified with 16", bitModify, []byte{6, 22}, "high", "18", 0x12A5, "", []byte{6, 16, 22}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &modbussim.Server{}
				server.Set(modbussim.Holdings, 7, 0xA5A5)
				server.Refuse(test.refused...)
				o := options("tcp://10.0.0.9:502", points...)
				o.BitWrite = test.style
				d := pipeTo(t, server, o)
				got, err := d.Write(t.Context(), test.point, json.RawMessage(test.value))
				if test.want == "" && (err != nil || got.String() != test.value) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("got %v, %v, want %s %q", got, err, test.value, test.want)
				}
				if after := server.Value(modbussim.Holdings, 7); after != test.after {
					t.Errorf("the register is %04x, want %04x", after, test.after)
				}
				if got := functionsOf(server); !slices.Equal(got, test.asked) {
					t.Errorf("functions %v, want %v", got, test.asked)
				}
				if test.style == bitModify { // the second time it is known
					d.Write(t.Context(), test.point, json.RawMessage(test.value))
					if n := server.Counts().Requests[22]; n != 1 {
						t.Errorf("function 22 was tried %d times, want once", n)
					}
				}
			})
		})
	}
}

// A write and what belongs to it is one turn, which goes before those that wait.
func TestWriteIsOneUrgentTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		w := newPipes(t, server)
		d := openOn(t, &Driver{}, w, options("tcp://10.0.0.9:502", plantPoints()...))
		if _, err := d.Write(t.Context(), "setpoint", json.RawMessage("42")); err != nil {
			t.Fatal(err)
		}
		if len(w.exchanges) != 3 || w.turns != 1 {
			t.Errorf("%d exchanges in %d turns, want read, write and read back in one", len(w.exchanges), w.turns)
		}
		for i, each := range w.exchanges {
			if !each.urgent {
				t.Errorf("exchange %d is not urgent", i)
			}
		}
	})
}
