package modbus

import (
	"fmt"
	"time"
)

const defaultTimeout = time.Second

// Options is what the configuration says about one device.
type Options struct {
	Address  string        `yaml:"address" doc:"where the device is: tcp://host:port for Modbus TCP, whose port may be left out and is then 502; rtu+tcp://host:port or ascii+tcp://host:port behind a serial server; rtu://NAME, ascii://NAME or tcp+bus://NAME on a line from buses" required:"true"`
	Unit     int           `yaml:"unit" doc:"unit id, or slave address, behind the address; on serial lines 1 to 255" min:"0" max:"255"`
	Timeout  time.Duration `yaml:"timeout" doc:"from the end of a request to the first byte of its answer" min:"1ms" max:"1m"`
	Limits   `yaml:",inline"`
	Write    WriteStyle `yaml:"write" doc:"functions for writing: auto takes 5 and 6 for one coil or register, 15 and 16 for more, and learns when a device knows only one form; single sends registers one after the other with 5 and 6; multiple takes 15 and 16 always; read-write takes 23, which writes registers and reads them back in one" enum:"auto,single,multiple,read-write"`
	BitWrite BitStyle   `yaml:"bit_write" doc:"how a bit or byte of a register is written: mask takes function 22; read-modify-write writes the whole register where the device has no function 22, and may undo what another master writes at that moment" enum:"mask,read-modify-write"`
	Points   []Point    `yaml:"points" doc:"what to read" min:"1" unique:"name" required:"true"`
}

// Validate tells what the types of the fields cannot: which of them go together.
func (o *Options) Validate(report func(path, problem string)) {
	t, err := parseTarget(o.Address)
	if err != nil {
		report("address", err.Error())
	}
	switch {
	case o.Unit < 0 || o.Unit > 255:
		report("unit", fmt.Sprintf("%d is not a unit id; it is 0 to 255", o.Unit))
	case o.Unit == 0 && err == nil && t.dialect != overTCP:
		report("unit", "0 is the broadcast address, which no device answers")
	}
	if o.Timeout <= 0 {
		report("timeout", "must be longer than 0")
	}
	switch o.Write {
	case "", writeAuto, writeSingle, writeMultiple, writeSwap:
	default:
		report("write", fmt.Sprintf("%q is not auto, single, multiple or read-write", o.Write))
	}
	switch o.BitWrite {
	case "", bitMask, bitModify:
	default:
		report("bit_write", fmt.Sprintf("%q is not mask or read-modify-write", o.BitWrite))
	}
	o.Limits.validate(report)
	validatePoints(o.Points, o.Limits, report)
}

// Endpoint is where the device is reached.
func (o *Options) Endpoint() string { return o.Address }
