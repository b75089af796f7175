package simulated_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/drivertest"
	"sluice/collectors/simulated"
	"sluice/gateway/message"
)

func options() *simulated.Options {
	forty, one := 40.0, 1
	return &simulated.Options{Points: []simulated.PointOptions{
		{Name: "temperature", Wave: "sine", Period: time.Minute, Min: 20, Max: &forty, Type: "float", Decimals: &one},
		{Name: "level", Wave: "ramp", Period: 10 * time.Second, Type: "float"},
		{Name: "running", Wave: "square", Period: 20 * time.Second, Type: "bool"},
		{Name: "vibration", Wave: "random", Period: time.Second, Type: "float"},
		{Name: "counter", Wave: "counter", Period: time.Second, Type: "int"},
		{Name: "setpoint", Wave: "ramp", Period: time.Minute, Type: "int", Access: "rw"},
	}}
}

func TestContract(t *testing.T) {
	var away atomic.Bool
	drivertest.Run(t, drivertest.Case{
		Driver:  &simulated.Driver{Unplugged: away.Load},
		Options: func() any { return options() },
		Points:  []string{"temperature", "level", "running", "vibration", "counter", "setpoint"},
		Silence: away.Store,
	})
}

func TestExamplesOfTheDocumentAreValid(t *testing.T) {
	drivertest.Examples(t, "simulated", &simulated.Driver{}, "devices", "")
}

// readAt reads a device at a moment, as JSON.
func readAt(t *testing.T, now time.Time, o *simulated.Options) map[string]string {
	t.Helper()
	device, err := (&simulated.Driver{Now: func() time.Time { return now }}).Open("machine", o)
	if err != nil {
		t.Fatal(err)
	}
	var r message.Reading
	if err := device.Read(t.Context(), &r); err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, p := range r.Points {
		values[p.Name] = p.Value.String()
	}
	return values
}

func TestValuesFollowFromTheClock(t *testing.T) {
	quarter := time.Unix(60*1000+15, 0) // of a minute
	for name, want := range map[string]string{
		"temperature": "40", "level": "50", "running": "true", "counter": "60015", "setpoint": "25",
	} {
		if got := readAt(t, quarter, options())[name]; got != want {
			t.Errorf("%s is %s at a quarter past the minute, want %s", name, got, want)
		}
	}
	if got := readAt(t, quarter.Add(30*time.Second), options())["temperature"]; got != "20" {
		t.Errorf("half a period later the temperature is %s, want 20", got)
	}
	first, again := readAt(t, quarter, options())["vibration"], readAt(t, quarter.Add(999*time.Millisecond), options())["vibration"]
	if next := readAt(t, quarter.Add(time.Second), options())["vibration"]; first != again || first == next {
		t.Errorf("random is %s, then %s in the same period and %s in the next", first, again, next)
	}
}

func TestAClockBefore1970(t *testing.T) {
	values := readAt(t, time.Unix(-5, 0), options())
	if values["level"] != "50" || values["counter"] != "0" {
		t.Errorf("five seconds before 1970 the values are %v", values)
	}
}

func TestWhatIsWrittenStays(t *testing.T) {
	device, err := (&simulated.Driver{}).Open("machine", options())
	if err != nil {
		t.Fatal(err)
	}
	writer := device.(collectors.Writer)
	for _, c := range []struct{ point, value, refused string }{
		{"setpoint", "42", ""},
		{"setpoint", "4.5", "a whole number"},
		{"setpoint", "101", "outside 0 to 100"},
		{"setpoint", "null", "a number is wanted"},
		{"setpoint", `"42"`, "a number is wanted"},
		{"level", "4", "not writable"},
		{"nothing", "4", "no point"},
	} {
		value, err := writer.Write(t.Context(), c.point, json.RawMessage(c.value))
		if c.refused == "" && (err != nil || value.String() != c.value) {
			t.Errorf("writing %s to %s gives %v, %v", c.value, c.point, value, err)
		}
		if c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("writing %s to %s gives %v, want %q", c.value, c.point, err, c.refused)
		}
	}
	var r message.Reading
	part := device.(collectors.Divisible).Part([]int{5})
	if err := part.Read(t.Context(), &r); err != nil || r.Points[0].Value.String() != "42" {
		t.Errorf("a part reads %+v, %v after 42 was written", r.Points, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := device.Read(over, &r); err == nil {
		t.Error("a Read whose context has ended gives values")
	}
}

func TestImpossibleOptionsAreNamed(t *testing.T) {
	low := -1.0
	o := &simulated.Options{Points: []simulated.PointOptions{
		{Name: "a", Wave: "sine", Max: &low, Type: "float"},
		{Name: "b", Wave: "counter", Type: "bool"},
		{Name: "c", Wave: "ramp", Min: 1e300, Type: "float"},
	}}
	var got []string
	o.Validate(func(path, _ string) { got = append(got, path) })
	if want := "points[0].max points[1].type points[2].min"; strings.Join(got, " ") != want {
		t.Errorf("reported %v, want %s", got, want)
	}
}
