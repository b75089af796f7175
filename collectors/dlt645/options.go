package dlt645

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"sluice/collectors"
)

// Options is what a device of this kind says in the configuration.
type Options struct {
	Address      Address        `yaml:"address" required:"true" doc:"where the meter is: bus://NAME, with a name from buses:, or tcp://host:port of a transparent serial server"`
	Meter        MeterNumber    `yaml:"meter" required:"true" doc:"the 12 digits of the meter's address, in quotes"`
	Timeout      time.Duration  `yaml:"timeout" default:"1s" doc:"how long the meter may take to answer one request; the standard allows it half a second" min:"50ms" max:"30s"`
	Blocks       bool           `yaml:"blocks" doc:"ask for neighbouring values, such as the voltages of all phases, in one request; a meter that does not answer that is asked for each as before"`
	PasswordFile string         `yaml:"password_file" path:"secret" doc:"file that holds the password for writing: 8 digits, the level and the password itself, such as 02123456"`
	OperatorFile string         `yaml:"operator_file" path:"secret" doc:"file that holds the operator's code for writing, 8 digits; without it 00000000; not in the edition of 1997"`
	ClockWrite   string         `yaml:"clock_write" default:"set" doc:"how a clock is set: set writes date and time with the password; broadcast sends the time to all meters on the line, which take it once a day and only when they are less than 5 minutes off" enum:"set,broadcast"`
	Points       []PointOptions `yaml:"points" required:"true" unique:"name" doc:"what to read"`

	edition Edition
}

// PointOptions is one value to read.
type PointOptions struct {
	Name   string `yaml:"name" required:"true" doc:"the name of the value in readings"`
	ID     ID     `yaml:"id" required:"true" doc:"data identifier: 8 hex digits such as 00010000, 4 in the edition of 1997, in quotes; or clock for date and time together"`
	Format Format `yaml:"format" doc:"what the bytes mean, for identifiers that are not in the table: XXXXXX.XX, -XX.XXXX, NNNN, YYMMDDWW, hhmmss, YYMMDDhhmm, ascii:6, bits:2"`
	At     *int   `yaml:"at" doc:"the first byte of the value, counted from 0, in an answer that holds several, such as a block or frozen values" min:"0" max:"250"`
	Unit   string `yaml:"unit" doc:"shown beside the value"`
	Access string `yaml:"access" doc:"r, or rw for what commands may write; it needs password_file" enum:"r,rw"`

	collectors.Policy `yaml:",inline"`
}

// Address is a line: bus://NAME or tcp://host:port.
type Address string

// UnmarshalText takes bus://NAME and tcp://host:port.
func (a *Address) UnmarshalText(text []byte) error {
	if name, ok := strings.CutPrefix(string(text), "bus://"); ok && name != "" && !strings.ContainsAny(name, "/?# ") {
		*a = Address(text)
		return nil
	}
	if at, ok := strings.CutPrefix(string(text), "tcp://"); ok {
		host, port, err := net.SplitHostPort(at)
		if n, bad := strconv.ParseUint(port, 10, 16); err == nil && bad == nil && n > 0 && host != "" {
			*a = Address(text)
			return nil
		}
	}
	return fmt.Errorf("%q is neither bus://NAME, with a name from buses:, nor tcp://host:port", text)
}

// Validate reports what cannot work, each with its place below the device.
func (o *Options) Validate(report func(path, problem string)) {
	if o.Address == "" {
		report("address", "is missing: bus://NAME, with a name from buses:, or tcp://host:port")
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
	switch o.ClockWrite {
	case "", "set", "broadcast":
	default:
		report("clock_write", fmt.Sprintf("%q is not set or broadcast", o.ClockWrite))
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
		o.validateAccess(at, p, report)
		kind := p.format().kind
		p.Policy.ValidateFor(kind == unknown && p.ID != clockID || kind == number || kind == bits, func(key, problem string) { report(at+"."+key, problem) })
	}
}

func (o *Options) validateID(at string, p PointOptions, report func(path, problem string)) {
	edition := o.edition.orDefault()
	switch {
	case p.ID == clockID:
		if p.Format.kind != unknown || p.At != nil {
			report(at+".format", "goes with identifiers, not with clock; nor does at")
		}
		return
	case p.ID.bytes == 0:
		report(at+".id", "is missing")
	case p.ID.bytes != edition.idBytes():
		report(at+".id", fmt.Sprintf("%s has %d hex digits, identifiers of DL/T 645-%d have %d", p.ID, 2*p.ID.bytes, edition, 2*edition.idBytes()))
	case p.format().kind == unknown:
		report(at+".format", fmt.Sprintf("is missing: %s is not in the table of identifiers, so say what its bytes mean, such as XXXXXX.XX", p.ID))
	}
	if p.At != nil && (*p.At < 0 || *p.At > 250) {
		report(at+".at", fmt.Sprintf("%d is not from 0 to 250", *p.At))
	}
}

// format is what the point's bytes mean, as the configuration or the tables say.
func (p *PointOptions) format() Format {
	if p.Format.kind != unknown {
		return p.Format
	}
	if f, ok := known(p.ID); ok {
		return f
	}
	f, _ := compound(p.ID)
	return f
}

func (o *Options) validateAccess(at string, p PointOptions, report func(path, problem string)) {
	switch p.Access {
	case "", "r":
		return
	case "rw":
	default:
		report(at+".access", fmt.Sprintf("%q is not r or rw", p.Access))
		return
	}
	broadcast := p.ID == clockID && o.ClockWrite == "broadcast"
	if o.PasswordFile == "" && !broadcast {
		report(at+".access", "a meter takes what is written only with a password: name a password_file")
	}
	if p.place() >= 0 {
		report(at+".access", "what is a part of an answer cannot be written")
	}
}

// place is where in the answer the value begins; -1: it is all of the answer.
func (p *PointOptions) place() int {
	if p.At != nil {
		return *p.At
	}
	if _, whole := known(p.ID); whole || p.ID == clockID || p.Format.kind != unknown {
		return -1
	}
	if _, several := compound(p.ID); several {
		return 0
	}
	return -1
}

func (o *Options) check() error {
	var errs []error
	o.Validate(func(path, problem string) { errs = append(errs, fmt.Errorf("%s: %s", path, problem)) })
	return errors.Join(errs...)
}

// Endpoint is the line that the meter is on.
func (o *Options) Endpoint() string { return string(o.Address) }
