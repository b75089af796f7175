// Package modbus reads and writes devices that speak Modbus TCP, RTU, ASCII, or RTU and ASCII over a
// TCP connection. It hides goburrow/modbus, the frames, the planning of requests, and the ways in
// which devices and converters misbehave: what they answer becomes a value only when it is proved
// to be this request's answer.
package modbus

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
)

// Driver opens Modbus devices on the lines of Buses.
type Driver struct {
	Buses *bus.Set

	ids atomic.Uint32 // transaction ids, one row for all devices

	mu   sync.Mutex // guards what follows
	owed map[string]*debts
}

// Options gives *Options with the defaults.
func (*Driver) Options() any {
	return &Options{
		Unit: 1, Timeout: defaultTimeout, Limits: defaultLimits(), Write: writeAuto, BitWrite: bitMask,
	}
}

// Open takes *Options and touches no line: the first Read connects.
func (d *Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options are %T, want %T", name, options, o)
	}
	var problems []string
	o.Validate(func(path, problem string) { problems = append(problems, path+": "+problem) })
	if problems != nil {
		return nil, fmt.Errorf("device %s: %s", name, strings.Join(problems, "; "))
	}
	t, err := parseTarget(o.Address)
	if err != nil {
		return nil, fmt.Errorf("device %s: address: %w", name, err)
	}
	client, err := d.Buses.Client(t.line, name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return d.open(o, t, busWire{client}, characterTime(client.Port().Settings())), nil
}

func (d *Driver) open(o *Options, t target, w wire, character time.Duration) *device {
	f := t.framer(byte(o.Unit), &d.ids)
	name := fmt.Sprintf("%s unit %d", o.Address, o.Unit)
	return newDevice(o, &unit{
		link:  newLink(t, name, f, o.Timeout, w, d.debts(t, f, o.Unit)),
		style: o.Write, bits: o.BitWrite, known: &holes{},
	}, overhead(t, character))
}

// characterTime is how long a character takes on a line. What a serial server or a DTU has behind it is
// not known and reckoned at 9600 bit/s.
func characterTime(s bus.Settings) time.Duration {
	if s.Serial == "" || s.Baud <= 0 {
		return usualCharacter
	}
	bits := 1 + s.DataBits + s.StopBits
	if s.Parity != "none" {
		bits++
	}
	return time.Duration(bits) * time.Second / time.Duration(s.Baud)
}

const (
	usualCharacter = 11 * time.Second / 9600
	thinking       = 20 * time.Millisecond // that a device does before it answers
)

// overhead is what a request costs beside its data, for the planner: on serial lines the silence before
// it, and that behind it by which the device knows that it has ended.
func overhead(t target, character time.Duration) int {
	pauses := 7*character + thinking
	switch t.dialect {
	case overRTU:
		return overheadRTU(character, pauses)
	case overASCII:
		return overheadASCII(character, pauses)
	}
	return overheadTCP
}

// debts are those of a unit, which may be configured as several devices. They are kept as long as
// the gateway runs: a new configuration does not make an answer come in time.
func (d *Driver) debts(t target, f framer, unit int) *debts {
	if f.matched() {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := fmt.Sprintf("%s %d", t.line, unit)
	if d.owed[key] == nil {
		if d.owed == nil {
			d.owed = make(map[string]*debts)
		}
		d.owed[key] = &debts{}
	}
	return d.owed[key]
}
