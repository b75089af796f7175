package iec62056

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
)

// The modes of a meter, as the configuration writes them.
const (
	modeAuto = "auto"
	modeA    = "a"
	modeB    = "b"
	modeC    = "c"
	modeD    = "d"
	modeP1   = "p1"
)

const (
	defaultTimeout = 2 * time.Second  // the standard has 1.5 s, and optical heads add to it
	defaultWait    = 15 * time.Second // the slowest DSMR meters push every ten seconds
	readWhole      = "readout"
)

// Options is what a device of this kind says in the configuration.
type Options struct {
	Address  LineAddress    `yaml:"address" required:"true" doc:"the line that the meter is on: bus://NAME, with a name from buses:, or tcp://host:port of a transparent serial server"`
	Mode     string         `yaml:"mode" default:"auto" enum:"auto,a,b,c,d,p1" doc:"how the meter talks: auto asks and follows its identification; a, b and c force that mode; d listens to a meter that pushes readouts; p1 to a DSMR meter"`
	Device   string         `yaml:"device" doc:"the meter's device address, for the case that several share the line; empty: whichever is there" max:"32"`
	Baud     int            `yaml:"baud" doc:"bits per second of the sign-on, or of a meter that pushes; 0: 300, of mode d 2400, of p1 115200" min:"0" max:"115200"`
	MaxBaud  int            `yaml:"max_baud" doc:"change to no higher rate than this, for heads and lines that garble what is faster; 0: as fast as the meter offers" min:"0" max:"19200"`
	KeepBaud bool           `yaml:"keep_baud" doc:"never change the rate, for a meter or a line that cannot; over a serial server it never changes anyhow"`
	Parity   string         `yaml:"parity" default:"port" enum:"port,software,none" doc:"port: the serial port does 7 data bits and even parity; software: the port stays at 8 bits and the gateway computes the parity; none: the meter has 8 bits without parity"`
	Read     string         `yaml:"read" default:"readout" enum:"readout,R1,R2,R5" doc:"readout: everything that the meter tells, in one go; R1, R2 or R5: one register after the other in programming mode, with that command (mode c only)"`
	WakeUp   int            `yaml:"wake_up" doc:"NUL characters before the sign-on, for battery meters that sleep; 40 is usual" min:"0" max:"120"`
	Timeout  time.Duration  `yaml:"timeout" default:"2s" doc:"how long the meter may take to begin an answer, and the longest pause within one" min:"100ms" max:"30s"`
	Wait     time.Duration  `yaml:"wait" default:"15s" doc:"how long to listen for the next telegram of a meter that pushes" min:"1s" max:"10m"`
	Points   []PointOptions `yaml:"points" required:"true" unique:"name" doc:"what to read"`
}

// PointOptions is one value to read.
type PointOptions struct {
	Name  string `yaml:"name" required:"true" doc:"the name of the value in readings"`
	Code  Code   `yaml:"code" required:"true" doc:"the register's OBIS code, in quotes: 1.8.0, 1-0:1.8.0*255, or 1.8.0*01 for the first stored value"`
	Value int    `yaml:"value" doc:"which of several values in parentheses, counted from 1; 0: the first. Gas meters on a DSMR meter have theirs as the second" min:"0" max:"64"`
	As    string `yaml:"as" enum:"number,text" doc:"number or text; without it what has a unit or a decimal point is a number and everything else text"`
	Unit  string `yaml:"unit" doc:"what to give the value in: kWh or Wh, kW or W, whatever the meter sends; empty: as the meter sends it"`

	collectors.Policy `yaml:",inline"`
}

// LineAddress names the line a device is on.
type LineAddress string

// UnmarshalText takes bus://NAME and tcp://host:port.
func (a *LineAddress) UnmarshalText(text []byte) error {
	name, isBus := strings.CutPrefix(string(text), "bus://")
	server, isTCP := strings.CutPrefix(string(text), "tcp://")
	host, port, err := net.SplitHostPort(server)
	number, bad := strconv.ParseUint(port, 10, 16)
	switch {
	case isBus && name != "" && !strings.ContainsAny(name, "/?# "):
	case isTCP && err == nil && bad == nil && host != "" && number > 0:
	default:
		return fmt.Errorf("%q is neither bus://NAME, with a name from buses:, nor tcp://host:port", text)
	}
	*a = LineAddress(text)
	return nil
}

// pushes says whether the meter speaks unasked.
func (o *Options) pushes() bool { return o.Mode == modeD || o.Mode == modeP1 }

// start is the rate that a conversation begins with.
func (o *Options) start() int {
	switch {
	case o.Baud != 0:
		return o.Baud
	case o.Mode == modeD:
		return 2400
	case o.Mode == modeP1:
		return 115200
	}
	return 300
}

// character is how the line is set at a rate. A pushing meter's readout has no block check, and a
// port that drops characters of wrong parity would shorten its numbers: so the gateway checks them.
func (o *Options) character(rate int) *bus.Character {
	if o.Parity == parityPort && !o.pushes() {
		return &bus.Character{Baud: rate, DataBits: 7, Parity: "even", StopBits: 1}
	}
	return &bus.Character{Baud: rate, DataBits: 8, Parity: "none", StopBits: 1}
}

// The ways to have even parity.
const (
	parityPort     = "port"
	paritySoftware = "software"
)

// Validate reports what cannot work, each with its place below the device.
func (o *Options) Validate(report func(path, problem string)) {
	if o.Address == "" {
		report("address", "is missing: bus://NAME, with a name from buses:, or tcp://host:port")
	}
	if !slices.Contains([]string{modeAuto, modeA, modeB, modeC, modeD, modeP1}, o.Mode) {
		report("mode", fmt.Sprintf("%q is not auto, a, b, c, d or p1", o.Mode))
	}
	if err := deviceAddress(o.Device); err != nil {
		report("device", err.Error())
	}
	o.validateRates(report)
	if o.Read != readWhole && o.Mode != modeAuto && o.Mode != modeC {
		report("read", fmt.Sprintf("%s needs the programming mode, which only meters of mode c have", o.Read))
	}
	if o.Timeout <= 0 {
		report("timeout", fmt.Sprintf("%v is not a time to wait", o.Timeout))
	}
	if o.Wait <= 0 {
		report("wait", fmt.Sprintf("%v is not a time to wait", o.Wait))
	}
	o.validatePoints(report)
}

func (o *Options) validateRates(report func(path, problem string)) {
	_, asked := rateCode(o.Baud)
	switch {
	case o.pushes() && o.Baud != 0 && !asked && !slices.Contains([]int{38400, 57600, 115200}, o.Baud):
		report("baud", fmt.Sprintf("%d is not a rate that meters have, such as 9600 or 115200", o.Baud))
	case !o.pushes() && o.Baud != 0 && !asked:
		report("baud", fmt.Sprintf("%d is not a rate of the standard: 300, 600, 1200, 2400, 4800, 9600 or 19200", o.Baud))
	}
	if _, ok := rateCode(o.MaxBaud); !ok && o.MaxBaud != 0 {
		report("max_baud", fmt.Sprintf("%d is not a rate of the standard: 300, 600, 1200, 2400, 4800, 9600 or 19200", o.MaxBaud))
	}
}

func (o *Options) validatePoints(report func(path, problem string)) {
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
		if p.Code.text == "" {
			report(at+".code", "is missing: the register's OBIS code, such as 1.8.0")
		}
		if p.Value < 0 {
			report(at+".value", fmt.Sprintf("%d does not count from 1", p.Value))
		}
		if !slices.Contains([]string{asAuto, asNumber, asText}, p.As) {
			report(at+".as", fmt.Sprintf("%q is neither number nor text", p.As))
		}
		if p.As == asText && p.Unit != "" {
			report(at+".unit", "belongs to a number, and the point is text")
		}
		p.ValidateFor(p.As != asText, func(key, problem string) { report(at+"."+key, problem) })
	}
}

func deviceAddress(text string) error {
	if len(text) > maxAddress {
		return fmt.Errorf("has %d characters, a device address at most %d", len(text), maxAddress)
	}
	for _, c := range []byte(text) {
		if c != ' ' && !letter(c) && (c < '0' || c > '9') {
			return fmt.Errorf("%q may hold only digits, letters and spaces", text)
		}
	}
	return nil
}

func (o *Options) check() error {
	var errs []error
	o.Validate(func(path, problem string) { errs = append(errs, fmt.Errorf("%s: %s", path, problem)) })
	return errors.Join(errs...)
}

// Endpoint is the line that the meter is on.
func (o *Options) Endpoint() string { return string(o.Address) }
