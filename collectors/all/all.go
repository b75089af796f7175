// Package all is the explicit list of drivers: a new one is a folder and a line here.
package all

import (
	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/dlt645"
	"sluice/collectors/hj212"
	"sluice/collectors/modbus"
)

// Drivers are all drivers by the name that the configuration uses. Those that share serial ports
// take them from buses.
func Drivers(buses *bus.Set) map[string]collectors.Driver {
	return map[string]collectors.Driver{
		"modbus":      modbus.Driver{},
		"dlt645":      &dlt645.Driver{Buses: buses},
		"dlt645-1997": &dlt645.Driver{Buses: buses, Edition: dlt645.Edition1997},
		"hj212":       &hj212.Driver{},
	}
}
