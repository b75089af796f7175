package config

import (
	"strings"
	"testing"
)

func TestABusIsOneLine(t *testing.T) {
	for _, c := range []struct{ buses, want string }{
		{"{name: a, tcp: 'host:4001'}", ""},
		{"{name: a, listen: '127.0.0.1:9000'}", ""},
		{"{name: a, listen: '127.0.0.1:9000', registration: 0017, heartbeat: 'hex:FE 01'}", ""},
		{"{name: a, serial: /dev/null, rs485: {rts_low: true, before: 1ms}, echo: on, gap: 30ms, turnaround: 5ms}", ""},
		{"{name: a}", "buses[0]: nothing says where the bus is"},
		{"{name: a, serial: /dev/null, tcp: 'host:4001'}", "buses[0]: a bus is one line"},
		{"{name: a, tcp: host}", `buses[0].tcp: "host" is not host:port`},
		{"{name: a, tcp: 'host:0'}", `buses[0].tcp: "host:0" is not host:port`},
		{"{name: a, listen: nowhere}", `buses[0].listen: "nowhere" is not an address`},
		{"{name: a, tcp: 'host:4001', registration: x}", "buses[0].registration: only a DTU"},
		{"{name: a, serial: /dev/null, heartbeat: x}", "buses[0].heartbeat: only a DTU"},
		{"{name: a, tcp: 'host:4001', rs485: {}}", "buses[0].rs485: only a serial port"},
		{"{name: a, listen: '127.0.0.1:9000', registration: 'hex:0'}", `buses[0].registration: "hex:0" is not hex:`},
		{"{name: a, serial: /dev/null, echo: perhaps}", `buses[0].echo: "perhaps" is not possible`},
		{"{name: a, serial: /dev/null, rs485: {after: 1s}}", "buses[0].rs485.after: 1s is "},
		{"{name: a, tcp: 'host:4001'}, {name: b, tcp: 'host:4001'}", "buses[1].tcp: host:4001 is the address of buses[0] already"},
		{"{name: a, listen: '127.0.0.1:9000'}, {name: b, listen: '127.0.0.1:9000', registration: B}", "buses[1].listen: 127.0.0.1:9000 is the address of buses[0] already; give both a registration"},
		{"{name: a, listen: '127.0.0.1:9000', registration: AB}, {name: b, listen: '127.0.0.1:9000', registration: ABC}", "buses[1].registration: the DTU of buses[0] registers with the same bytes"},
		{"{name: a, listen: '127.0.0.1:9000', registration: A}, {name: b, listen: '127.0.0.1:9000', registration: B}", ""},
		{"{name: a, listen: '127.0.0.1:8080'}", "is taken by "}, // by the page
	} {
		got := problems(t, "buses: ["+c.buses+"]")
		if c.want == "" && got != "" && !strings.HasPrefix(got, "0 problems") || !strings.Contains(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.buses, got, c.want)
		}
	}
	c := parse(t, "buses: [{name: a, listen: '127.0.0.1:9000', registration: 0017, heartbeat: 'hex:FE 01'}]")
	if b := c.Buses[0]; b.Registration != "0017" || b.Heartbeat != "\xFE\x01" || b.Echo != "auto" || b.Baud != 9600 {
		t.Errorf("got %+v", b)
	}
}
