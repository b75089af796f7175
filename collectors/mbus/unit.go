package mbus

import (
	"slices"
	"strings"
)

// unit is a unit of measure as a multiple of its dimension's base unit: times/per · 10^exponent.
type unit struct {
	name       string
	dimension  dimension
	times, per int64
	exponent   int
	zero       float64 // added to a value first: degrees that do not count from the base unit's zero
}

type dimension byte

// The dimensions, and in comments their base units.
const (
	none              dimension = iota
	energy                      // J
	power                       // W
	reactiveEnergy              // varh
	reactivePower               // var
	apparentEnergy              // VAh
	apparentPower               // VA
	volume                      // m3
	mass                        // kg
	duration                    // s
	calendar                    // month: no number of seconds
	volumeFlow                  // m3/s
	massFlow                    // kg/s
	temperature                 // °C
	temperatureChange           // K
	pressure                    // bar
	voltage                     // V
	current                     // A
	frequency                   // Hz
	angle                       // °
	share                       // %
	other                       // whatever: only itself
)

var units = []unit{
	{"", none, 1, 1, 0, 0},
	{"J", energy, 1, 1, 0, 0}, {"kJ", energy, 1, 1, 3, 0}, {"MJ", energy, 1, 1, 6, 0}, {"GJ", energy, 1, 1, 9, 0},
	{"Wh", energy, 36, 1, 2, 0}, {"kWh", energy, 36, 1, 5, 0}, {"MWh", energy, 36, 1, 8, 0}, {"GWh", energy, 36, 1, 11, 0},
	{"kcal", energy, 41868, 1, -1, 0}, {"Mcal", energy, 41868, 1, 2, 0}, {"Gcal", energy, 41868, 1, 5, 0}, // the calorie of the steam tables, as EN 1434 has it
	{"W", power, 1, 1, 0, 0}, {"kW", power, 1, 1, 3, 0}, {"MW", power, 1, 1, 6, 0},
	{"J/h", power, 1, 36, -2, 0}, {"kJ/h", power, 1, 36, 1, 0}, {"MJ/h", power, 1, 36, 4, 0}, {"GJ/h", power, 1, 36, 7, 0},
	{"varh", reactiveEnergy, 1, 1, 0, 0}, {"kvarh", reactiveEnergy, 1, 1, 3, 0},
	{"VAh", apparentEnergy, 1, 1, 0, 0}, {"kVAh", apparentEnergy, 1, 1, 3, 0},
	{"var", reactivePower, 1, 1, 0, 0}, {"kvar", reactivePower, 1, 1, 3, 0},
	{"VA", apparentPower, 1, 1, 0, 0}, {"kVA", apparentPower, 1, 1, 3, 0},
	{"m3", volume, 1, 1, 0, 0}, {"l", volume, 1, 1, -3, 0}, {"ml", volume, 1, 1, -6, 0},
	{"ft3", volume, 28316846592, 1, -12, 0}, {"gal", volume, 3785411784, 1, -12, 0},
	{"kg", mass, 1, 1, 0, 0}, {"g", mass, 1, 1, -3, 0}, {"t", mass, 1, 1, 3, 0},
	{"s", duration, 1, 1, 0, 0}, {"min", duration, 6, 1, 1, 0}, {"h", duration, 36, 1, 2, 0}, {"d", duration, 864, 1, 2, 0},
	{"month", calendar, 1, 1, 0, 0}, {"year", calendar, 12, 1, 0, 0},
	{"m3/s", volumeFlow, 1, 1, 0, 0}, {"m3/min", volumeFlow, 1, 6, -1, 0}, {"m3/h", volumeFlow, 1, 36, -2, 0},
	{"l/s", volumeFlow, 1, 1, -3, 0}, {"l/min", volumeFlow, 1, 6, -4, 0}, {"l/h", volumeFlow, 1, 36, -5, 0},
	{"gal/min", volumeFlow, 3785411784, 6, -13, 0}, {"gal/h", volumeFlow, 3785411784, 36, -14, 0},
	{"kg/s", massFlow, 1, 1, 0, 0}, {"kg/h", massFlow, 1, 36, -2, 0}, {"t/h", massFlow, 1, 36, 1, 0},
	{"°C", temperature, 1, 1, 0, 0}, {"°F", temperature, 5, 9, 0, -32},
	{"K", temperatureChange, 1, 1, 0, 0}, {"Δ°F", temperatureChange, 5, 9, 0, 0},
	{"bar", pressure, 1, 1, 0, 0}, {"mbar", pressure, 1, 1, -3, 0}, {"Pa", pressure, 1, 1, -5, 0},
	{"hPa", pressure, 1, 1, -3, 0}, {"kPa", pressure, 1, 1, -2, 0}, {"MPa", pressure, 1, 1, 1, 0},
	{"V", voltage, 1, 1, 0, 0}, {"mV", voltage, 1, 1, -3, 0}, {"kV", voltage, 1, 1, 3, 0},
	{"A", current, 1, 1, 0, 0}, {"mA", current, 1, 1, -3, 0},
	{"Hz", frequency, 1, 1, 0, 0}, {"°", angle, 1, 1, 0, 0}, {"%", share, 1, 1, 0, 0},
	{"dBm", other, 1, 1, 0, 0}, {"Bd", other, 1, 1, 0, 0}, {"bit times", other, 1, 1, 0, 0},
}

// unitNamed finds a unit by its name, in which ³, "deg" and the like may be written in several ways.
func unitNamed(name string) (unit, bool) {
	name = strings.ReplaceAll(strings.ReplaceAll(name, "m³", "m3"), "ft³", "ft3")
	switch name {
	case "degC", "℃":
		name = "°C"
	case "degF", "℉":
		name = "°F"
	case "L":
		name = "l"
	}
	i := slices.IndexFunc(units, func(u unit) bool { return u.name == name })
	if i < 0 {
		return unit{}, false
	}
	return units[i], true
}

func mustUnit(name string) unit {
	u, ok := unitNamed(name)
	if !ok {
		panic("bug: the tables of VIF name a unit " + name + " that does not exist")
	}
	return u
}

// shownUnits are the units in which values are given unless the configuration wants others: one for a
// dimension, whatever prefix a meter uses, so that a new meter does not change the numbers.
var shownUnits = map[dimension]string{
	energy: "kWh", power: "kW", reactiveEnergy: "kvarh", reactivePower: "kvar", apparentEnergy: "kVAh", apparentPower: "kVA",
	volume: "m3", mass: "kg", duration: "s", calendar: "month", volumeFlow: "m3/h", massFlow: "kg/h",
	temperature: "°C", temperatureChange: "K", pressure: "bar", voltage: "V", current: "A", frequency: "Hz", angle: "°", share: "%",
}

func (u unit) shown() unit {
	if name, ok := shownUnits[u.dimension]; ok {
		return mustUnit(name)
	}
	return u
}

func (u unit) orNone() string {
	if u.name == "" {
		return "no unit"
	}
	return u.name
}
