package sheet

import (
	"strings"
	"testing"
)

const configuration = `gateway: {name: line-3}
# what is polled
devices:                       # in the order of the hall
  - name: press
    driver: modbus
    address: tcp://10.0.0.7:502
    points:
      - {name: counter, address: "holding:0"}   # shots
      - name: label
        address: "holding:16"

  # the meter at the door
  - {name: meter, driver: modbus, address: "tcp://10.0.0.8:502", points: [{name: power, address: "holding:1"}]}

# what goes up
uplinks: []
`

const press = `devices:
  - name: press
    driver: modbus
    address: tcp://10.0.0.7:502
    points:
      - {name: counter, address: "holding:0"}   # shots
      - name: label
        address: "holding:16"
`

func TestADeviceIsCutOutWithItsRemarks(t *testing.T) {
	got, err := Section([]byte(configuration), "press")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(got), press) {
		t.Errorf("got\n%s\nwant\n%s", got, press)
	}
	if got, err = Section([]byte(configuration), "meter"); err != nil || !strings.Contains(string(got), "name: power") || strings.Contains(string(got), "uplinks") {
		t.Errorf("got\n%s\n%v", got, err)
	}
	if _, err = Section([]byte(configuration), "nobody"); err == nil {
		t.Error("a device that is not there was found")
	}
}

func TestADeviceThatNeedsTheRestOfTheFileIsNotCutOut(t *testing.T) {
	_, err := Section([]byte("base: &base {driver: modbus}\ndevices:\n- <<: *base\n  name: press\n"), "press")
	if err == nil || !strings.Contains(err.Error(), "written out first") {
		t.Errorf("got %v", err)
	}
}

func TestADeviceIsPutBehindTheOthers(t *testing.T) {
	got, err := Insert([]byte(configuration), []byte(press), "press-2")
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(got), "  - name: press-2\n    driver: modbus\n")
	if !found || !strings.Contains(before, "name: meter") || !strings.Contains(before, "# the meter at the door") || !strings.Contains(after, "# what goes up\nuplinks: []\n") {
		t.Errorf("got\n%s", got)
	}
	if !strings.Contains(after, "{name: counter") {
		t.Error("the name of a point was taken for the device's")
	}
	again, err := Section(got, "press-2")
	if err != nil || !strings.HasPrefix(string(again), strings.Replace(press, "name: press", "name: press-2", 1)) {
		t.Errorf("got\n%s\n%v", again, err)
	}
}

func TestADeviceComesIntoFilesOfEveryForm(t *testing.T) {
	for _, config := range []string{
		"", "gateway: {name: a}\n", "devices:\n", "devices: []   # none yet\nuplinks: []\n", "devices:\n- name: x\n  driver: modbus\nuplinks: []\n",
		"devices:\r\n  - name: x\r\n",
	} {
		got, err := Insert([]byte(config), []byte(press), "")
		if err != nil {
			t.Errorf("%q: %v", config, err)
			continue
		}
		section, err := Section(got, "press")
		if err != nil || !strings.Contains(string(section), "name: label") {
			t.Errorf("%q became\n%s\n%v", config, got, err)
		}
		if strings.Contains(config, "uplinks") && !strings.Contains(string(got), "\nuplinks: []\n") {
			t.Errorf("%q became\n%s", config, got)
		}
	}
}

func TestWhatCannotBeInsertedIsRefused(t *testing.T) {
	for _, c := range []struct{ config, section, name, want string }{
		{configuration, press, "", `"press" already`},
		{configuration, "gateway: {}\n", "", "has 0 devices"},
		{configuration, press + "  - name: b\n", "c", "has 2 devices"},
		{"devices: [{name: a}]\n", press, "", "stand in brackets"},
		{configuration, "devices:\n  - driver: modbus\n", "", "not at all"},
		{configuration, "devices:\n  - driver: modbus\n", "x", "has no name"},
		{configuration, strings.Repeat("#", MaxBytes+1), "", "more than 8 MiB"},
	} {
		if _, err := Insert([]byte(c.config), []byte(c.section), c.name); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q into %.40q gives %v, want %q", c.section, c.config, err, c.want)
		}
	}
}
