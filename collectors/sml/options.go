package sml

import (
	"encoding/hex"
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

// The ways to get at values.
const (
	modePush    = "push"
	modeRequest = "request"
)

const (
	defaultBaud = 9600
	defaultWait = 10 * time.Second // meters push every one to four seconds
)

// Options is what a device of this kind says in the configuration.
type Options struct {
	Address LineAddress    `yaml:"address" required:"true" doc:"the line that the meter is on: bus://NAME, with a name from buses:, or tcp://host:port of a transparent serial server"`
	Mode    string         `yaml:"mode" default:"push" enum:"push,request" doc:"push: listen for the next telegram, which nearly all meters send by themselves; request: ask for the list of values"`
	Baud    int            `yaml:"baud" default:"9600" doc:"bits per second; characters have 8 bits and no parity" min:"300" max:"115200"`
	Server  Octets         `yaml:"server" doc:"the meter's id in hex digits, such as 0A01484C59020003A910; with it, telegrams of another meter are refused. empty: whichever is there"`
	List    Octets         `yaml:"list" doc:"mode request: the name of the list to ask for in hex digits; empty: the meter's usual one"`
	Quirk   string         `yaml:"quirk" default:"auto" enum:"auto,none,dzg" doc:"dzg: the power that old DZG meters send as negative although it is positive; auto: when the meter's number is of those"`
	Wait    time.Duration  `yaml:"wait" default:"10s" doc:"how long to listen for the next telegram, or for the answer to a request" min:"500ms" max:"10m"`
	Points  []PointOptions `yaml:"points" required:"true" unique:"name" doc:"what to read"`
}

// PointOptions is one value to read.
type PointOptions struct {
	Name string `yaml:"name" required:"true" doc:"the name of the value in readings"`
	Code Code   `yaml:"code" required:"true" doc:"the value's OBIS code, in quotes: 1-0:1.8.0*255, 1.8.0, or 0100010800FF"`
	Unit string `yaml:"unit" doc:"what to give the value in, such as kWh where the meter sends Wh; empty: as the meter sends it"`

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

// Octets are bytes that the configuration writes as hex digits.
type Octets string

// UnmarshalText takes pairs of hex digits, which spaces may separate.
func (o *Octets) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(strings.ReplaceAll(string(text), " ", ""))
	if err != nil || len(b) > 64 {
		return fmt.Errorf("%q is not up to 64 bytes in hex digits", text)
	}
	*o = Octets(b)
	return nil
}

// String gives the hex digits.
func (o Octets) String() string { return strings.ToUpper(hex.EncodeToString([]byte(o))) }

func (o *Options) character() *bus.Character {
	return &bus.Character{Baud: o.Baud, DataBits: 8, Parity: "none", StopBits: 1}
}

// Validate reports what cannot work, each with its place below the device.
func (o *Options) Validate(report func(path, problem string)) {
	if o.Address == "" {
		report("address", "is missing: bus://NAME, with a name from buses:, or tcp://host:port")
	}
	if o.Mode != modePush && o.Mode != modeRequest {
		report("mode", fmt.Sprintf("%q is neither push nor request", o.Mode))
	}
	if !slices.Contains([]int{300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200}, o.Baud) {
		report("baud", fmt.Sprintf("%d is not a rate that meters have; 9600 is usual", o.Baud))
	}
	if o.List != "" && o.Mode != modeRequest {
		report("list", "belongs to mode request: a meter that pushes sends what it sends")
	}
	if !slices.Contains([]string{quirkAuto, quirkNone, quirkDZG}, o.Quirk) {
		report("quirk", fmt.Sprintf("%q is not auto, none or dzg", o.Quirk))
	}
	if o.Wait <= 0 {
		report("wait", fmt.Sprintf("%v is not a time to wait", o.Wait))
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
		if !p.Code.known {
			report(at+".code", "is missing: the value's OBIS code, such as 1-0:1.8.0*255")
		}
		p.ValidateFor(true, func(key, problem string) { report(at+"."+key, problem) })
	}
}

func (o *Options) check() error {
	var errs []error
	o.Validate(func(path, problem string) { errs = append(errs, fmt.Errorf("%s: %s", path, problem)) })
	return errors.Join(errs...)
}

// Endpoint is the line that the meter is on.
func (o *Options) Endpoint() string { return string(o.Address) }
