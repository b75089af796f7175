// Package modbus reads and writes devices that speak Modbus TCP. It hides goburrow/modbus, the
// frames, the planning of requests, and the ways in which devices and converters misbehave: what
// they answer becomes a value only when every field of the frame says that it is this request's
// answer.
package modbus

import (
	"fmt"
	"strings"

	"sluice/collectors"
)

// Driver opens Modbus TCP devices.
type Driver struct{}

// Options gives *Options with the defaults.
func (Driver) Options() any {
	return &Options{Unit: 1, Timeout: defaultTimeout, Limits: defaultLimits()}
}

// Open takes *Options and touches no network: the first Read connects.
func (Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options are %T, want %T", name, options, o)
	}
	var problems []string
	o.Validate(func(path, problem string) { problems = append(problems, path+": "+problem) })
	if problems != nil {
		return nil, fmt.Errorf("device %s: %s", name, strings.Join(problems, "; "))
	}
	return newDevice(o), nil
}
