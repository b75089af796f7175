package modbus

import (
	"fmt"
	"strconv"
	"strings"
)

// Area is one of the four tables that a Modbus device may have.
type Area byte

// The areas, with the digit that numbers them in the 40001 form.
const (
	Coil     Area = iota + 1 // 0xxxx, read and write
	Discrete                 // 1xxxx
	Input                    // 3xxxx
	Holding                  // 4xxxx, read and write
)

var areaNames = [...]string{Coil: "coil", Discrete: "discrete", Input: "input", Holding: "holding"}

// String gives the name that addresses are written with.
func (a Area) String() string {
	if int(a) < len(areaNames) {
		return areaNames[a]
	}
	return fmt.Sprintf("area %d", byte(a))
}

// bits says whether the area holds single bits instead of registers.
func (a Area) bits() bool { return a == Coil || a == Discrete }

// Address is where a point begins: an area and a number that counts from 0 as on the wire, and
// perhaps one bit of a register, 0 being the least significant.
type Address struct {
	Area   Area
	Number uint16
	HasBit bool
	Bit    byte
}

const addressForms = "write for example holding:0, holding:7.2, input:10, coil:0, discrete:3, 40001 or 400001"

// UnmarshalText reads "holding:7.2" and the older 40001 and 400001 forms, which count from 1.
func (a *Address) UnmarshalText(text []byte) error {
	written := string(text)
	whole, bit, hasBit := strings.Cut(written, ".")
	var parsed Address
	var err error
	if name, number, named := strings.Cut(whole, ":"); named {
		parsed, err = namedAddress(name, number)
	} else {
		parsed, err = numberedAddress(whole)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address: %w; %s", written, err, addressForms)
	}
	if hasBit {
		n, err := strconv.ParseUint(bit, 10, 8)
		if err != nil || n > 15 {
			return fmt.Errorf("%q is not an address: the bits of a register are 0 to 15", written)
		}
		if parsed.Area.bits() {
			return fmt.Errorf("%q is not an address: a %s has no bits", written, parsed.Area)
		}
		parsed.HasBit, parsed.Bit = true, byte(n)
	}
	*a = parsed
	return nil
}

func namedAddress(name, number string) (Address, error) {
	for area := Coil; area <= Holding; area++ {
		if areaNames[area] != name {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return Address{}, fmt.Errorf("%q is not a number from 0 to 65535", number)
		}
		return Address{Area: area, Number: uint16(n)}, nil
	}
	return Address{}, fmt.Errorf("there is no area %q", name)
}

// numberedAddress reads the form of the first Modbus controllers: the first digit is the area and
// the others count from 1.
func numberedAddress(written string) (Address, error) {
	if len(written) != 5 && len(written) != 6 {
		return Address{}, fmt.Errorf("it has neither an area nor 5 or 6 digits")
	}
	n, err := strconv.ParseUint(written[1:], 10, 32)
	if err != nil || n < 1 || n > 1<<16 {
		return Address{}, fmt.Errorf("%q does not count from 1 to 65536", written[1:])
	}
	areas := map[byte]Area{'0': Coil, '1': Discrete, '3': Input, '4': Holding}
	area := areas[written[0]]
	if area == 0 {
		return Address{}, fmt.Errorf("%c is not the digit of an area: 0, 1, 3 or 4", written[0])
	}
	return Address{Area: area, Number: uint16(n - 1)}, nil
}

// MarshalText gives the written form.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String gives the written form, "" for no address.
func (a Address) String() string {
	switch {
	case a.Area == 0:
		return ""
	case a.HasBit:
		return fmt.Sprintf("%s:%d.%d", a.Area, a.Number, a.Bit)
	}
	return fmt.Sprintf("%s:%d", a.Area, a.Number)
}
