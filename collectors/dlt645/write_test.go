package dlt645_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/dlt645"
	"sluice/collectors/dlt645/dlt645sim"
)

const password = "02123456"

// secret writes a file that holds text.
func secret(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
	return path
}

func TestValuesAreWrittenWithThePassword(t *testing.T) {
	for _, c := range []struct {
		name     string
		fault    dlt645sim.Fault
		edition  dlt645.Edition
		point    string
		password string
		value    string
		want     string
		err      string
		writes   int
	}{
		{name: "number", point: "p=0F000001/XX.XX", value: "12.5", want: "12.5", writes: 1},
		{name: "signed", point: "p=0F000001/-XX.XX", value: "-0.07", want: "-0.07", writes: 1},
		{name: "bits", point: "p=0F000001/bits:2", value: "258", want: "258", writes: 1},
		{name: "digits", point: "p=0F000001/NNNN", value: `"0042"`, want: `"0042"`, writes: 1},
		{name: "text", point: "p=0F000001/ascii:6", value: `"220V"`, want: `"220V"`, writes: 1},
		{name: "moment", point: "p=0F000001/YYMMDDhhmm", value: `"2026-11-22T10:15"`, want: `"2026-11-22T10:15"`, writes: 1},
		{name: "1997", edition: dlt645.Edition1997, point: "p=D101/XX.XX", value: "12.5", want: "12.5", writes: 1},
		{name: "wrong password", point: "p=0F000001/XX.XX", password: "02000000", value: "1", err: "not written: the meter refused: password wrong or not authorised"},
		{name: "no digits", point: "p=0F000001/XX.XX", password: "open sesame", value: "1", err: "does not hold 8 digits"},
		{name: "not taken", fault: dlt645sim.Deaf, point: "p=0F000001/XX.XX", value: "12.5", want: "0.01", err: "the meter took 12.5, but reads back 0.01", writes: 1},
		{name: "no answer", fault: dlt645sim.MuteWrite, point: "p=0F000001/XX.XX", value: "12.5", err: "outcome unknown: no answer", writes: 1},
		{name: "absent", fault: dlt645sim.Silence, point: "p=0F000001/XX.XX", value: "12.5", err: "not written: no answer"},
		{name: "too large", point: "p=0F000001/XX.XX", value: "100", err: "does not fit XX.XX"},
		{name: "too fine", point: "p=0F000001/XX.XX", value: "0.001", err: "has more decimals"},
		{name: "negative", point: "p=0F000001/XX.XX", value: "-1", err: "does not fit XX.XX"},
		{name: "sign bit", point: "p=0F000001/-XX.XX", value: "80", err: "whose top bit is the sign"},
		{name: "no number", point: "p=0F000001/XX.XX", value: `"1"`, err: "is not a number"},
		{name: "no bits", point: "p=0F000001/bits:2", value: "65536", err: "is not a whole number of 16 bits"},
		{name: "no date", point: "p=0F000001/YYMMDDhhmm", value: `"2026-13-22T10:15"`, err: "is not like YYMMDDhhmm"},
		{name: "no digits of a number", point: "p=0F000001/NNNN", value: `"42"`, err: "is not like NNNN"},
		{name: "long text", point: "p=0F000001/ascii:2", value: `"220V"`, err: "does not fit ascii:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line := simulate(t, atNoon(dlt645sim.Options{Password: password}))
			line.Set(0x0F000001, initially(c.point))
			line.Set(0xD101, []byte{1, 0})
			driver := &dlt645.Driver{Buses: busOn(t, line.Path()), Edition: c.edition}
			if c.password == "" {
				c.password = password
			}
			timeout := patient
			if c.fault != dlt645sim.Healthy {
				timeout = brief
			}
			device := openWith(t, driver, "000000000161", timeout, func(o *dlt645.Options) {
				o.PasswordFile, o.Points[0].Access = secret(t, c.password), "rw"
			}, c.point)
			line.Misbehave(c.fault)
			got, err := device.(collectors.Writer).Write(t.Context(), "p", json.RawMessage(c.value))
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			if c.want != "" && got.String() != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
			if seen := line.Seen(); seen.Writes != c.writes {
				t.Errorf("written %d times, want %d", seen.Writes, c.writes)
			}
			if err != nil && strings.Contains(err.Error(), c.password) {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
}

// initially is what a point's identifier holds at first.
func initially(point string) []byte {
	switch {
	case strings.Contains(point, "YY"):
		return []byte{0, 0, 1, 1, 0x26}
	case strings.HasSuffix(point, "ascii:6"):
		return make([]byte, 6)
	}
	return []byte{1, 0}
}

func TestClocksAreSet(t *testing.T) {
	for _, c := range []struct {
		name      string
		edition   dlt645.Edition
		broadcast bool
		off       time.Duration // of the meter's clock
		value     string
		err       string
		writes    int
		times     int
	}{
		{name: "now", off: time.Hour, value: `"now"`, writes: 2},
		{name: "1997", edition: dlt645.Edition1997, off: -40 * 24 * time.Hour, value: `"now"`, writes: 2},
		{name: "to a time", value: `"2027-01-01T00:00:00"`, writes: 2},
		{name: "broadcast", broadcast: true, off: time.Minute, value: `"now"`, times: 1},
		{name: "too far", broadcast: true, off: time.Hour, value: `"now"`, err: "meters take a broadcast once a day", times: 1},
		{name: "nonsense", value: `"soon"`, err: `neither "now" nor a time`},
		{name: "number", value: `5`, err: `neither "now" nor a time`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// The meter's clock is wall time as its gateway has it.
			clock := func() time.Time { return time.Now().Local().Add(c.off) }
			line := simulate(t, dlt645sim.Options{Password: password, Clock: clock})
			driver := &dlt645.Driver{Buses: busOn(t, line.Path()), Edition: c.edition}
			device := openWith(t, driver, "000000000161", patient, func(o *dlt645.Options) {
				o.Points[0].Access = "rw"
				if c.broadcast {
					o.ClockWrite = "broadcast"
				} else {
					o.PasswordFile, o.OperatorFile = secret(t, password), secret(t, "00000001")
				}
			}, "clock=clock")
			got, err := device.(collectors.Writer).Write(t.Context(), "clock", json.RawMessage(c.value))
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %v, %v; want %q", got, err, c.err)
			}
			if seen := line.Seen(); seen.Writes != c.writes || seen.Times != c.times {
				t.Errorf("the line saw %+v", seen)
			}
		})
	}
}

func TestWhatMayBeWrittenIsChecked(t *testing.T) {
	driver := &dlt645.Driver{}
	at := 3
	for _, c := range []struct {
		change func(o *dlt645.Options)
		want   string
	}{
		{func(o *dlt645.Options) {}, "points[0].access"}, // no password
		{func(o *dlt645.Options) { o.PasswordFile = "x" }, ""},
		{func(o *dlt645.Options) { o.PasswordFile, o.Points[0].At = "x", &at }, "points[0].access"},
		{func(o *dlt645.Options) { o.PasswordFile, o.Points[0].Access = "x", "w" }, "points[0].access"},
		{func(o *dlt645.Options) { o.ClockWrite = "broadcast" }, "points[0].access"},
		{func(o *dlt645.Options) { o.ClockWrite = "yell" }, "clock_write points[0].access"},
		{func(o *dlt645.Options) {
			o.ClockWrite = "broadcast"
			must(t, o.Points[0].ID.UnmarshalText([]byte("clock")))
		}, ""},
		{func(o *dlt645.Options) {
			o.PasswordFile, o.Points[0].At = "x", &at
			must(t, o.Points[0].ID.UnmarshalText([]byte("clock")))
		}, "points[0].format points[0].access"},
	} {
		o := driver.Options().(*dlt645.Options)
		o.Address = "bus://line"
		must(t, o.Meter.UnmarshalText([]byte("000000000161")))
		o.Points = []dlt645.PointOptions{point(t, "a", "00010000")}
		o.Points[0].Access = "rw"
		c.change(o)
		if got := mistakes(o); got != c.want {
			t.Errorf("mistakes at %q, want %q", got, c.want)
		}
	}
}

func TestOnlyWhatMayBeWrittenIs(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{}))
	device := open(t, &dlt645.Driver{Buses: busOn(t, line.Path())}, "000000000161", patient, "a=00010000").(collectors.Writer)
	for point, want := range map[string]string{"a": "point a is read-only", "none": `there is no point "none"`} {
		if _, err := device.Write(t.Context(), point, json.RawMessage("1")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", point, err, want)
		}
	}
}
