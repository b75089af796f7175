package sheet

import (
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const hall = `gateway: {name: line-3}
# what is polled
devices:                       # in the order of the hall
  - name: press
    driver: modbus
    address: tcp://10.0.0.7:502
    points:                    # from the manual, page 7
      - {name: counter, address: "holding:0"}   # shots
      # the label is long
      - name: label
        address: "holding:16"
        type: string
        length: 16
      - {name: state, address: "holding:26", enum: {0: stopped, 1: running}, precision: 2} # of {the} drive
    interval: 1s               # behind the points

  # the meter at the door
  - name: meter
    driver: modbus
    points: [{name: power, address: "holding:1", bits: {3: "a, b"}}]
  - driver: modbus
    name: empty

# what goes up
uplinks: []
`

func put(t *testing.T, config, device string, only bool, rows ...Row) string {
	t.Helper()
	text, err := Put([]byte(config), device, rows, only)
	if err != nil {
		t.Fatal(err)
	}
	var any map[string]any
	if err := yaml.Unmarshal(text, &any); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return string(text)
}

func TestPointsGoIntoAConfigurationInTheirPlaces(t *testing.T) {
	got := put(t, hall, "press", false,
		Row{Name: "state", Address: "holding:27", Type: "uint16"},
		Row{Name: "new", Address: "input:3", Unit: "°C"},
		Row{Name: "label", Address: "holding:16", Type: "string", Length: 12})
	want := strings.NewReplacer(
		`      - {name: state, address: "holding:26", enum: {0: stopped, 1: running}, precision: 2} # of {the} drive
`, `      - {name: state, address: "holding:27", type: uint16, enum: {0: stopped, 1: running}} # of {the} drive
      - {name: new, address: "input:3", unit: "°C"}
`,
		`      - name: label
        address: "holding:16"
        type: string
        length: 16
`, `      - {name: label, address: "holding:16", type: string, length: 12}
`).Replace(hall)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPointsThatAreNotInTheFileGoWhenOnlyThatIsWanted(t *testing.T) {
	got := put(t, hall, "press", true, Row{Name: "counter", Address: "holding:5"})
	for _, line := range []string{`      - {name: counter, address: "holding:5"}   # shots`, "      # the label is long", "    interval: 1s               # behind the points", "    points:                    # from the manual, page 7"} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("%q is missing in\n%s", line, got)
		}
	}
	if strings.Contains(got, "name: label") || strings.Contains(got, "name: state") {
		t.Errorf("got\n%s", got)
	}
}

func TestPointsComeIntoDevicesOfEveryForm(t *testing.T) {
	row := Row{Name: "p", Address: "holding:9"}
	for _, c := range []struct{ config, want string }{
		{"devices:\n- name: a\n  driver: modbus\n", "devices:\n- name: a\n  driver: modbus\n  points:\n    - {name: p, address: \"holding:9\"}\n"},
		{"devices:\n- name: a\n  points: []\n  unit: 1\n", "devices:\n- name: a\n  points:\n    - {name: p, address: \"holding:9\"}\n  unit: 1\n"},
		{"devices:\n- name: a\n  points:\n  - name: x\n  unit: 1\n", "devices:\n- name: a\n  points:\n  - name: x\n  - {name: p, address: \"holding:9\"}\n  unit: 1\n"},
		{"devices:\n- points:\n  - {name: p}\n  name: a\n", "devices:\n- points:\n  - {name: p, address: \"holding:9\"}\n  name: a\n"},
		{"devices:\n- points: [{name: q}]\n  name: a\n", "devices:\n- points:\n    - {name: q}\n    - {name: p, address: \"holding:9\"}\n  name: a\n"},
		{"devices:\n  - name: a # first\n\n\n# end\n", "devices:\n  - name: a # first\n    points:\n      - {name: p, address: \"holding:9\"}\n\n\n# end\n"},
	} {
		if got := put(t, c.config, "a", false, row); got != c.want {
			t.Errorf("%q became\n%s\nwant\n%s", c.config, got, c.want)
		}
	}
	got := put(t, hall, "meter", false, row)
	if !strings.Contains(got, "    points:\n      - {name: power, address: \"holding:1\", bits: {3: \"a, b\"}}\n      - {name: p, address: \"holding:9\"}\n  - driver: modbus\n") {
		t.Errorf("got\n%s", got)
	}
	got = put(t, hall, "empty", false, row)
	if !strings.Contains(got, "    name: empty\n    points:\n      - {name: p, address: \"holding:9\"}\n\n# what goes up\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestWhereNoPointsCanBePutIsSaid(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{"gateway: {name: a}\n", `no device is called "a"`},
		{"devices:\n  - name: b\n", `no device is called "a"`},
		{"devices: [{name: a}]\n", "stand in brackets"},
		{"devices:\n  - {name: a, driver: modbus}\n", "stands in braces"},
		{"devices:\n  - name: a\n    points: *others\n", "cannot be changed here"},
		{"devices:\n  - name: a\n    points:\n      - {name: p, enum: *states}\n", "alias has to be written out"},
	} {
		if text, err := Put([]byte(c.config), "a", []Row{{Name: "p"}}, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q gives %s, %v; want %q", c.config, text, err, c.want)
		}
	}
}

func TestTheLineOfARowIsKnown(t *testing.T) {
	rows := []Row{{Name: "p: 1", Address: "holding:9"}, {Name: "p"}}
	lines := strings.Split(put(t, hall, "empty", false, rows...), "\n")
	for i := range rows {
		n := 0
		for _, line := range lines {
			if rows[i].IsLine(line) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d lines are of %s", n, rows[i].Name)
		}
	}
}

// A point of any driver survives the way into a table and back.
func TestKeysOfDriversAreColumns(t *testing.T) {
	for _, rows := range [][]Row{
		{{Name: "cod", Unit: "mg/L", Other: map[string]string{"factor": "w01018-Rtd", "period": "hour"}}, {Name: "flow", Other: map[string]string{"factor": "w00000"}}},
		{{Name: "energy", Other: map[string]string{"record": "energy"}}, {Name: "date", Other: map[string]string{"record": "2/0.1"}}},
		{{Name: "volume", Unit: "m3", Other: map[string]string{"item": "volume", "decimals": "2"}}},
		{{Name: "t", Type: "decimal-comma", Other: map[string]string{"find": "T=([-0-9.]+)", "request": "all"}}, {Name: "b", Type: "bool", Other: map[string]string{"at": "-3", "bit": "7"}}},
		{{Name: "total", Other: map[string]string{"code": "1-0:1.8.0*255", "as": "number", "value": "2"}}},
		{{Name: "energy", Deadband: 1, Other: map[string]string{"id": "00010000", "format": "XXX.X", "report": "change", "max_silence": "1h", "deadband_percent": "2.5"}}},
		{{Name: "p", Address: "holding:7.h", Type: "int8"}, {Name: "q", Address: "holding:8", Type: "float64", Order: "CDABGHEF", Other: map[string]string{"precision": "3"}}},
	} {
		var b strings.Builder
		if err := WriteCSV(&b, rows); err != nil {
			t.Fatal(err)
		}
		got, problems := read(t, b.String(), Options{})
		none(t, problems)
		if got := withoutLines(got); !reflect.DeepEqual(got, rows) {
			t.Errorf("%s\ngives %+v\nwant  %+v", b.String(), got, rows)
		}
		section := WritePoints(rows)
		again, wrong, err := ReadPoints(section)
		if err != nil || len(wrong) > 0 || !reflect.DeepEqual(again, rows) {
			t.Errorf("%s\ngives %+v, %v, %v", section, again, wrong, err)
		}
	}
	rows, problems := read(t, "name,unit\nvolume,m3\n", Options{NoAddress: true})
	none(t, problems)
	if len(rows) != 1 || rows[0].Unit != "m3" {
		t.Errorf("without any place: %+v", rows)
	}
	if rows, problems = read(t, "name,address,factor,precision\np,holding:1,0.1,two\n", Options{}); len(rows) != 0 || len(problems) != 1 || problems[0] != `line 2: precision: "two" is not a number` {
		t.Errorf("a number that is none: %+v, %v", rows, problems)
	}
}

func TestWhatKepwareTakesComesBackFromKepwaresForm(t *testing.T) {
	rows := []Row{
		{Name: "speed", Address: "holding:0", Type: "uint16", Access: "rw", Scale: 0.1, Offset: -5, Unit: "%", Description: "the pump"},
		{Name: "run", Address: "coil:4", Type: "bool", Access: "r"},
		{Name: "trip", Address: "holding:9.4", Type: "bool", Access: "r"},
		{Name: "flow", Address: "input:100", Type: "float32", Order: "CDAB", Access: "r"},
		{Name: "total", Address: "holding:101", Type: "int64", Order: "CDAB", Access: "r", Scale: 0.001},
		{Name: "label", Address: "holding:200", Type: "string", Length: 20, Order: "BADC", Access: "r"},
	}
	bad := []Row{
		{Name: "other", Address: "holding:300", Type: "float32"},
		{Name: "digits", Address: "holding:1", Type: "bcd16"},
		{Name: "half", Address: "holding:1.h", Type: "int8"},
		{Name: "a.b", Address: "holding:1"},
		{Name: "swapped", Address: "holding:1", Type: "int16", Order: "BADC"},
		{Name: "eight", Address: "holding:1", Type: "int64", Order: "CDABGHEF"},
	}
	var b strings.Builder
	problems, err := WriteKepware(&b, append(rows[:len(rows):len(rows)], bad...))
	if err != nil || len(problems) != len(bad)+1 || !problems[0].Warning || !strings.Contains(problems[0].Message, "First Word Low: Enable") {
		t.Fatalf("%v, %v", problems, err)
	}
	for i, p := range problems[1:] {
		if p.Column != bad[i].Name || p.Warning {
			t.Errorf("problem %d is %+v, want %s", i, p, bad[i].Name)
		}
	}
	table, err := Read([]byte(b.String()))
	if err != nil || table.Detect() != Kepware {
		t.Fatalf("taken for %v, %v", table, err)
	}
	got, _ := table.Points(Options{Order: "CDAB"})
	if got := withoutLines(got); !reflect.DeepEqual(got, rows) {
		t.Errorf("got  %+v\nwant %+v\nfrom %s", got, rows, b.String())
	}
}

// FuzzPut: whatever a configuration looks like, what is put into it stands there, and other devices stay
// as they were.
func FuzzPut(f *testing.F) {
	f.Add(hall, "press")
	f.Add(hall, "meter")
	f.Add("devices:\n- points: [{name: q}]\n  name: a\n", "a")
	f.Add("devices:\n  - name: a\n    points:\n  - name: b\n", "a")
	f.Fuzz(func(t *testing.T, config, device string) {
		type file struct {
			Devices []map[string]any `yaml:"devices"`
		}
		var before, after file
		if yaml.Unmarshal([]byte(config), &before) != nil {
			return
		}
		text, err := Put([]byte(config), device, []Row{{Name: "p", Address: "holding:9"}}, false)
		if err != nil {
			return
		}
		// What cannot be read any more is refused by the configuration's check.
		if yaml.Unmarshal(text, &after) != nil || len(after.Devices) != len(before.Devices) {
			return
		}
		for i := range before.Devices {
			if name := before.Devices[i]["name"]; name != device && !reflect.DeepEqual(before.Devices[i], after.Devices[i]) && name != nil {
				t.Errorf("device %v is %v, was %v, in\n%s", name, after.Devices[i], before.Devices[i], text)
			}
		}
	})
}
