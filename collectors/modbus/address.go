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

const areaDigits = " 0134" // by Area

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
// perhaps a part of the register: one bit, 0 being the least significant, or one byte.
type Address struct {
	Area   Area
	Number uint16
	HasBit bool
	Bit    byte
	Byte   byte // 'h' for the high byte, 'l' for the low one, 0 for the whole register
}

const addressForms = "write for example holding:0, holding:0x1F, holding:7.2, holding:7.h, input:10, coil:0, discrete:3, 40001 or 400001"

// UnmarshalText reads "holding:7.2" and the older 40001 and 400001 forms, which count from 1.
func (a *Address) UnmarshalText(text []byte) error {
	written := string(text)
	whole, part, hasPart := strings.Cut(written, ".")
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
	if hasPart {
		if parsed.Area.bits() {
			return fmt.Errorf("%q is not an address: a %s has no bits", written, parsed.Area)
		}
		if err := parsed.setPart(part); err != nil {
			return fmt.Errorf("%q is not an address: %w", written, err)
		}
	}
	*a = parsed
	return nil
}

func (a *Address) setPart(part string) error {
	if part == "h" || part == "l" {
		a.Byte = part[0]
		return nil
	}
	n, err := strconv.ParseUint(part, 10, 8)
	if err != nil || n > 15 {
		return fmt.Errorf("the bits of a register are 0 to 15, its bytes h and l")
	}
	a.HasBit, a.Bit = true, byte(n)
	return nil
}

func namedAddress(name, number string) (Address, error) {
	for area := Coil; area <= Holding; area++ {
		if areaNames[area] != name {
			continue
		}
		digits, base := number, 10
		if hex, ok := strings.CutPrefix(number, "0x"); ok {
			digits, base = hex, 16
		}
		n, err := strconv.ParseUint(digits, base, 16)
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
	area := Area(strings.IndexByte(areaDigits, written[0]))
	if area < Coil || area > Holding {
		return Address{}, fmt.Errorf("%c is not the digit of an area: 0, 1, 3 or 4", written[0])
	}
	return Address{Area: area, Number: uint16(n - 1)}, nil
}

// MarshalText gives the written form.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String gives the written form, "" for no address.
func (a Address) String() string {
	if a.Area == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d%s", a.Area, a.Number, a.part())
}

// Numbered gives the form that counts from 1 and begins with the area's digit: 40001, or 410000 for
// what does not fit five digits.
func (a Address) Numbered() string {
	if a.Area < Coil || a.Area > Holding {
		return ""
	}
	digits := 4
	if a.Number >= 9999 {
		digits = 5
	}
	return fmt.Sprintf("%c%0*d%s", areaDigits[a.Area], digits, int(a.Number)+1, a.part())
}

func (a Address) part() string {
	switch {
	case a.HasBit:
		return fmt.Sprintf(".%d", a.Bit)
	case a.Byte != 0:
		return "." + string(a.Byte)
	}
	return ""
}
