package modbus

import (
	"fmt"
	"time"
)

// Limits is what one request may ask of a device. Zero registers or bits are the protocol's limits.
type Limits struct {
	MaxRegisters int `yaml:"max_registers" doc:"registers that one request reads at most; many devices take fewer than the protocol allows" min:"1" max:"125"`
	MaxBits      int `yaml:"max_bits" doc:"coils or discrete inputs that one request reads at most" min:"1" max:"2000"`
	MaxGap       int `yaml:"max_gap" doc:"registers between two points that nobody wants and that may be read along to spare a request, sixteen coils counting as one; 0 for devices that must not be asked for anything else" min:"0" max:"124"`
}

// defaultLimits leave it to the cost of a request what is read along.
func defaultLimits() Limits {
	return Limits{MaxRegisters: maxRegisters, MaxBits: maxBits, MaxGap: 64}
}

func (l Limits) validate(report func(key, problem string)) {
	for _, each := range []struct {
		key             string
		have, low, high int
		what            string
	}{
		{"max_registers", l.MaxRegisters, 0, maxRegisters, "registers"},
		{"max_bits", l.MaxBits, 0, maxBits, "coils"},
		{"max_gap", l.MaxGap, 0, maxRegisters - 1, "registers"},
	} {
		if each.have < each.low || each.have > each.high {
			report(each.key, fmt.Sprintf("%d is not a number of %s from %d to %d", each.have, each.what, each.low, each.high))
		}
	}
}

// with adds what a request costs beside its data.
func (l Limits) with(overhead int) limits {
	out := limits{registers: l.MaxRegisters, bits: l.MaxBits, gap: l.MaxGap, overhead: overhead}
	if out.registers == 0 {
		out.registers = maxRegisters
	}
	if out.bits == 0 {
		out.bits = maxBits
	}
	return out
}

// limits are what a plan is made under.
type limits struct {
	registers, bits, gap int
	overhead             int // of a request: bytes of data that take as long
}

const bitsPerRegister = 16

// most is how much of an area one request may read.
func (l limits) most(area Area) int {
	if area.bits() {
		return l.bits
	}
	return l.registers
}

// widest is how much that nobody wants one request may read in a row.
func (l limits) widest(area Area) int {
	if area.bits() {
		return bitsPerRegister * l.gap
	}
	return l.gap
}

// cost is how long a request takes, in bytes.
func (l limits) cost(area Area, count int) int {
	if area.bits() {
		return l.overhead + (count+7)/8
	}
	return l.overhead + 2*count
}

// overheadTCP is a request's over a network. Controllers look at requests once a cycle, so each takes
// some milliseconds, in which a network brings far more than all registers that there are.
const overheadTCP = 1 << 18

// overheadRTU is a request's on a serial line: 8 characters there, 5 around the data, and pauses,
// which are the silence before, the end of the frame as the device sees it, and its thinking.
func overheadRTU(character, pauses time.Duration) int {
	return 8 + 5 + characterTimes(pauses, character)
}

// overheadASCII is that of the written form, in which a byte of data is two characters.
func overheadASCII(character, pauses time.Duration) int {
	return (17 + 11 + characterTimes(pauses, character)) / 2
}

func characterTimes(d, character time.Duration) int {
	if character <= 0 {
		return 0
	}
	return int((d + character - 1) / character)
}
