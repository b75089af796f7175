// Package all is the explicit list of drivers: a new one is a folder and a line here.
package all

import (
	"log/slog"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/cjt188"
	"sluice/collectors/custom"
	"sluice/collectors/dlt645"
	"sluice/collectors/hj212"
	"sluice/collectors/iec62056"
	"sluice/collectors/mbus"
	"sluice/collectors/modbus"
	"sluice/collectors/simulated"
	"sluice/collectors/sml"
)

// Drivers are all drivers by the name that the configuration uses. Those that share serial ports
// take them from buses; those that are listened to log who connects.
func Drivers(buses *bus.Set, log *slog.Logger) map[string]collectors.Driver {
	return map[string]collectors.Driver{
		"modbus":      &modbus.Driver{Buses: buses},
		"cjt188":      &cjt188.Driver{Buses: buses},
		"custom":      &custom.Driver{Buses: buses},
		"dlt645":      &dlt645.Driver{Buses: buses},
		"mbus":        &mbus.Driver{Buses: buses},
		"dlt645-1997": &dlt645.Driver{Buses: buses, Edition: dlt645.Edition1997},
		"iec62056":    &iec62056.Driver{Buses: buses},
		"sml":         &sml.Driver{Buses: buses},
		"hj212":       &hj212.Driver{Buses: buses, Log: log},
		"simulated":   &simulated.Driver{},
	}
}
