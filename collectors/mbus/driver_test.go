package mbus_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/drivertest"
	"sluice/collectors/mbus"
	"sluice/collectors/mbus/mbussim"
)

var noon = time.Date(2026, 11, 22, 12, 0, 1, 0, time.UTC)

const (
	patient = 5 * time.Second        // an answer is coming; the machine may be slow
	brief   = 300 * time.Millisecond // none is
)

var (
	must = drivertest.Must
	open = drivertest.Open
)

// simulate runs a line until the test ends. Its meters' clock stands still.
func simulate(t *testing.T, meters ...mbussim.Meter) *mbussim.Line {
	t.Helper()
	line, err := mbussim.Open(mbussim.Options{Meters: meters, Clock: func() time.Time { return noon }})
	must(t, err)
	drivertest.Simulate(t, line.Run)
	return line
}

func busOn(t *testing.T, line *mbussim.Line) *bus.Set {
	t.Helper()
	return drivertest.Buses(t, map[string]bus.Settings{
		"line": {Serial: line.Path(), Character: bus.Character{Baud: 38400, Parity: "even"}, Silence: 2 * time.Millisecond},
	})
}

// options are those of a meter with points given as "name=selector" or "name=selector in unit".
func options(t *testing.T, d *mbus.Driver, meter string, timeout time.Duration, points ...string) *mbus.Options {
	t.Helper()
	o := d.Options().(*mbus.Options)
	o.Timeout = timeout
	must(t, o.Address.UnmarshalText([]byte("bus://line")))
	must(t, o.Meter.UnmarshalText([]byte(meter)))
	for _, text := range points {
		name, record, _ := strings.Cut(text, "=")
		record, unit, _ := strings.Cut(record, " in ")
		p := mbus.PointOptions{Name: name, Unit: unit}
		must(t, p.Record.UnmarshalText([]byte(record)))
		o.Points = append(o.Points, p)
	}
	return o
}

// expect polls once.
func expect(t *testing.T, device collectors.Device, want string) {
	t.Helper()
	got, err := drivertest.Read(t, device)
	if err != nil {
		t.Errorf("%v, want %s", err, want)
		return
	}
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func expectError(t *testing.T, device collectors.Device, want string) {
	t.Helper()
	if got, err := drivertest.Read(t, device); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %s, %v; want an error with %q", got, err, want)
	}
}

func records(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	must(t, err)
	return b
}

func TestMeterIsRead(t *testing.T) {
	line := simulate(t)
	driver := &mbus.Driver{Buses: busOn(t, line)}
	s := mbussim.StateAt(noon)
	want := fmt.Sprintf(`energy=%d; gj=%v; volume=%v; power=%v; supply=%v; hours=%d; due=%d; clock="2026-11-22T12:00:00"; due_date="2026-01-01"; id="11490378"; maker="ACW"; medium="heat (outlet)"; none: none of the 10 records that the meter sent is pressure`,
		s.Energy, float64(s.Energy*36)/1e4, float64(s.Volume)/100, float64(s.Power)/1000, float64(s.Supply)/10, s.Hours, s.Energy/1000*1000)
	points := []string{"energy=energy", "gj=energy in GJ", "volume=volume", "power=power", "supply=flow_temperature", "hours=operating_time in h", "due=energy[storage=1]",
		"clock=datetime", "due_date=#9", "id=header.id", "maker=header.manufacturer", "medium=header.medium", "none=pressure"}
	for _, meter := range []string{"1", "11490378", "1149FFFF.ACW.14.4"} {
		device := open(t, driver, options(t, driver, meter, patient, points...))
		for range 3 {
			expect(t, device, want)
		}
	}
}

func TestSpecsNameTheUnit(t *testing.T) {
	driver := &mbus.Driver{Buses: busOn(t, simulate(t))}
	device := open(t, driver, options(t, driver, "1", patient, "a=energy", "b=energy in MWh", "c=#3", "d=volume_flow[exceeds,upper_limit]", "e=hca_units in pieces"))
	var units []string
	for _, spec := range device.Points() {
		units = append(units, spec.Name+" "+spec.Unit)
	}
	if want := []string{"a kWh", "b MWh", "c ", "d ", "e pieces"}; !slices.Equal(units, want) {
		t.Errorf("got %q, want %q", units, want)
	}
}

func TestAPartHasItsOwnPoints(t *testing.T) {
	driver := &mbus.Driver{Buses: busOn(t, simulate(t))}
	device := open(t, driver, options(t, driver, "1", patient, "a=header.id", "b=header.version", "c=header.manufacturer"))
	part := device.(collectors.Divisible).Part([]int{2, 0})
	expect(t, part, `c="ACW"; a="11490378"`)
	if specs := part.Points(); len(specs) != 2 || specs[0].Name != "c" {
		t.Errorf("its points are %+v", specs)
	}
	expect(t, device, `a="11490378"; b=14; c="ACW"`)
	must(t, part.Close())
}

func TestAnswerOfSeveralTelegrams(t *testing.T) {
	meter := mbussim.Meter{Primary: 5, ID: "00000005", Maker: "TST", Medium: 7, Telegrams: [][]byte{
		records(t, "0C 06 01 00 00 00"), records(t, "0C 13 02 00 00 00"), records(t, "02 5B 03 00"),
	}}
	line := simulate(t, meter)
	driver := &mbus.Driver{Buses: busOn(t, line)}
	for _, address := range []string{"5", "00000005"} {
		device := open(t, driver, options(t, driver, address, patient, "energy=energy", "volume=volume", "supply=#4"))
		for range 3 { // each begins with the first telegram again
			expect(t, device, "energy=1; volume=0.002; supply=3")
		}
	}
	if seen := line.Seen(); seen.Repeats != 0 {
		t.Errorf("a telegram was repeated: %+v", seen)
	}
	o := options(t, driver, "5", patient, "energy=energy", "supply=flow_temperature")
	o.Telegrams = 2
	expect(t, open(t, driver, o), "energy=1; supply: none of the 4 records that the meter sent is flow_temperature, but not all of its answer came: the answer has more than 2 telegrams")
}

func TestAMeterThatIgnoresTheFrameCountBit(t *testing.T) {
	line := simulate(t, mbussim.Meter{Primary: 5, ID: "00000005", Maker: "TST", Telegrams: [][]byte{records(t, "0C 06 01 00 00 00"), records(t, "0C 13 02 00 00 00")}})
	driver := &mbus.Driver{Buses: busOn(t, line)}
	line.Misbehave(mbussim.Repeat)
	device := open(t, driver, options(t, driver, "5", patient, "energy=energy", "volume=volume"))
	expect(t, device, "energy=1; volume: none of the 2 records that the meter sent is volume, but not all of its answer came: telegram 2: the meter sends the same telegram again instead of the next")
}

// A meter that does not answer a reset of the link must not be taken at what it sent last.
func TestAMeterThatIsDeafToResets(t *testing.T) {
	at := noon
	var mu sync.Mutex
	line, err := mbussim.Open(mbussim.Options{Meters: []mbussim.Meter{{Primary: 1, ID: "11490378", Maker: "ACW", Deaf: true}}, Clock: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return at
	}})
	must(t, err)
	drivertest.Simulate(t, line.Run)
	driver := &mbus.Driver{Buses: busOn(t, line)}
	for range 2 { // a gateway that starts again knows nothing of the frame count bit
		device := open(t, driver, options(t, driver, "1", brief, "power=power"))
		for range 5 {
			mu.Lock()
			at = at.Add(37 * time.Second)
			want := fmt.Sprintf("power=%v", float64(mbussim.StateAt(at).Power)/1000)
			mu.Unlock()
			expect(t, device, want)
		}
	}
	if seen := line.Seen(); seen.Resets >= 10 {
		t.Errorf("it was reset %d times in ten readings, though it never answers", seen.Resets)
	}
}

func TestFaultsOfTheLine(t *testing.T) {
	s := mbussim.StateAt(noon)
	good := fmt.Sprintf("energy=%d", s.Energy)
	for _, c := range []struct {
		fault mbussim.Fault
		meter string
		want  string // empty: a good reading
	}{
		{mbussim.Healthy, "1", ""},
		{mbussim.Flaky, "1", ""},
		{mbussim.Flaky, "11490378", ""},
		{mbussim.Garbage, "1", ""},
		{mbussim.Echo, "1", ""},
		{mbussim.Echo, "11490378", ""},
		{mbussim.Silence, "1", "meter 1 on line: no answer within"},
		{mbussim.Silence, "11490378", "meter 11490378 on line: no answer within"},
		{mbussim.BadChecksum, "1", "the frame is damaged: its checksum is"},
		{mbussim.WrongAddress, "1", "meter 0 answered"},
		{mbussim.WrongIdentity, "11490378", "meter 11490379.ACW.14.4 answered"},
		{mbussim.EchoOnly, "1", "answer within"},
		{mbussim.Short, "1", "the frame is cut short"},
		{mbussim.Refuse, "1", "it is busy, ask again later"},
		{mbussim.Encrypted, "1", "the meter encrypts its data (mode 5)"},
	} {
		t.Run(string(c.fault)+" "+c.meter, func(t *testing.T) {
			line := simulate(t)
			driver := &mbus.Driver{Buses: busOn(t, line)}
			device := open(t, driver, options(t, driver, c.meter, brief, "energy=energy"))
			expect(t, device, good)
			line.Misbehave(c.fault)
			if c.want == "" {
				expect(t, device, good)
			} else {
				expectError(t, device, c.want)
			}
			line.Misbehave(mbussim.Healthy)
			expect(t, device, good)
		})
	}
}

func TestEveryFaultIsTested(t *testing.T) {
	drivertest.FaultsAreTested(t, "mbussim", mbussim.Faults())
}

func TestEndlessAnswerEnds(t *testing.T) {
	line := simulate(t)
	driver := &mbus.Driver{Buses: busOn(t, line)}
	line.Misbehave(mbussim.Endless)
	device := open(t, driver, options(t, driver, "1", patient, "id=header.id", "energy=energy[n=1]"))
	expect(t, device, fmt.Sprintf(`id="11490378"; energy=%d`, mbussim.StateAt(noon).Energy))
	if seen := line.Seen(); seen.Reads != 10 {
		t.Errorf("the meter was asked %d times, want 10", seen.Reads)
	}
}

func TestAnAbsentMeterCostsThreeTimeouts(t *testing.T) {
	line := simulate(t)
	driver := &mbus.Driver{Buses: busOn(t, line)}
	for _, meter := range []string{"9", "99999999"} {
		before := line.Seen().Requests
		expectError(t, open(t, driver, options(t, driver, meter, 60*time.Millisecond, "energy=energy")), "no answer within")
		if asked := line.Seen().Requests - before; asked > 4 { // one of them lets go of whoever is selected
			t.Errorf("meter %s was asked %d times", meter, asked)
		}
	}
}

func TestSelectedMetersDoNotDisturbEachOther(t *testing.T) {
	var meters []mbussim.Meter
	for i := range 3 {
		meters = append(meters, mbussim.Meter{Primary: 0, ID: fmt.Sprintf("1000000%d", i), Maker: "TST", Medium: 7,
			Telegrams: [][]byte{records(t, fmt.Sprintf("0C 06 %02d 00 00 00", i)), records(t, fmt.Sprintf("0C 13 %02d 00 00 00", i))}})
	}
	line := simulate(t, meters...)
	driver := &mbus.Driver{Buses: busOn(t, line)}
	var reading sync.WaitGroup
	for i := range 3 {
		device := open(t, driver, options(t, driver, fmt.Sprintf("1000000%d", i), patient, "energy=energy", "volume=volume in l"))
		reading.Go(func() {
			for range 5 {
				expect(t, device, fmt.Sprintf("energy=%d; volume=%d", i, i))
			}
		})
	}
	reading.Wait()
	expectError(t, open(t, driver, options(t, driver, "1000000F", brief, "energy=energy")), "valid answer within")
}

func TestApplicationIsResetWhenConfigured(t *testing.T) {
	line := simulate(t)
	driver := &mbus.Driver{Buses: busOn(t, line)}
	for _, meter := range []string{"1", "11490378"} {
		o := options(t, driver, meter, patient, "id=header.id")
		must(t, o.Application.UnmarshalText([]byte("10")))
		device := open(t, driver, o)
		expect(t, device, `id="11490378"`)
		expect(t, device, `id="11490378"`)
	}
	if seen := line.Seen(); seen.Applies != 4 || seen.Repeats != 0 {
		t.Errorf("saw %+v, want four resets of the application", seen)
	}
}

func TestMeterOnATransparentServer(t *testing.T) {
	_, address := listen(t, mbussim.Options{Clock: func() time.Time { return noon }})
	driver := &mbus.Driver{Buses: drivertest.Buses(t, nil)}
	o := options(t, driver, "11490378", patient, "energy=energy")
	must(t, o.Address.UnmarshalText([]byte(address)))
	device := open(t, driver, o)
	for range 3 {
		expect(t, device, fmt.Sprintf("energy=%d", mbussim.StateAt(noon).Energy))
		must(t, device.Close()) // and it opens again
	}
}

// The meter's own rate is set for its requests, and the line's again for the others.
func TestMetersOfDifferentRatesShareALine(t *testing.T) {
	line := simulate(t, mbussim.Meter{Primary: 1, ID: "00000001", Maker: "TST"}, mbussim.Meter{Primary: 2, ID: "00000002", Maker: "TST"})
	driver := &mbus.Driver{Buses: busOn(t, line)}
	slow, fast := options(t, driver, "1", patient, "id=header.id"), options(t, driver, "2", patient, "id=header.id")
	slow.Baud = 2400
	one, two := open(t, driver, slow), open(t, driver, fast)
	for range 2 {
		expect(t, one, `id="00000001"`)
		if rate := rateOf(t, line.Path()); rate != unix.B2400 {
			t.Errorf("the slow meter was asked at rate %#o", rate)
		}
		expect(t, two, `id="00000002"`)
		if rate := rateOf(t, line.Path()); rate != unix.B38400 {
			t.Errorf("the fast meter was asked at rate %#o", rate)
		}
	}
}

func rateOf(t *testing.T, path string) uint32 {
	t.Helper()
	port, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	defer port.Close()
	settings, err := unix.IoctlGetTermios(int(port.Fd()), unix.TCGETS)
	must(t, err)
	return settings.Cflag & unix.CBAUD
}

func TestAPulledAdapterComesBack(t *testing.T) {
	for _, meter := range []string{"1", "11490378"} {
		line := simulate(t)
		driver := &mbus.Driver{Buses: busOn(t, line)}
		device := open(t, driver, options(t, driver, meter, brief, "id=header.id"))
		expect(t, device, `id="11490378"`)
		must(t, line.Wire().Pull())
		expectError(t, device, "meter "+meter+" on line")
		must(t, line.Wire().Replug())
		if _, err := drivertest.Read(t, device); err != nil {
			t.Logf("first reading: %v", err)
		}
		expect(t, device, `id="11490378"`)
	}
}

func TestWhatCannotWorkIsReported(t *testing.T) {
	driver := &mbus.Driver{Buses: busOn(t, simulate(t))}
	o := driver.Options().(*mbus.Options)
	o.Baud, o.Telegrams, o.Timeout = 1234, 0, 0
	o.Points = []mbus.PointOptions{{Name: "a"}, {Name: "a", Unit: "kWh"}, {}, {Name: "b", Unit: "m3"}}
	must(t, o.Points[1].Record.UnmarshalText([]byte("volume")))
	must(t, o.Points[3].Record.UnmarshalText([]byte("energy.max")))
	var got []string
	o.Validate(func(path, problem string) { got = append(got, path) })
	want := []string{"address", "meter", "baud", "timeout", "telegrams", "points[0].record", "points[1].name", "points[1].unit", "points[2].name", "points[2].record", "points[3].unit"}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	for _, bad := range []string{"", "line", "bus://", "bus://a b", "tcp://host", "tcp://:1", "serial:///dev/ttyS0"} {
		if err := o.Address.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted as a line", bad)
		}
	}
	for _, bad := range []string{"1", "100", "zz"} {
		if err := o.Application.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted as a subcode", bad)
		}
	}
	if _, err := driver.Open("meter", o); err == nil {
		t.Error("it was opened")
	}
}
