package all

import (
	"sluice/collectors/bus"
	"sluice/collectors/cjt188"
	"sluice/collectors/custom"
	"sluice/collectors/dlt645"
	"sluice/collectors/hj212"
	"sluice/collectors/iec62056"
	"sluice/collectors/mbus"
	"sluice/collectors/modbus"
	"sluice/collectors/sml"
)

// dissectors say in one line what a frame says, by the protocol's name.
var dissectors = map[string]func(bus.Direction, []byte) (string, bool){
	"modbus-tcp":   modbus.DissectTCP,
	"modbus-rtu":   modbus.DissectRTU,
	"modbus-ascii": modbus.DissectASCII,
	"dlt645":       dlt645.Dissect,
	"cjt188":       cjt188.Dissect,
	"iec62056":     iec62056.Dissect,
	"mbus":         mbus.Dissect,
	"sml":          sml.Dissect,
	"custom":       custom.Dissect,
	"hj212":        hj212.Dissect,
}

// Dissect says in one line what a frame on a line says; "" where nobody knows.
func Dissect(f *bus.Frame) string {
	dissect, known := dissectors[f.Protocol]
	if !known {
		return ""
	}
	summary, ok := dissect(f.Direction, f.Bytes)
	if !ok {
		return ""
	}
	return summary
}
