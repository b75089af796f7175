package cjt188

import (
	"fmt"
	"math"
	"slices"

	"sluice/gateway/message"
)

// quantity is what a unit measures.
type quantity byte

const (
	noQuantity quantity = iota
	energy
	power
	volume
	flow
	temperature
	duration
)

// unit is one unit of a quantity, as a whole number of the smallest of its kind: joules, watts,
// litres, litres an hour.
type unit struct {
	quantity quantity
	size     int64
}

// onWire are the unit bytes of CJ/T 188-2004, table 13.
var onWire = map[byte]unit{
	0x01: {energy, 1}, 0x02: {energy, 3600}, 0x05: {energy, 3600_000}, 0x08: {energy, 3600_000_000},
	0x0A: {energy, 360_000_000_000}, 0x0B: {energy, 1000}, 0x0E: {energy, 1000_000},
	0x11: {energy, 1000_000_000}, 0x13: {energy, 100_000_000_000},
	0x14: {power, 1}, 0x17: {power, 1000}, 0x1A: {power, 1000_000},
	0x29: {volume, 1}, 0x2C: {volume, 1000},
	0x32: {flow, 1}, 0x35: {flow, 1000},
}

// named are the units that a configuration may ask for.
var named = map[string]unit{
	"J": {energy, 1}, "kJ": {energy, 1000}, "MJ": {energy, 1000_000}, "GJ": {energy, 1000_000_000},
	"Wh": {energy, 3600}, "kWh": {energy, 3600_000}, "MWh": {energy, 3600_000_000},
	"W": {power, 1}, "kW": {power, 1000}, "MW": {power, 1000_000},
	"L": {volume, 1}, "m3": {volume, 1000},
	"L/h": {flow, 1}, "m3/h": {flow, 1000},
	"°C": {temperature, 1}, "h": {duration, 1},
}

// natural is the unit of a quantity when the configuration names none.
var natural = map[quantity]string{
	energy: "kWh", power: "kW", volume: "m3", flow: "m3/h", temperature: "°C", duration: "h",
}

// unitsOf lists the units that q may be asked for in.
func unitsOf(q quantity) (names []string) {
	for name, u := range named {
		if u.quantity == q {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// convert gives n * 10^-decimals of one unit in another. What can be is computed in whole numbers, so
// that the result is the float64 nearest to the decimal and prints as it.
func convert(n int64, decimals int, from, to unit) message.Value {
	multiply, divide := from.size, to.size
	for range decimals {
		divide *= 10
	}
	common := gcd(multiply, divide)
	multiply, divide = multiply/common, divide/common
	if divide == 1 && n < math.MaxInt64/multiply {
		return message.Int(n * multiply)
	}
	if exact := int64(1) << 53; n < exact/multiply {
		return message.Float64(float64(n*multiply) / float64(divide))
	}
	return message.Float64(float64(n) * float64(multiply) / float64(divide))
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// decimalOf reads a number of packed digits, low byte first.
func decimalOf(b []byte) (n int64, err error) {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]>>4 > 9 || b[i]&0xF > 9 {
			return 0, fmt.Errorf("the meter sent % X, which is not decimal", b)
		}
		n = n*100 + int64(b[i]>>4)*10 + int64(b[i]&0xF)
	}
	return n, nil
}
