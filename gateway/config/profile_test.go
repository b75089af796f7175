package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// meter is a driver's options as profiles know them.
type meter struct {
	Address string        `yaml:"address" required:"true"`
	Unit    int           `yaml:"unit" max:"247"`
	Timeout time.Duration `yaml:"timeout" default:"1s"`
	Points  []meterPoint  `yaml:"points" required:"true" unique:"name"`
}

type meterPoint struct {
	Name     string  `yaml:"name" required:"true"`
	Register int     `yaml:"register" required:"true" min:"1" max:"99"`
	Unit     string  `yaml:"unit"`
	Deadband float64 `yaml:"deadband"`
}

// Validate refuses a register that only the device's owner could have got wrong.
func (m *meter) Validate(report func(path, problem string)) {
	for i, p := range m.Points {
		if p.Register == 66 {
			report(fmt.Sprintf("points[%d].register", i), "is never there")
		}
	}
}

var testProfiles = map[string]string{
	"sdm": `
name: sdm
driver: meter
summary: {en: anything}
defaults: {timeout: 3s, unit: 7, interval: 20s}
points:
  - {name: voltage, register: 1, unit: V}
  - {name: power, register: 2, unit: W}
  - {name: energy, register: 3, unit: kWh}
`,
	"odd":      "driver: meter\ndefaults: {timout: 3s}\npoints:\n  - {name: a, register: 100}\n  - {name: b, register: 66}\n",
	"broken":   "driver: meter\npoints: [\n",
	"homeless": "points: []\n",
	"listless": "driver: meter\npoints: {}\n",
	"flat":     "driver: meter\ndefaults: []\n",
}

func parseWithProfiles(text string) (*Config, error) {
	return Parse("f.yaml", []byte(text), Kinds{
		Driver: func(kind string) (any, bool) {
			switch kind {
			case "meter":
				return new(meter), true
			case "other":
				return new(struct{}), true
			}
			return nil, false
		},
		DriverNames: []string{"meter", "other"},
		Profile: func(name string) ([]byte, bool) {
			text, ok := testProfiles[name]
			return []byte(text), ok
		},
		ProfileNames: []string{"sdm", "odd"},
	})
}

func parseMeter(t *testing.T, text string) (Device, *meter) {
	t.Helper()
	c, err := parseWithProfiles(text)
	if err != nil {
		t.Fatal(err)
	}
	return c.Devices[0], c.Devices[0].Options.(*meter)
}

var sdmPoints = []meterPoint{{Name: "voltage", Register: 1, Unit: "V"}, {Name: "power", Register: 2, Unit: "W"}, {Name: "energy", Register: 3, Unit: "kWh"}}

func TestAProfileSaysWhatTheDeviceDoesNot(t *testing.T) {
	device, got := parseMeter(t, "devices: [{name: m1, profile: sdm, address: here, unit: 3}]\n")
	want := &meter{Address: "here", Unit: 3, Timeout: 3 * time.Second, Points: sdmPoints}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if device.Driver != "meter" || device.Profile != "sdm" || device.Interval != Duration(20*time.Second) {
		t.Errorf("driver %q, profile %q, interval %v", device.Driver, device.Profile, device.Interval)
	}
}

func TestADevicesOwnPointsGoBeforeTheProfiles(t *testing.T) {
	_, got := parseMeter(t, `
devices:
  - name: m1
    profile: sdm
    driver: meter
    address: here
    points:
      - {name: extra, register: 9}
      - {name: power, unit: kW, deadband: 0.5}
`)
	want := []meterPoint{{Name: "voltage", Register: 1, Unit: "V"}, {Name: "power", Register: 2, Unit: "kW", Deadband: 0.5}, {Name: "energy", Register: 3, Unit: "kWh"}, {Name: "extra", Register: 9}}
	if !reflect.DeepEqual(got.Points, want) {
		t.Errorf("got  %+v\nwant %+v", got.Points, want)
	}
}

func TestOnlyTheWantedPointsAreRead(t *testing.T) {
	_, got := parseMeter(t, `
devices:
  - name: m1
    profile: sdm
    address: here
    only: [energy]
    points: [{name: voltage, deadband: 2}, {name: extra, register: 9}]
`)
	want := []meterPoint{{Name: "voltage", Register: 1, Unit: "V", Deadband: 2}, {Name: "energy", Register: 3, Unit: "kWh"}, {Name: "extra", Register: 9}}
	if !reflect.DeepEqual(got.Points, want) {
		t.Errorf("got  %+v\nwant %+v", got.Points, want)
	}
}

// Two devices share a profile's nodes, and an alias shares a device's: none may change another.
func TestDevicesWithOneProfileDoNotDisturbEachOther(t *testing.T) {
	c, err := parseWithProfiles(`
devices:
  - &first {name: m1, profile: sdm, address: here, points: [{name: power, deadband: 5}]}
  - {name: m2, profile: sdm, address: there, points: }
  - {<<: *first, name: m3, points: []}
`)
	if err != nil {
		t.Fatal(err)
	}
	for i, deadband := range []float64{5, 0, 0} {
		m := c.Devices[i].Options.(*meter)
		if len(m.Points) != 3 || m.Points[1].Deadband != deadband || m.Timeout != 3*time.Second {
			t.Errorf("device %d: %+v", i, m)
		}
	}
	if !strings.Contains(c.Text, "profile: sdm") || strings.Contains(c.Text, "kWh") {
		t.Error("the text of the configuration is no longer the short one")
	}
}

func TestMistakesWithProfilesNameTheDevice(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"devices:\n  - name: m1\n    profile: smd\n    address: here\n",
			`f.yaml:3:14: devices[0].profile: "smd" is not a profile; did you mean "sdm"; docs/profiles.md lists the 2 that there are`},
		{"devices:\n  - name: m1\n    profile: sdm\n    driver: other\n",
			`f.yaml:4:13: devices[0].driver: the profile sdm is one of the driver meter; leave driver out`},
		{"devices:\n  - name: m1\n    profile: sdm\n", `f.yaml:2:5: devices[0].address: missing; write text`},
		{"devices:\n  - {name: m1, profile: sdm, address: a, unit: 300}\n", `f.yaml:2:48: devices[0].unit: 300 is too much; write at most 247`},
		{"devices:\n  - name: m1\n    profile: sdm\n    address: here\n    only: [powr]\n",
			`f.yaml:5:12: devices[0].only[0]: the profile sdm has no point "powr"; did you mean "power"`},
		{"devices:\n  - name: m1\n    driver: other\n    only: [power]\n",
			`f.yaml:4:11: devices[0].only: goes with a profile; without one, list the points that are wanted under points`},
		{"devices:\n  - name: m1\n    address: here\n    profile: odd\n", `f.yaml:4:14: devices[0].timout: in the profile odd: unknown key; did you mean "timeout"`},
		{"devices:\n  - name: m1\n    address: here\n    profile: odd\n", `f.yaml:4:14: devices[0].points[0].register: in the profile odd: 100 is out of range`},
		{"devices:\n  - name: m1\n    address: here\n    profile: odd\n", `f.yaml:4:14: devices[0].points[1].register: in the profile odd: is never there`},
		{"devices:\n  - name: m1\n    address: here\n    profile: sdm\n    points:\n      - {name: power, register: 66}\n",
			`f.yaml:6:33: devices[0].points[1].register: is never there`},
		{"devices:\n  - name: m1\n    address: here\n    profile: sdm\n    points:\n      - {name: x}\n", `f.yaml:6:9: devices[0].points[3].register: missing`},
		{"devices:\n  - name: m1\n    address: here\n    profile: sdm\n    points:\n      - {name: power}\n      - {name: power, register: 5}\n",
			`f.yaml:7:16: devices[0].points[3].name: "power" is taken by devices[0].points[1] in line 6`},
		{"devices:\n  - name: m1\n    address: here\n    profile: sdm\n    points: power\n", `f.yaml:5:13: devices[0].points: "power" stands here`},
		{"devices:\n  - {name: m1, profile: broken}\n", `f.yaml:2:25: devices[0].profile: the profile broken cannot be used: its line `},
		{"devices:\n  - {name: m1, profile: homeless}\n", `devices[0].profile: the profile homeless cannot be used: its line 1: it names no driver`},
		{"devices:\n  - {name: m1, profile: listless}\n", `devices[0].profile: the profile listless cannot be used: its line 2: points is not a list`},
		{"devices:\n  - {name: m1, profile: flat}\n", `devices[0].profile: the profile flat cannot be used: its line 2: defaults is not a section`},
		{"devices:\n  - {name: m1, profile: [sdm]}\n", `devices[0].profile: a list stands here; write text`},
	} {
		_, err := parseWithProfiles(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngives %v\nwant  %s", c.text, err, c.want)
		}
	}
}

func TestAnUnknownProfileIsOneMistake(t *testing.T) {
	_, err := parseWithProfiles("devices:\n  - {name: m1, profile: smd, address: here, points: [{name: power, deadband: 1}]}\n")
	if err == nil || strings.Count(err.Error(), "\n") != 0 {
		t.Errorf("got %v", err)
	}
}

func TestWithoutProfilesTheWordIsRefused(t *testing.T) {
	_, err := Parse("f.yaml", []byte("devices:\n  - {name: m1, profile: sdm}\n"), Kinds{})
	if err == nil || !strings.Contains(err.Error(), "this version has no profiles") {
		t.Errorf("got %v", err)
	}
}

// FuzzProfile: whatever a device and a profile say, the loader answers with problems, each at a line
// of the file, and never with a panic.
func FuzzProfile(f *testing.F) {
	for _, profile := range testProfiles {
		f.Add("points: [{name: power, deadband: 1}, {name: x}]", profile)
		f.Add("only: [energy, nothing]", profile)
	}
	f.Add("<<: {points: 3}", "driver: meter\npoints: [&a {name: x}, *a, 7, [], {<<: *a}]")
	f.Fuzz(func(t *testing.T, keys, profile string) {
		text := "devices:\n  - name: m\n    address: here\n    profile: it\n    " + strings.ReplaceAll(keys, "\n", "\n    ") + "\n"
		_, err := Parse("f.yaml", []byte(text), Kinds{
			Driver:       func(string) (any, bool) { return new(meter), true },
			DriverNames:  []string{"meter"},
			Profile:      func(string) ([]byte, bool) { return []byte(profile), true },
			ProfileNames: []string{"it"},
		})
		problems, _ := err.(Problems)
		for _, p := range problems {
			if p.Line < 1 || p.Line > 1+strings.Count(text, "\n") {
				t.Errorf("%q: %v", text, p)
			}
		}
	})
}
