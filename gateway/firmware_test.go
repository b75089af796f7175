package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sluice/bridge/cloudsim"
	"sluice/firmware"
	"sluice/gateway/message"
	"sluice/web"
)

func TestHealth(t *testing.T) {
	cloud, err := cloudsim.Listen("127.0.0.1:0", cloudsim.Options{Checker: &cloudsim.Checker{}})
	if err != nil {
		t.Fatal(err)
	}
	start(t, cloud.Run)
	dir := t.TempDir()
	page, mqtt := freePort(t), freePort(t)
	g := newGateway(t, parse(t, dir, fmt.Sprintf(`
gateway: {name: g}
store: {dir: %s}
web: {listen: %q}
mqtt: {listen: [%q], anonymous: true}
uplinks:
  - {name: up, driver: mqtt, address: "tcp://%s", forward: [{from: "#", to: "{topic}"}]}
  - {name: down, driver: mqtt, address: "tcp://%s", forward: [{from: "#", to: "{topic}"}]}
`, dir, page, mqtt, cloud.Addr(), freePort(t))))
	h := health{g}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- g.Run(ctx) }()
	until(t, "the uplink is connected", func() bool { return h.Uplinks(ctx)["up"] == nil })
	if states := h.Uplinks(ctx); len(states) != 2 || states["down"] == nil {
		t.Errorf("uplinks %v, want two, one of them down", states)
	}
	before, _ := g.store.Tail()
	if err := errors.Join(h.Probe(ctx), h.Configured(ctx), h.Listening(ctx)); err != nil {
		t.Errorf("a healthy gateway: %v", err)
	}
	records, err := g.store.Read(nil, before+1, 100)
	if err != nil {
		t.Fatal(err)
	}
	probes := 0
	for _, r := range records {
		if r.Topic == probeTopic {
			probes++
		}
	}
	if probes != 1 {
		t.Errorf("%d records of the probe are in the log, want 1", probes)
	}

	g.parts.stop("mqtt")
	if err := h.Listening(ctx); err == nil || !strings.Contains(err.Error(), mqtt) {
		t.Errorf("without the MQTT listener: %v, want its address", err)
	}
	g.parts.start("short", func(context.Context) error { return nil })
	if err := <-ended; err == nil {
		t.Error("a part that ended did not end the gateway")
	}
	cancel()
	if err := h.Probe(context.Background()); err == nil {
		t.Error("a closed log passes the probe")
	}
}

func TestAFullLogStillTakesTheProbe(t *testing.T) {
	if m := (message.Message{Topic: probeTopic}); !urgent(&m) {
		t.Error("a log that was full before an update would send the update back")
	}
}

// noRAUC is a machine without slots.
type noRAUC struct{ firmware.Installer }

func (noRAUC) Compatible(context.Context) (string, error) { return "", firmware.ErrNoInstaller }
func (noRAUC) Await(context.Context, func(int, string)) (bool, error) {
	return false, firmware.ErrNoInstaller
}

func TestAMachineWithoutSlots(t *testing.T) {
	dir := t.TempDir()
	c := parse(t, dir, fmt.Sprintf("gateway: {name: g}\nstore: {dir: %s}\nweb: {listen: \"\"}\n", dir))
	updater := firmware.Open(firmware.Options{Dir: dir + "/firmware", Installer: noRAUC{}, Machine: firmware.Linux{}, Log: slog.New(slog.DiscardHandler)})
	g, err := New(Options{Config: c, Version: "1.2", Log: slog.New(slog.DiscardHandler), Firmware: updater, AdminPassword: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	start(t, g.Run)
	f := firmwarePart{g, updater}
	until(t, "it is known that there are no slots", func() bool { return f.FirmwareState().Kind == "none" })
	if s := f.FirmwareState(); s.Version != "1.2" || s.Trial != nil || s.Slots == nil || s.Commands == nil || s.History == nil {
		t.Errorf("state %+v", s)
	}
	for name, err := range map[string]error{
		"upload": f.Upload(context.Background(), strings.NewReader("x"), 1, "x", "ada"), "stream": f.Stream("https://example.com/x", "ada"), "restart": f.RestartMachine(context.Background(), "ada"),
	} {
		if !errors.Is(err, web.ErrNoSlots) {
			t.Errorf("%s: %v, want ErrNoSlots", name, err)
		}
	}
}

func TestAnEventOfTheFirmwareIsAMessage(t *testing.T) {
	dir := t.TempDir()
	g := newGateway(t, parse(t, dir, fmt.Sprintf("gateway: {name: g}\nstore: {dir: %s}\nweb: {listen: \"\"}\n", dir)))
	start(t, g.Run)
	firmwarePart{g, nil}.tell(context.Background(), firmware.Event{Time: time.UnixMilli(1_700_000_000_000), Kind: "fell-back", Version: "2", Slot: "B", Text: "uplinks: no"})
	until(t, "the event is in the log", func() bool {
		records, err := g.store.Read(nil, 1, 100)
		for _, r := range records {
			if r.Topic == "events/g/firmware" {
				return string(r.Payload) == `{"gateway":"g","event":"fell-back","version":"2","slot":"B","text":"uplinks: no","ts":1700000000000}`
			}
		}
		return err != nil
	})
}
