package image_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/collectors/modbus/modbussim"
)

const (
	meters     = 10
	registers  = 100              // of each
	settled    = time.Minute      // the first polls
	observed   = 10 * time.Minute // after that
	mostMemory = 40_000_000
	leastWork  = 0.9 // of a thousand points a second, or the box was not at work
)

// TestAThousandPointsASecondLeaveASmallMachineItsMemory watches what the kernel cannot take back from the gateway.
func TestAThousandPointsASecondLeaveASmallMachineItsMemory(t *testing.T) {
	if os.Getenv("SLUICE_LONG") == "" {
		t.Skip("it takes a quarter of an hour: SLUICE_LONG=1")
	}
	b := flash(t)
	broker, arrived := cloud(t)
	b.start()
	b.answers()
	b.setUp()
	var points, devices []any
	for p := range registers {
		points = append(points, map[string]any{"name": fmt.Sprintf("p%d", p), "address": fmt.Sprintf("holding:%d", p), "type": "uint16"})
	}
	address := "tcp://10.0.2.2:" + plant(t)
	for n := range meters {
		devices = append(devices, map[string]any{
			"name": fmt.Sprintf("meter-%d", n+1), "driver": "modbus", "address": address, "unit": n + 1, "interval": "1s", "points": points,
		})
	}
	_, port, _ := net.SplitHostPort(broker)
	var before struct{ Etag string }
	b.api("GET", "/config", nil, &before)
	b.api("PUT", "/config", map[string]any{"edits": []any{
		map[string]any{"path": []string{"devices"}, "value": devices},
		map[string]any{"path": []string{"uplinks"}, "value": []any{map[string]any{
			"name": "cloud", "driver": "mqtt", "address": "tcp://10.0.2.2:" + port,
			"forward": []any{map[string]any{"from": "readings/#", "to": "{topic}"}},
		}}},
	}}, nil, "If-Match", before.Etag)
	b.reading(arrived)
	time.Sleep(settled)

	var now struct {
		Machine struct {
			Uptime float64 `json:"uptime_seconds"`
		} `json:"machine"`
		Process struct {
			Resident  int64 `json:"rss"`
			Anonymous int64 `json:"rss_anonymous"`
			Heap      int64 `json:"heap"`
		} `json:"process"`
	}
	b.api("GET", "/system", nil, &now)
	for len(arrived) > 0 {
		<-arrived
	}
	from := now.Machine.Uptime
	var anonymous, resident, heap []int64
	var values int
	began := time.Now()
	for time.Since(began) < observed {
		time.Sleep(10 * time.Second)
		b.api("GET", "/system", nil, &now)
		anonymous, resident, heap = append(anonymous, now.Process.Anonymous), append(resident, now.Process.Resident), append(heap, now.Process.Heap)
		for len(arrived) > 0 {
			values += strings.Count(<-arrived, "4711")
		}
	}
	rate := float64(values) / (now.Machine.Uptime - from) // by the box's clock, which an emulator may let fall behind
	t.Logf("%.0f points a second, RssAnon %s, RSS %s, heap %s", rate, spread(anonymous), spread(resident), spread(heap))
	if least := leastWork * meters * registers; rate < least {
		t.Errorf("%.0f points a second arrived outside, not %.0f: this machine is too busy to tell", rate, least)
	}
	if most := slices.Max(anonymous); most > mostMemory {
		t.Errorf("RssAnon reached %d bytes, more than %d", most, mostMemory)
	}
}

// plant is the meters, behind one port.
func plant(t *testing.T) (port string) {
	simulated := &modbussim.Server{} // every unit answers alike
	simulated.Set(modbussim.Holdings, 0, slices.Repeat([]uint16{4711}, registers)...)
	if err := simulated.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- simulated.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	_, port, _ = net.SplitHostPort(simulated.Addr())
	return port
}

// spread is the median of bytes, and between which they were.
func spread(bytes []int64) string {
	slices.Sort(bytes)
	mega := func(n int64) float64 { return float64(n) / 1e6 }
	return fmt.Sprintf("%.1f MB (%.1f to %.1f)", mega(bytes[len(bytes)/2]), mega(bytes[0]), mega(bytes[len(bytes)-1]))
}
