package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/config"
	"sluice/web"
)

func TestAGatewayExplainsItsRequestsAndLooksAtRegisters(t *testing.T) {
	plc := startPLC(t)
	plc.Set(modbussim.Holdings, 0, 1, 2, 3, 4)
	plc.Set(modbussim.Holdings, 200, 0x0000, 0x43AF)
	plc.Remove(modbussim.Holdings, 90, 1)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf(`web: {listen: ''}
devices:
  - name: press
    driver: modbus
    address: 'tcp://%s'
    interval: 20ms
    timeout: 200ms
    groups: [{name: fast, interval: 10ms}]
    points:
      - {name: a, address: "holding:0"}
      - {name: b, address: "holding:1", group: fast}
      - {name: c, address: "holding:2"}
      - {name: gone, address: "holding:90"}
  - name: outfall
    driver: hj212
    listen: 127.0.0.1:0
    mn: "88888880000001"
    password: HUSHHUSH
    points: [{name: cod, factor: w01018-Rtd}]
`, plc.Addr())))
	start(t, g.Run)
	p := fieldPoints{g}

	until(t, "the refusal is learned", func() bool {
		plan, err := p.Plan("press")
		if err != nil {
			t.Fatal(err)
		}
		return len(plan.Learned) == 1
	})
	plan, err := p.Plan("press")
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string][]string{}
	for _, r := range plan.Requests {
		key := fmt.Sprintf("%s/%s:%d+%d", r.Group, r.Area, r.Address, r.Count)
		asked[key] = r.Points
		if r.Address == 90 && (r.Refused == nil || r.Refused.Chinese == "" || r.Reason == nil) {
			t.Errorf("the refused request is %+v", r)
		}
	}
	want := map[string][]string{"/holding:0+3": {"a", "c"}, "/holding:90+1": {"gone"}, "fast/holding:1+1": {"b"}}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("the plan is %v, want %v", asked, want)
	}
	if plan.Summary != "2 requests for 3 points every 20ms; group fast: 1 request for 1 point every 10ms" || len(plan.Groups) != 2 {
		t.Errorf("%+v in words: %s", plan.Groups, plan.Summary)
	}
	if len(plan.Lessons) != 1 || plan.Lessons[0].Text.Chinese == "" || !strings.Contains(plan.Learned[0], "holding register 90 is refused") {
		t.Errorf("learned %q, %+v", plan.Learned, plan.Lessons)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	found, err := p.Registers(ctx, "press", "holding", 200, 2)
	if err != nil {
		t.Fatal(err)
	}
	right := slices.ContainsFunc(found.Interpretations, func(i web.Interpretation) bool {
		return i.At == 0 && i.Type == "float32" && i.Order == "CDAB" && i.Text == "350" && i.Plausible
	})
	if !slices.Equal(found.Words, []string{"0000", "43AF"}) || !right || found.At == nil {
		t.Errorf("found %+v", found)
	}
	if !slices.ContainsFunc(found.Interpretations, func(i web.Interpretation) bool { return i.At == 1 && i.Type == "uint16" && i.Text == "17327" }) {
		t.Error("the second register alone is not interpreted")
	}
	if bits, err := p.Registers(ctx, "press", "coil", 0, 3); err != nil || len(bits.Words) != 3 || len(bits.Interpretations) != 0 {
		t.Errorf("coils are %+v, %v", bits, err)
	}
	if _, err := p.Registers(ctx, "press", "holding", 90, 1); err == nil || !strings.Contains(err.Error(), "exception 2") {
		t.Errorf("a refused register gives %v", err)
	}
	for _, c := range []struct {
		device, area string
		count        int
		field        string
	}{{"press", "words", 1, "area"}, {"press", "holding", 0, "count"}, {"outfall", "holding", 1, "device"}} {
		_, err := p.Registers(ctx, c.device, c.area, 0, c.count)
		if wrong, ok := errors.AsType[*web.FieldError](err); !ok || wrong.Field != c.field {
			t.Errorf("%+v gives %v", c, err)
		}
	}
	if _, err := p.Plan("outfall"); err == nil || !strings.Contains(err.Error(), "hj212") {
		t.Errorf("the plan of a device that is listened to: %v", err)
	}
	if _, err := p.Plan("nobody"); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("the plan of nobody: %v", err)
	}

	section, err := p.File("outfall")
	if err != nil || strings.Contains(string(section), "HUSH") || !strings.Contains(string(section), "mn: \"88888880000001\"") {
		t.Errorf("the section is\n%s\n%v", section, err)
	}
	// Nobody's connection is left behind by a look at a device that goes.
	if err := g.Apply(parse(t, filepath.Dir(g.Config().Store.Dir), "web: {listen: ''}\n"), "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Registers(ctx, "press", "holding", 0, 1); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("a device that has gone: %v", err)
	}
}

func TestWordsAreInterpretedWithoutADevice(t *testing.T) {
	found := fieldPoints{}.Interpret([]uint16{0x7FC0, 0x0000})
	at := slices.IndexFunc(found.Interpretations, func(i web.Interpretation) bool { return i.Type == "float32" && i.Order == "ABCD" })
	if at < 0 || found.Interpretations[at].Text != "NaN" || !slices.Equal(found.Words, []string{"7FC0", "0000"}) {
		t.Errorf("found %+v", found)
	}
	if found = (fieldPoints{}).Interpret(nil); found.Words == nil || found.Interpretations == nil {
		t.Errorf("nothing is %+v, want empty lists", found)
	}
}

func TestProfilesAreListed(t *testing.T) {
	list, err := fieldPoints{}.Profiles()
	if err != nil || len(list) < 45 {
		t.Fatalf("%d profiles, %v", len(list), err)
	}
	for _, p := range list {
		if p.Kind == "" || p.Category == "" || p.Title == "" || p.Points == 0 || len(p.Sources) == 0 || p.Summary.Chinese == "" {
			t.Errorf("a profile is %+v", p)
		}
	}
	if data, err := (fieldPoints{}).ProfileFile(list[0].Name); err != nil || !bytes.Contains(data, []byte("name: "+list[0].Name)) {
		t.Errorf("its file is %.40q, %v", data, err)
	}
	if _, err := (fieldPoints{}).ProfileFile("../profiles"); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("a file that is none: %v", err)
	}
}

// everyDriver has points of all drivers with keys that tables hold.
const everyDriver = `web: {listen: ''}
buses: [{name: line, tcp: "127.0.0.1:9999"}]
devices:
  - name: press
    driver: modbus
    address: tcp://127.0.0.1:5020
    unit: 3
    groups: [{name: fast, interval: 50ms}]
    points:
      - {name: counter, address: "40001", type: uint32, report: change, max_silence: 90m, deadband_percent: 2.5}   # shots
      - {name: pressure, address: "holding:4", type: float32, order: CDAB, scale: 0.1, offset: -5, deadband: 0.5, unit: bar, precision: 2}
      - {name: total, address: "holding:8", type: float64, order: CDABGHEF, group: fast, min_interval: 1s, on_error: hold}
      - {name: label, address: "holding:16", type: string, length: 16}
      - {name: fan, address: "holding:28.h", type: int8}
      - {name: running, address: "holding:7.2", access: rw}
  - name: feeder
    profile: eastron-sdm630
    address: tcp://127.0.0.1:5021
    only: [power]
    points: [{name: power, deadband: 5}]
  - {name: m645, driver: dlt645, address: "bus://line", meter: "000000000161", points: [{name: energy, id: "00010000", unit: kWh}, {name: special, id: "0201FF01", format: XXX.X, at: 2}]}
  - {name: m188, driver: cjt188, address: "bus://line", meter: "00000000000161", points: [{name: volume, decimals: 2}, {name: day, item: settlement_volume}]}
  - {name: mbus, driver: mbus, address: "bus://line", meter: "1", points: [{name: energy, record: energy}]}
  - {name: iec, driver: iec62056, address: "bus://line", points: [{name: total, code: 1.8.0, as: number}]}
  - {name: sml, driver: sml, address: "bus://line", points: [{name: total, code: 1.8.0}]}
  - {name: outfall, driver: hj212, listen: "127.0.0.1:0", mn: "88888880000001", points: [{name: cod, factor: w01018-Rtd}, {name: hour, factor: w01018-Avg, period: hour, unit: mg/L}]}
  - name: own
    driver: custom
    address: bus://line
    requests: [{name: all, send: "RD", terminator: "hex:0D"}]
    points: [{name: t, find: "T=([-0-9.]+)", request: all}, {name: b, at: -3, type: bool, bit: 0}]
`

func TestPointsOfEveryDriverComeBackFromATable(t *testing.T) {
	dir := t.TempDir()
	place, c := filepath.Join(dir, "sluice.yaml"), parse(t, dir, everyDriver)
	for i := range c.Devices {
		d := &c.Devices[i]
		for _, format := range []string{"csv", "xlsx"} {
			var file bytes.Buffer
			if problems, err := WritePoints(c, d.Name, format, &file); err != nil || len(problems) > 0 {
				t.Errorf("%s as %s: %v, %v", d.Name, format, problems, err)
				continue
			}
			found, err := ReadPoints(file.Bytes(), PointFileOptions{Device: d.Name}, blockForm(t, place, c, d.Name))
			if err != nil || len(found.Problems) > 0 || found.File != format {
				t.Errorf("%s from %s: %v, %+v", d.Name, format, err, found)
				continue
			}
			text, _, err := ImportPoints(place, blockForm(t, place, c, d.Name), file.Bytes(), PointFileOptions{Device: d.Name}, true)
			if err != nil {
				t.Errorf("%s: %v", d.Name, err)
				continue
			}
			again, err := config.Parse(place, text, Kinds())
			if err != nil {
				t.Errorf("%s: %v", d.Name, err)
				continue
			}
			if got, _ := pointRows(again.Devices[i].Options); !reflect.DeepEqual(got, rowsOf(d)) {
				t.Errorf("%s from %s\ngives %+v\nwant  %+v", d.Name, format, got, rowsOf(d))
			}
			if d.Driver != "custom" && !reflect.DeepEqual(again.Devices[i].Options, d.Options) {
				t.Errorf("%s from %s has the options\n%+v\nwant\n%+v", d.Name, format, again.Devices[i].Options, d.Options)
			}
		}
	}
}

func rowsOf(d *config.Device) any {
	rows, _ := pointRows(d.Options)
	return rows
}

// blockForm writes the one-line devices so that points can be put into them.
func blockForm(t *testing.T, place string, c *config.Config, name string) *config.Config {
	t.Helper()
	before, rest, found := strings.Cut(c.Text, "  - {name: "+name+", ")
	if !found {
		return c
	}
	line, after, _ := strings.Cut(rest, "\n")
	keys, points, _ := strings.Cut(strings.TrimSuffix(line, "}"), ", points: ")
	text := before + "  - name: " + name + "\n"
	for key := range strings.SplitSeq(keys, ", ") {
		text += "    " + key + "\n"
	}
	block, err := config.Parse(place, []byte(text+"    points: "+points+"\n"+after), Kinds())
	if err != nil {
		t.Fatal(err)
	}
	return block
}

func TestAnImportIsHeldAgainstTheDriver(t *testing.T) {
	c := parse(t, t.TempDir(), everyDriver)
	table := "Tag;Register;Data type\nlevel;holding:30;float\nwrong;holding:32;float24\ncounter;40003;dword\nfar;input:99999;int16\n"
	found, err := ReadPoints([]byte(table), PointFileOptions{Device: "press"}, c)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range found.Problems {
		got = append(got, fmt.Sprintf("%d %s", p.Row, p.Column))
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"3 Data type", "5 Register"}) {
		t.Errorf("problems %+v", found.Problems)
	}
	if found.Rows != 4 || len(found.Points) != 4 || found.Columns[1] != (web.PointColumn{Header: "Register", Column: "address"}) || found.Points[0]["row"] != 2 {
		t.Errorf("found %+v", found)
	}
	if _, err := ReadPoints([]byte(table), PointFileOptions{Device: "nobody"}, c); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("for nobody: %v", err)
	}
	if found, err := ReadPoints([]byte(table), PointFileOptions{Device: "mbus"}, c); err != nil || len(found.Problems) == 0 {
		t.Errorf("registers for an M-Bus meter: %+v, %v", found, err)
	}
}

func TestAStationIsChosenAndColumnsAreMatchedByHand(t *testing.T) {
	table := []byte("name,where,站号,address\na,holding:1,1,x\nb,holding:2,2,x\na,holding:3,2,x\n")
	how := PointFileOptions{Columns: map[string]int{"address": 1}}
	found, err := ReadPoints(table, how, nil)
	if err != nil || !slices.Equal(found.Stations, []string{"1", "2"}) || found.YAML != "" || len(found.Points) != 3 || len(found.Problems) != 1 || !strings.Contains(found.Problems[0].Text, "choose one") {
		t.Errorf("%+v, %v", found, err)
	}
	two := "2"
	how.Station = &two
	found, err = ReadPoints(table, how, nil)
	if err != nil || len(found.Problems) != 0 || found.YAML != "points:\n  - {name: b, address: \"holding:2\"}\n  - {name: a, address: \"holding:3\"}\n" {
		t.Errorf("%+v, %v", found, err)
	}
	if found.Columns[1].Column != "address" || found.Columns[3].Column != "" {
		t.Errorf("columns %+v", found.Columns)
	}
	for _, columns := range []map[string]int{{"colour": 1}, {"address": 4}} {
		_, err := ReadPoints(table, PointFileOptions{Columns: columns}, nil)
		if wrong, ok := errors.AsType[*web.FieldError](err); !ok || wrong.Field != "column" {
			t.Errorf("%v: %v", columns, err)
		}
	}
	if _, err := ReadPoints([]byte("\x00\x01"), PointFileOptions{}, nil); err == nil {
		t.Error("no table was taken for one")
	}
}

func TestFormsOfOtherProductsSayWhatTheyLack(t *testing.T) {
	c := parse(t, t.TempDir(), everyDriver)
	for _, format := range []string{"neuron", "kepware"} {
		var file bytes.Buffer
		problems, err := WritePoints(c, "press", format, &file)
		if err != nil {
			t.Fatal(err)
		}
		var named []string
		for _, p := range problems {
			if !p.Warning {
				named = append(named, p.Column)
			}
		}
		// An offset, or an order that is not that of the first; an order of eight letters; a byte.
		if !slices.Equal(named, []string{"pressure", "total", "fan"}) {
			t.Errorf("%s leaves out %q: %+v", format, named, problems)
		}
		found, err := ReadPoints(file.Bytes(), PointFileOptions{}, nil)
		if err != nil || found.Format != format || found.Rows != 6-len(named) {
			t.Errorf("%s comes back as %+v, %v", format, found, err)
		}
		if _, err := WritePoints(c, "mbus", format, &file); err == nil {
			t.Errorf("an M-Bus meter has a form of %s", format)
		}
	}
	var file bytes.Buffer
	if _, err := WritePoints(c, "press", "pdf", &file); err == nil {
		t.Error("there is a form pdf")
	}
	if _, err := WritePoints(c, "nobody", "csv", &file); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("the points of nobody: %v", err)
	}
}

func TestAWholeDeviceMovesIntoAnotherConfiguration(t *testing.T) {
	dir := t.TempDir()
	place, c := filepath.Join(dir, "sluice.yaml"), parse(t, dir, everyDriver)
	section, err := DeviceFile(c, "press")
	if err != nil {
		t.Fatal(err)
	}
	found, err := ReadPoints(section, PointFileOptions{}, nil)
	if err != nil || found.Format != "device" || found.Rows != 6 || found.YAML != string(section) {
		t.Errorf("found %+v, %v", found, err)
	}
	text, _, err := ImportPoints(place, c, section, PointFileOptions{Device: "press-2"}, false)
	if err != nil {
		t.Fatal(err)
	}
	again, err := config.Parse(place, text, Kinds())
	if err != nil || len(again.Devices) != len(c.Devices)+1 || !bytes.Contains(text, []byte("# shots")) {
		t.Fatalf("%v\n%s", err, text)
	}
	if last := again.Devices[len(again.Devices)-1]; last.Name != "press-2" || !reflect.DeepEqual(last.Options, c.Devices[0].Options) {
		t.Errorf("the device became %+v", last)
	}
	if _, _, err := ImportPoints(place, c, section, PointFileOptions{Device: "press"}, false); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second press: %v", err)
	}
	if _, _, err := ImportPoints(place, parse(t, dir, "web: {listen: ''}\n"), mustSection(t, c, "m645"), PointFileOptions{Device: "m645"}, false); err == nil {
		t.Error("a device came without its bus")
	}
}

func mustSection(t *testing.T, c *config.Config, name string) []byte {
	t.Helper()
	section, err := DeviceFile(c, name)
	if err != nil {
		t.Fatal(err)
	}
	return section
}

func TestALargeTableIsTaken(t *testing.T) {
	const many = 2000
	var table strings.Builder
	table.WriteString("name,address\n")
	for i := range many {
		fmt.Fprintf(&table, "p%d,holding:%d\n", i, i)
	}
	dir := t.TempDir()
	c := parse(t, dir, "web: {listen: ''}\ndevices:\n  - name: press\n    driver: modbus\n    address: tcp://127.0.0.1:5020\n    points: [{name: p, address: \"holding:0\"}]\n")
	text, found, err := ImportPoints(filepath.Join(dir, "sluice.yaml"), c, []byte(table.String()), PointFileOptions{Device: "press"}, true)
	if err != nil || len(found.Points) != many || strings.Count(string(text), "- {name: p") != many {
		t.Errorf("%d points, %v", len(found.Points), err)
	}
}

// A change of a line that turns out to change something else is not written.
func TestAnImportThatWouldChangeMoreIsRefused(t *testing.T) {
	before := parse(t, t.TempDir(), everyDriver)
	after := *before
	after.Devices = slices.Clone(before.Devices)
	after.Devices[0].Interval *= 2
	if err := unchanged(before, &after, "press"); err != nil {
		t.Errorf("the device itself may change: %v", err)
	}
	if err := unchanged(before, &after, "feeder"); err == nil {
		t.Error("a change of press went unnoticed")
	}
	after.Devices[0] = before.Devices[0]
	after.MQTT.MaxConnections++
	if err := unchanged(before, &after, "feeder"); err == nil {
		t.Error("a change of the listener went unnoticed")
	}
}
