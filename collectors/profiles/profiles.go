// Package profiles holds models of real devices as data: what a device of a known model is asked
// for, in which units, and how it is best treated. A profile is one YAML file in models, named after
// the profile; the gateway puts it under the devices that name it. It hides nothing but the files:
// what a profile's points mean is its driver's business.
package profiles

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed models/*.yaml
var files embed.FS

// Profile is one model. Defaults and Points are keys of the driver's options, as a configuration
// would have them.
type Profile struct {
	Name       string           `yaml:"name"`
	Maker      string           `yaml:"maker"`
	Model      string           `yaml:"model"`
	Firmware   string           `yaml:"firmware"` // that the sources speak of, where they do
	Driver     string           `yaml:"driver"`
	Kind       string           `yaml:"kind"`
	Summary    Summary          `yaml:"summary"`
	Source     []string         `yaml:"source"`     // where the registers come from
	Unverified []string         `yaml:"unverified"` // what nobody checked, and traps
	Line       string           `yaml:"line"`       // serial settings as delivered, where known
	Defaults   map[string]any   `yaml:"defaults"`
	Points     []map[string]any `yaml:"points"`
	Tells      Tells            `yaml:"tells"`
	Golden     Golden           `yaml:"golden"`
}

// Summary says what the device is, in the two languages of the page.
type Summary struct {
	English string `yaml:"en"`
	Chinese string `yaml:"zh"`
}

// Title is the model in words.
func (p *Profile) Title() string {
	if p.Maker == "any" {
		return p.Model
	}
	return p.Maker + " " + p.Model
}

// Tells are marks by which a search knows the model, beside what its points promise.
type Tells struct {
	Names     []string          `yaml:"names"`     // what its devices call themselves, or a part of it, where the model's name is not it
	Registers map[string]string `yaml:"registers"` // hex words that all of them hold from an address on
}

// Golden is a reading of which both ends are known: what the device holds, and the values that must
// come out.
type Golden struct {
	Origin    string            `yaml:"origin"`    // computed, or where it was published
	Registers map[string]string `yaml:"registers"` // Modbus: hex words from an address on; a coil is 0000 or 0001
	Data      map[string]string `yaml:"data"`      // DL/T 645: hex bytes behind an identifier, as they are sent
	Answers   []string          `yaml:"answers"`   // M-Bus and CJ/T 188: whole frames of the meter
	Values    map[string]any    `yaml:"values"`    // by the name of the point
}

// Kinds are the kinds of devices that there are profiles of, in the order of the table.
func Kinds() []string {
	return []string{"power-meter", "inverter", "drive", "temperature-controller", "sensor", "plc", "water-meter", "heat-meter", "gas-meter", "simulated"}
}

// Names lists the profiles in alphabetical order.
func Names() []string { return names() }

var names = sync.OnceValue(func() []string {
	entries, err := fs.ReadDir(files, "models") // sorted
	if err != nil {
		panic("bug: the profiles are not embedded: " + err.Error())
	}
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	return out
})

// YAML gives the file of a profile.
func YAML(name string) ([]byte, bool) {
	data, err := files.ReadFile("models/" + name + ".yaml")
	return data, err == nil
}

// Open reads a profile.
func Open(name string) (*Profile, error) {
	data, ok := YAML(name)
	if !ok {
		return nil, fmt.Errorf("there is no profile %q", name)
	}
	var p Profile
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&p); err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	return &p, nil
}
