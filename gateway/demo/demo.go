// Package demo runs the whole appliance on one machine with nothing but simulated neighbours: a PLC
// that speaks Modbus TCP, an energy meter that speaks DL/T 645 on a pseudo-terminal, a line that can
// be cut, and a second MQTT broker that plays the cloud and proves that nothing is missing.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sluice/collectors/dlt645/dlt645sim"
	"sluice/collectors/modbus/modbussim"
	"sluice/gateway"
	"sluice/gateway/broker"
	"sluice/gateway/config"
	"sluice/gateway/journal"
)

// Options of the demo. Everything listens on loopback.
type Options struct {
	Web, MQTT, Cloud string    // addresses of the page, the gateway's listener and the cloud's
	Password         string    // the administrator's
	Version          string    // shown on the page
	Out              io.Writer // what the newcomer reads
	Log              *slog.Logger
	Journal          *journal.Journal // what goes to Log; nil: the page has no view of it
}

// Run runs the demo until ctx ends, in a directory that is gone afterwards.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	scene := newScene(ctx)
	defer func() { err = errors.Join(scene.end(), err) }()

	plc := &modbussim.Server{}
	if err := plc.Listen("127.0.0.1:0"); err != nil {
		return err
	}
	scene.start("simulated PLC", plc.Run)
	plant := &modbussim.Plant{Server: plc}
	scene.start("simulated PLC's values", plant.Run)
	meter, err := dlt645sim.Open(dlt645sim.Options{Link: filepath.Join(dir, "meter"), Delay: 20 * time.Millisecond, Preamble: 4})
	if err != nil {
		return err
	}
	scene.start("simulated meter", meter.Run)

	cloud, err := gatewayFrom(dir, "cloud", cloudConfig(o), gateway.Options{
		Version: o.Version, Log: slog.New(slog.DiscardHandler), AdminPassword: o.Password,
	})
	if err != nil {
		return fmt.Errorf("the demo's cloud: %w", err)
	}
	scene.start("simulated cloud", cloud.Run)
	line, err := NewLine(o.Cloud)
	if err != nil {
		return err
	}
	scene.start("line to the cloud", line.Run)
	proof := &proof{line: line, subscription: cloud.Broker().Subscribe(broker.FromNow)}
	scene.start("proof", proof.Run)

	site, err := gatewayFrom(dir, "gateway", siteConfig(o, plc.Addr(), meter.Path(), line.Addr()), gateway.Options{
		Version: o.Version, Log: o.Log, Journal: o.Journal, AdminPassword: o.Password, Line: line, Demo: proof.show,
	})
	if err != nil {
		return err
	}
	scene.start("gateway", site.Run)
	greet(o)
	<-scene.ctx.Done()
	return nil
}

// scene is all that runs in the demo; the first part that fails ends it.
type scene struct {
	ctx    context.Context //nolint:containedctx // the scene is no longer than Run
	cancel context.CancelFunc
	parts  sync.WaitGroup
	died   chan error
}

func newScene(ctx context.Context) *scene {
	s := &scene{died: make(chan error, 1)}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

func (s *scene) start(name string, run func(context.Context) error) {
	s.parts.Go(func() {
		err := run(s.ctx)
		if err == nil && s.ctx.Err() != nil {
			return
		}
		select {
		case s.died <- fmt.Errorf("%s ended: %w", name, err):
		default:
		}
		s.cancel()
	})
}

// end stops everything, waits for it and tells what failed first.
func (s *scene) end() error {
	s.cancel()
	s.parts.Wait()
	select {
	case err := <-s.died:
		return err
	default:
		return nil
	}
}

// gatewayFrom makes a gateway from a configuration file with that text, which the page can change.
func gatewayFrom(dir, name, text string, options gateway.Options) (*gateway.Gateway, error) {
	options.Path = filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(options.Path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	c, err := config.Load(options.Path, gateway.Kinds())
	if err != nil {
		return nil, fmt.Errorf("bug: the demo's own configuration: %w", err)
	}
	options.Config = c
	return gateway.New(options)
}

func cloudConfig(o Options) string {
	return fmt.Sprintf(`
gateway: {name: cloud}
store: {dir: ./cloud, limit: 256MiB}
web: {listen: ""}
mqtt: {listen: [%q], anonymous: true}
`, o.Cloud)
}

func siteConfig(o Options, plc, port, line string) string {
	return fmt.Sprintf(`
gateway: {name: demo}
store: {dir: ./gateway, limit: 256MiB}
web: {listen: %q}
mqtt: {listen: [%q], anonymous: true}
buses:
  - {name: rs485-1, serial: %q, baud: 2400, parity: even}
devices:
  - name: press
    driver: modbus
    address: tcp://%s
    interval: 200ms
    points:
      - {name: counter, address: "holding:0", type: uint32}
      - {name: temperature, address: "holding:2", type: float32, unit: "°C"}
      - {name: pressure, address: "holding:4", type: float32, order: CDAB, unit: bar}
      - {name: level, address: "holding:6", type: int16, unit: mm}
      - {name: running, address: "holding:7.2", type: bool}
      - {name: total, address: "holding:8", type: int64}
      - {name: setpoint, address: "holding:100", type: uint16, unit: "°C"}
  - name: main-meter
    driver: dlt645
    address: bus://rs485-1
    meter: %q
    interval: 2s
    points:
      - {name: energy, id: "00010000", unit: kWh}
      - {name: voltage_a, id: "02010100", unit: V}
      - {name: current_a, id: "02020100", unit: A}
      - {name: power, id: "02030000", unit: kW}
uplinks:
  - name: cloud
    driver: mqtt
    address: tcp://%s
    client_id: demo
    retry: 3s
    forward:
      - {from: "readings/#", to: "plants/{topic}"}
      - {from: "status/#", to: "plants/{topic}"}
`, o.Web, o.MQTT, port, plc, dlt645sim.DefaultMeter, line)
}

func greet(o Options) {
	fmt.Fprintf(o.Out, `
Sluice's demo runs:

  the page       http://%s   (user admin, password %s)
  what flows     a press (Modbus TCP, 5 readings a second) and an energy meter (DL/T 645, one
                 every 2 seconds) → the gateway's log → MQTT on %s → a cloud on %s
  watch it       mosquitto_sub -h %s -p %s -t 'readings/#' -v

Cut the line on the page, watch the backlog grow, restore it: it drains with no gap.
Ctrl-C ends everything.

`, o.Web, o.Password, o.MQTT, o.Cloud, host(o.MQTT), port(o.MQTT))
}

func host(address string) string { h, _, _ := net.SplitHostPort(address); return h }
func port(address string) string { _, p, _ := net.SplitHostPort(address); return p }
