package dlt645

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Options is what a device of this kind says in the configuration.
type Options struct {
	Address BusAddress     `yaml:"address" required:"true" doc:"the line that the meter is on: bus://NAME, with a name from buses:"`
	Meter   MeterNumber    `yaml:"meter" required:"true" doc:"the 12 digits of the meter's address, in quotes"`
	Timeout time.Duration  `yaml:"timeout" default:"1s" doc:"how long the meter may take to answer one request; the standard allows it half a second" min:"50ms" max:"30s"`
	Points  []PointOptions `yaml:"points" required:"true" unique:"name" doc:"what to read"`

	edition Edition
}

// PointOptions is one value to read.
type PointOptions struct {
	Name   string `yaml:"name" required:"true" doc:"the name of the value in readings"`
	ID     ID     `yaml:"id" required:"true" doc:"data identifier: 8 hex digits such as 00010000, 4 in the edition of 1997, in quotes"`
	Format Format `yaml:"format" doc:"what the bytes mean, for identifiers that are not in the table: XXXXXX.XX, -XX.XXXX, NNNN, YYMMDDWW, hhmmss, ascii:6, bits:2"`
	Unit   string `yaml:"unit" doc:"shown beside the value"`
}

// BusAddress names the line a device is on.
type BusAddress string

// UnmarshalText takes bus://NAME.
func (a *BusAddress) UnmarshalText(text []byte) error {
	name, ok := strings.CutPrefix(string(text), "bus://")
	if !ok || name == "" || strings.ContainsAny(name, "/?# ") {
		return fmt.Errorf("%q is not bus://NAME, with a name from buses:", text)
	}
	*a = BusAddress(name)
	return nil
}

// Validate reports what cannot work, each with its place below the device.
func (o *Options) Validate(report func(path, problem string)) {
	if o.Address == "" {
		report("address", "is missing: bus://NAME, with a name from buses:")
	}
	switch o.Meter.String() {
	case "000000000000":
		report("meter", "is missing: the 12 digits of the meter's address")
	case "999999999999":
		report("meter", "is the broadcast address, which no meter answers")
	}
	if o.Timeout <= 0 {
		report("timeout", fmt.Sprintf("%v is not a time to wait", o.Timeout))
	}
	if len(o.Points) == 0 {
		report("points", "is empty: there is nothing to read")
	}
	seen := map[string]bool{}
	for i, p := range o.Points {
		at := fmt.Sprintf("points[%d]", i)
		switch {
		case p.Name == "":
			report(at+".name", "is missing")
		case seen[p.Name]:
			report(at+".name", fmt.Sprintf("%q names two points", p.Name))
		}
		seen[p.Name] = true
		o.validateID(at, p, report)
	}
}

func (o *Options) validateID(at string, p PointOptions, report func(path, problem string)) {
	edition := o.edition.orDefault()
	switch {
	case p.ID.bytes == 0:
		report(at+".id", "is missing")
	case p.ID.bytes != edition.idBytes():
		report(at+".id", fmt.Sprintf("%s has %d hex digits, identifiers of DL/T 645-%d have %d", p.ID, 2*p.ID.bytes, edition, 2*edition.idBytes()))
	case p.Format.kind == unknown:
		if _, ok := known(p.ID); !ok {
			report(at+".format", fmt.Sprintf("is missing: %s is not in the table of identifiers, so say what its bytes mean, such as XXXXXX.XX", p.ID))
		}
	}
}

func (o *Options) check() error {
	var errs []error
	o.Validate(func(path, problem string) { errs = append(errs, fmt.Errorf("%s: %s", path, problem)) })
	return errors.Join(errs...)
}

// Endpoint is the line that the meter is on.
func (o *Options) Endpoint() string { return string(o.Address) }
