// Package drivertest is the contract that every driver passes, as a test that the driver's own tests
// run against its simulator.
package drivertest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/gateway/message"
)

// Case is a driver together with a device that it can reach.
type Case struct {
	Driver  collectors.Driver
	Options func() any        // filled in for the device; requests time out within a second
	Points  []string          // the names in those options, in their order
	Silence func(silent bool) // makes the device stop answering, and answer again
}

// patience bounds every wait: far longer than a driver needs, so that only a hanging one meets it.
const patience = 20 * time.Second

// Run checks the contract of collectors.Driver and collectors.Device.
func Run(t *testing.T, c Case) {
	t.Run("OptionsAreFresh", c.optionsAreFresh)
	t.Run("OpenRefusesForeignOptions", c.openRefusesForeignOptions)
	t.Run("OpenTouchesNoDevice", c.openTouchesNoDevice)
	t.Run("PointsAreThoseOfTheOptions", c.pointsAreThoseOfTheOptions)
	t.Run("ReadFillsThePointsInOrder", c.readFillsThePointsInOrder)
	t.Run("PartsReadTheirOwnPoints", c.partsReadTheirOwnPoints)
	t.Run("ReadEndsWithItsContext", c.readEndsWithItsContext)
	t.Run("DeadDeviceIsAnErrorAndComesBack", c.deadDeviceIsAnErrorAndComesBack)
	t.Run("CloseMayBeRepeatedAndReadReopens", c.closeMayBeRepeatedAndReadReopens)
}

func (c Case) open(t *testing.T) collectors.Device {
	t.Helper()
	device, err := c.Driver.Open("tested", c.Options())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := device.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return device
}

func (c Case) optionsAreFresh(t *testing.T) {
	first, second := c.Driver.Options(), c.Driver.Options()
	v := reflect.ValueOf(first)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		t.Fatalf("Options gives %T, want a pointer to a struct", first)
	}
	if v.Pointer() == reflect.ValueOf(second).Pointer() {
		t.Error("Options gives the same struct twice")
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("defaults differ: %+v and %+v", first, second)
	}
}

func (c Case) openRefusesForeignOptions(t *testing.T) {
	if device, err := c.Driver.Open("tested", struct{}{}); err == nil {
		device.Close()
		t.Error("Open took options of another type")
	}
}

func (c Case) openTouchesNoDevice(t *testing.T) {
	c.Silence(true)
	defer c.Silence(false)
	started := time.Now()
	c.open(t)
	if took := time.Since(started); took > 500*time.Millisecond {
		t.Errorf("Open took %v while the device was silent", took)
	}
}

func (c Case) pointsAreThoseOfTheOptions(t *testing.T) {
	if got := names(c.open(t).Points()); !slices.Equal(got, c.Points) {
		t.Errorf("Points gives %q, want %q", got, c.Points)
	}
}

func names(specs []collectors.Spec) []string {
	var out []string
	for _, s := range specs {
		out = append(out, s.Name)
	}
	return out
}

func (c Case) partsReadTheirOwnPoints(t *testing.T) {
	device := c.open(t)
	whole, ok := device.(collectors.Divisible)
	if !ok {
		t.Skip("the driver reads all points at once")
	}
	for _, points := range [][]int{{0}, {len(c.Points) - 1}, all(len(c.Points))} {
		part := whole.Part(points)
		want := Case{}
		for _, i := range points {
			want.Points = append(want.Points, c.Points[i])
		}
		if got := names(part.Points()); !slices.Equal(got, want.Points) {
			t.Errorf("the part %v has the points %q, want %q", points, got, want.Points)
		}
		var r message.Reading
		if err := c.read(t, part, &r); err != nil {
			t.Errorf("Read of the part %v: %v", points, err)
		} else if problem := want.check(&r); problem != nil {
			t.Errorf("the part %v: %v", points, problem)
		}
	}
}

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func (c Case) readFillsThePointsInOrder(t *testing.T) {
	device := c.open(t)
	r := message.Reading{
		Gateway: "g", Device: "d", Seq: 7, Time: 8,
		Points: []message.Point{{Name: "left over", Value: message.Int(1), Error: "left over"}},
	}
	for range 3 { // a Poller hands the same Reading in again and again
		if err := c.read(t, device, &r); err != nil {
			t.Fatalf("Read: %v", err)
		}
		if problem := c.check(&r); problem != nil {
			t.Error(problem)
		}
	}
	if r.Gateway != "g" || r.Device != "d" || r.Seq != 7 || r.Time != 8 {
		t.Errorf("Read changed more than the points: %+v", r)
	}
}

// check tells what is wrong with a reading of a device that works.
func (c Case) check(r *message.Reading) error {
	if len(r.Points) != len(c.Points) {
		return fmt.Errorf("%d points, want %d: %+v", len(r.Points), len(c.Points), r.Points)
	}
	for i, p := range r.Points {
		if p.Name != c.Points[i] {
			return fmt.Errorf("point %d is %q, want %q", i, p.Name, c.Points[i])
		}
		if p.Error != "" || p.Value.Absent() {
			return fmt.Errorf("point %s has value %v and error %q", p.Name, p.Value, p.Error)
		}
	}
	return nil
}

func (c Case) readEndsWithItsContext(t *testing.T) {
	device := c.open(t)
	c.Silence(true)
	defer c.Silence(false)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	started := time.Now()
	var r message.Reading
	if err := device.Read(ctx, &r); err == nil {
		t.Errorf("Read of a silent device gave %+v", r.Points)
	}
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("Read returned %v after its start, its context ended after 50ms", took)
	}
}

func (c Case) deadDeviceIsAnErrorAndComesBack(t *testing.T) {
	device := c.open(t)
	var r message.Reading
	if err := c.read(t, device, &r); err != nil {
		t.Fatalf("Read before: %v", err)
	}
	c.Silence(true)
	if err := c.read(t, device, &r); err == nil {
		t.Errorf("Read of a silent device gave %+v", r.Points)
	}
	c.Silence(false)
	var err error
	for range 3 {
		if err = c.read(t, device, &r); err == nil {
			err = c.check(&r)
		}
		if err == nil {
			return
		}
	}
	t.Errorf("the third Read after the device came back: %v", err)
}

func (c Case) closeMayBeRepeatedAndReadReopens(t *testing.T) {
	device := c.open(t)
	var r message.Reading
	for range 2 {
		if err := c.read(t, device, &r); err != nil {
			t.Errorf("Read: %v", err)
		}
		for range 2 {
			if err := device.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	}
}

func (c Case) read(t *testing.T, device collectors.Device, r *message.Reading) error {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := device.Read(ctx, r)
	if ctx.Err() != nil {
		t.Fatalf("Read hung until the test's patience of %v ended", patience)
	}
	return err
}
