package modbus

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/modbus/modbussim"
)

// A DTU connects to the gateway, says which it is, and now and then that it lives. Behind it devices
// are read and written as on any line, also after it has come back.
func TestDevicesBehindADTUAreRead(t *testing.T) {
	for scheme, spoken := range map[string]modbussim.Dialect{"rtu": modbussim.RTU, "ascii": modbussim.ASCII, "tcp+bus": modbussim.TCP} {
		t.Run(scheme, func(t *testing.T) {
			place := "127.0.0.1:" + freePort(t)
			set := lines(t, map[string]bus.Settings{"pump": {Listen: place, Registration: []byte("PUMP-01"), Heartbeat: []byte("\xFE\x01")}})
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() {
				if err := set.Run(ctx); err != nil {
					t.Errorf("the lines: %v", err)
				}
			})
			defer running.Wait()
			defer cancel()

			o := options(scheme+"://pump", plantPoints()...)
			o.Timeout = 250 * time.Millisecond
			d := openWith(t, &Driver{Buses: set}, o)
			if _, err := read(t, d); err == nil || !strings.Contains(err.Error(), "no device has connected") {
				t.Errorf("before it has called: %v", err)
			}
			server := &modbussim.Server{Dialect: spoken}
			newPlant(server)
			for round := range 2 {
				conn, err := net.Dial("tcp", place)
				if err != nil {
					t.Fatal(err)
				}
				for _, part := range []string{"PUMP-01", "\xFE\x01"} {
					if _, err := conn.Write([]byte(part)); err != nil {
						t.Fatal(err)
					}
				}
				var serving sync.WaitGroup
				serving.Go(func() { server.Serve(ctx, conn) })
				awaitForeign(t, d)
				for range 3 {
					good(t, d, plantReading(1))
					conn.Write([]byte("\xFE\x01"))
				}
				value := [...]string{"41", "40"}[round]
				if got, err := d.Write(t.Context(), "setpoint", []byte(value)); err != nil || got.String() != value {
					t.Errorf("wrote %s, got %v, %v", value, got, err)
				}
				server.Set(modbussim.Holdings, 100, 40)
				conn.Close()
				serving.Wait()
			}
		})
	}
}
