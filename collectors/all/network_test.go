package all

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/finder"
	"sluice/collectors/modbus/modbussim"
)

func networkOf(t *testing.T, address string) finder.NetworkSearch {
	t.Helper()
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return finder.NetworkSearch{
		Network: netip.PrefixFrom(at.Addr(), at.Addr().BitLen()), Ports: []uint16{at.Port()},
		Protocols: named(t, "modbus-tcp", "modbus-rtu"), Timeout: 300 * time.Millisecond,
	}
}

// Two dialects at two addresses of a network; at the others nobody listens.
func TestDevicesAreFoundInANetwork(t *testing.T) {
	plc := &modbussim.Rack{Devices: map[byte]*modbussim.Server{255: {}}}
	if err := plc.Listen("127.0.0.2:0"); err != nil {
		t.Fatal(err)
	}
	run(t, plc.Run)
	_, port, _ := strings.Cut(plc.Addr(), ":")
	converter := &modbussim.Rack{Dialect: modbussim.RTU, Devices: map[byte]*modbussim.Server{1: {}, 7: {}}}
	if err := converter.Listen("127.0.0.5:" + port); err != nil {
		t.Fatal(err)
	}
	run(t, converter.Run)
	for _, c := range []struct {
		units []byte
		want  []string
	}{
		{nil, []string{"127.0.0.2:" + port + " modbus-tcp 255", "127.0.0.5:" + port + " modbus-rtu 1"}},
		{[]byte{1, 2, 7}, []string{"127.0.0.5:" + port + " modbus-rtu 1", "127.0.0.5:" + port + " modbus-rtu 7"}},
	} {
		lines, err := bus.NewSet(nil)
		if err != nil {
			t.Fatal(err)
		}
		s := networkOf(t, plc.Addr())
		s.Network, s.Units = netip.MustParsePrefix("127.0.0.0/29"), c.units
		s.Client = func(address string) (*bus.Client, error) { return lines.Client(address, "search") }
		var got []string
		var last finder.Progress
		err = s.Run(t.Context(), finder.Report{
			Progress: func(p finder.Progress) { last = p },
			Found: func(f finder.Found) {
				got = append(got, f.Place+" "+f.Protocol+" "+f.Unit)
				if !strings.Contains(f.YAML, f.Place) {
					t.Errorf("the configuration is\n%s", f.YAML)
				}
			},
		})
		slices.Sort(got)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("units %v: found %q, %v, want %q", c.units, got, err, c.want)
		}
		if last.Done != 6 || last.All != 6 {
			t.Errorf("ended at %+v, want 6 of 6", last)
		}
		if left := lines.Ports(); len(left) > 0 {
			t.Errorf("%d connections are left", len(left))
		}
		if err := lines.Close(); err != nil {
			t.Error(err)
		}
	}
}
