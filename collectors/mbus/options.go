package mbus

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"sluice/collectors"
)

// Options is what a device of this kind says in the configuration.
type Options struct {
	Address     LineAddress    `yaml:"address" required:"true" doc:"the line that the meter is on: bus://NAME with a name from buses:, or tcp://host:port of a level converter or serial server"`
	Meter       Address        `yaml:"meter" required:"true" doc:"which meter: its number on the line, 0 to 250, or the eight digits of its identification number, if need be with maker, version and medium as in 11490378.ACW.14.22"`
	Baud        int            `yaml:"baud" doc:"bits per second of this meter on a serial line, with 8 data bits and even parity; 0: as the line is set" enum:"0,300,600,1200,2400,4800,9600,19200,38400"`
	Timeout     time.Duration  `yaml:"timeout" default:"500ms" doc:"how long the meter may take to answer one request; the standard allows it 330 bit times and 50 ms" min:"50ms" max:"30s"`
	Telegrams   int            `yaml:"telegrams" default:"10" doc:"how many telegrams the answer may have" min:"1" max:"50"`
	Application Application    `yaml:"application" doc:"two hex digits: before each reading the meter's application is reset with this subcode, which chooses the telegrams of some meters; empty: it is left alone"`
	Points      []PointOptions `yaml:"points" required:"true" unique:"name" doc:"what to read"`
}

// PointOptions is one value to read.
type PointOptions struct {
	Name   string   `yaml:"name" required:"true" doc:"the name of the value in readings"`
	Record Selector `yaml:"record" required:"true" doc:"which record: energy, power.max, volume[storage=1], energy[tariff=2,subunit=1], #12, header.status"`
	Unit   string   `yaml:"unit" doc:"the unit to give the value in, such as kWh, MWh, GJ, m3, l, m3/h, °C; empty: the usual one of its quantity"`

	collectors.Policy `yaml:",inline"`
}

// LineAddress names the line a device is on.
type LineAddress string

// UnmarshalText takes bus://NAME and tcp://host:port.
func (a *LineAddress) UnmarshalText(text []byte) error {
	if name, ok := strings.CutPrefix(string(text), "bus://"); ok && name != "" && !strings.ContainsAny(name, "/?# ") {
		*a = LineAddress(text)
		return nil
	}
	if place, ok := strings.CutPrefix(string(text), "tcp://"); ok {
		if host, port, err := net.SplitHostPort(place); err == nil && host != "" && port != "" {
			*a = LineAddress(text)
			return nil
		}
	}
	return fmt.Errorf("%q is neither bus://NAME, with a name from buses:, nor tcp://host:port", text)
}

// Application is a subcode of the application reset, or none.
type Application struct {
	given bool
	code  byte
}

// UnmarshalText takes two hex digits, or nothing.
func (a *Application) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = Application{}
		return nil
	}
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != 1 {
		return fmt.Errorf("%q is not a subcode of two hex digits", text)
	}
	*a = Application{given: true, code: b[0]}
	return nil
}

// String gives the digits, or nothing.
func (a Application) String() string {
	if !a.given {
		return ""
	}
	return fmt.Sprintf("%02X", a.code)
}

// Validate reports what cannot work, each with its place below the device.
func (o *Options) Validate(report func(path, problem string)) {
	if o.Address == "" {
		report("address", "is missing: bus://NAME, with a name from buses:, or tcp://host:port")
	}
	if !o.Meter.given {
		report("meter", "is missing: the meter's number on the line, or its identification number")
	}
	if !slices.Contains([]int{0, 300, 600, 1200, 2400, 4800, 9600, 19200, 38400}, o.Baud) {
		report("baud", fmt.Sprintf("%d is not a rate of M-Bus, such as 300, 2400 or 9600", o.Baud))
	}
	if o.Timeout <= 0 {
		report("timeout", fmt.Sprintf("%v is not a time to wait", o.Timeout))
	}
	if o.Telegrams < 1 {
		report("telegrams", fmt.Sprintf("%d leaves nothing to read", o.Telegrams))
	}
	if len(o.Points) == 0 {
		report("points", "is empty: there is nothing to read")
	}
	seen := map[string]bool{}
	for i := range o.Points {
		p := &o.Points[i]
		at := fmt.Sprintf("points[%d]", i)
		switch {
		case p.Name == "":
			report(at+".name", "is missing")
		case seen[p.Name]:
			report(at+".name", fmt.Sprintf("%q names two points", p.Name))
		}
		seen[p.Name] = true
		p.validate(func(key, problem string) { report(at+"."+key, problem) })
	}
}

func (p *PointOptions) validate(report func(key, problem string)) {
	if !p.Record.parsed {
		report("record", "is missing: such as energy or volume[storage=1]")
		return
	}
	p.ValidateFor(p.Record.number(), report)
	usual := p.Record.usual()
	if p.Unit == "" || usual.name == "" {
		return // a label for what has no unit, or for what is known only when the meter answers
	}
	if u, ok := unitNamed(p.Unit); !ok || u.dimension != usual.dimension {
		report("unit", fmt.Sprintf("%s cannot be given in %q, its usual unit is %s", p.Record, p.Unit, usual.name))
	}
}

func (o *Options) check() error {
	var errs []error
	o.Validate(func(path, problem string) { errs = append(errs, fmt.Errorf("%s: %s", path, problem)) })
	return errors.Join(errs...)
}

// Endpoint is the line that the meter is on.
func (o *Options) Endpoint() string { return string(o.Address) }
