package cjt188

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/collectors"
)

// Options is what a device of this kind says in the configuration.
type Options struct {
	Address      Address        `yaml:"address" required:"true" doc:"where the meter is: bus://NAME, with a name from buses:, or tcp://host:port of a transparent serial server"`
	Meter        MeterNumber    `yaml:"meter" required:"true" doc:"the 14 digits of the meter's address, in quotes; the first four are the maker's"`
	Type         Type           `yaml:"type" default:"water" doc:"what it is: water (cold-water), hot-water, drinking-water, reclaimed-water, heat, cooling, gas, electricity, or the type byte in hex, such as 0x25"`
	Timeout      time.Duration  `yaml:"timeout" default:"1s" doc:"how long the meter may take to begin its answer" min:"50ms" max:"30s"`
	IDOrder      string         `yaml:"id_order" default:"auto" doc:"the order of an identifier's bytes: 901F and 1F90 as they go on the wire; auto finds out which one the meter answers to" enum:"auto,901F,1F90"`
	UnitPosition string         `yaml:"unit_position" default:"auto" doc:"where the unit byte stands: after the value, as in the standard, or before it, as in some heat meters; auto sees it in the answer" enum:"auto,after,before"`
	Serial       int            `yaml:"serial" default:"1" doc:"the serial number in requests" min:"0" max:"255"`
	ValveTime    time.Duration  `yaml:"valve_time" default:"20s" doc:"how long a valve may take to move; a command waits so long until the meter says that it did" min:"0s" max:"25s"`
	Points       []PointOptions `yaml:"points" required:"true" unique:"name" doc:"what to read"`
}

// PointOptions is one value to read.
type PointOptions struct {
	Name     string `yaml:"name" required:"true" doc:"the name of the value in readings"`
	Item     string `yaml:"item" doc:"what it is, when name is another word: volume, settlement_volume, heat, settlement_heat, energy, settlement_energy, power, flow, supply_temperature, return_temperature, hours, clock, status, status.0 to status.15, valve, battery_low, history_1 to history_12"`
	Unit     string `yaml:"unit" doc:"what to convert the value to: kWh, MWh, GJ, MJ, kJ, J, Wh; kW, W, MW; m3, L; m3/h, L/h. Without it kWh, kW, m3, m3/h, °C or h"`
	Decimals *int   `yaml:"decimals" doc:"how many of the digits stand behind the point, for meters that differ from the standard: flow has 4, hours 0, the others 2" min:"0" max:"7"`
	Access   string `yaml:"access" doc:"r, or rw for a valve that commands may write: open or closed" enum:"r,rw"`

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

// Type is a meter's type byte.
type Type byte

// UnmarshalText takes a name or a hexadecimal number.
func (t *Type) UnmarshalText(text []byte) error {
	if code, ok := types[string(text)]; ok {
		*t = Type(code)
		return nil
	}
	digits := strings.TrimPrefix(strings.ToLower(string(text)), "0x")
	code, err := strconv.ParseUint(digits, 16, 8)
	if err != nil || class(byte(code)) == nil {
		return fmt.Errorf("%q is no type of meter: write water, hot-water, drinking-water, reclaimed-water, heat, cooling, gas, electricity, or a byte from 0x10 to 0x49", text)
	}
	*t = Type(code)
	return nil
}

// String gives the name.
func (t Type) String() string { return typeName(byte(t)) }

// Validate reports what cannot work, each with its place below the device.
func (o *Options) Validate(report func(path, problem string)) {
	if o.Address == "" {
		report("address", "is missing: bus://NAME, with a name from buses:, or tcp://host:port")
	}
	switch {
	case o.Meter == (MeterNumber{}):
		report("meter", "is missing: the 14 digits of the meter's address")
	case slices.Contains(o.Meter[:], byte(wildcard)):
		report("meter", "has AA in it, which stands for whichever meter; name one")
	}
	k := class(byte(o.Type))
	if k == nil {
		report("type", fmt.Sprintf("%02X is no type of meter", byte(o.Type)))
	}
	if o.Timeout <= 0 {
		report("timeout", fmt.Sprintf("%v is not a time to wait", o.Timeout))
	}
	if o.Serial < 0 || o.Serial > 255 {
		report("serial", fmt.Sprintf("%d is not from 0 to 255", o.Serial))
	}
	if _, ok := idOrders[o.IDOrder]; !ok {
		report("id_order", fmt.Sprintf("%q is not auto, 901F or 1F90", o.IDOrder))
	}
	if _, ok := unitPlaces[o.UnitPosition]; !ok {
		report("unit_position", fmt.Sprintf("%q is not auto, after or before", o.UnitPosition))
	}
	if len(o.Points) == 0 {
		report("points", "is empty: there is nothing to read")
	}
	seen := map[string]bool{}
	for i, p := range o.Points {
		at := fmt.Sprintf("points[%d].", i)
		switch {
		case p.Name == "":
			report(at+"name", "is missing")
		case seen[p.Name]:
			report(at+"name", fmt.Sprintf("%q names two points", p.Name))
		}
		seen[p.Name] = true
		if k != nil && p.Name != "" {
			p.validate(k, func(key, problem string) { report(at+key, problem) })
		}
	}
}

var (
	idOrders   = map[string]idOrder{"": orderUnknown, "auto": orderUnknown, "901F": highFirst, "1F90": lowFirst}
	unitPlaces = map[string]unitPlace{"": placeUnknown, "auto": placeUnknown, "after": placeAfter, "before": placeBefore}
)

// itemName is what the point reads.
func (p *PointOptions) itemName() string {
	if p.Item != "" {
		return p.Item
	}
	return p.Name
}

func (p *PointOptions) validate(k *kind, report func(key, problem string)) {
	what, ok := k.find(p.itemName())
	if !ok {
		key := "item"
		if p.Item == "" {
			key = "name"
		}
		report(key, fmt.Sprintf("a %s meter has no %s; it has %s", k.name, p.itemName(), k.items()))
		return
	}
	quantity := k.slotOf(what).quantity
	if p.Unit != "" && quantity == noQuantity {
		report("unit", fmt.Sprintf("%s has no unit", what.name))
	} else if p.Unit != "" && named[p.Unit].quantity != quantity {
		report("unit", fmt.Sprintf("%s cannot be shown in %q; it can in %s", what.name, p.Unit, strings.Join(unitsOf(quantity), ", ")))
	}
	if p.Decimals != nil && (quantity == noQuantity || *p.Decimals < 0 || *p.Decimals > 7) {
		report("decimals", "is for quantities, from 0 to 7")
	}
	p.Policy.ValidateFor(quantity != noQuantity || what.name == "status", report)
	switch p.Access {
	case "", "r":
	case "rw":
		if what.part.kind != valveState {
			report("access", "only a valve can be written")
		}
	default:
		report("access", fmt.Sprintf("%q is not r or rw", p.Access))
	}
}

func (o *Options) check() error {
	var errs []error
	o.Validate(func(path, problem string) { errs = append(errs, fmt.Errorf("%s: %s", path, problem)) })
	return errors.Join(errs...)
}

// Endpoint is the line that the meter is on.
func (o *Options) Endpoint() string { return string(o.Address) }
