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

	"sluice/bridge/cloudsim"
	"sluice/collectors/dlt645/dlt645sim"
	"sluice/collectors/modbus/modbussim"
	"sluice/gateway"
	"sluice/gateway/broker"
	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/web"
)

// Options of the demo. Everything listens on loopback.
type Options struct {
	Web, MQTT, Cloud string // addresses of the page, the gateway's listener and the cloud's
	Password         string // the administrator's
	Version          string
	Out              io.Writer // what the newcomer reads
	Log              *slog.Logger
}

// Run runs the demo until ctx ends, in a directory that is gone afterwards.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts sync.WaitGroup
	defer parts.Wait() // after cancel: deferred calls run backwards
	defer cancel()

	died := make(chan error, 8)
	start := func(name string, run func(context.Context) error) {
		parts.Go(func() {
			if err := run(ctx); err != nil {
				died <- fmt.Errorf("%s: %w", name, err)
				cancel()
			}
		})
	}

	plc, err := modbussim.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	start("simulated PLC", plc.Run)
	meter, err := dlt645sim.Open("000000000161")
	if err != nil {
		return err
	}
	start("simulated meter", meter.Run)

	cloud, err := newGateway(dir, "cloud", cloudConfig(o), gateway.Options{Version: o.Version, Log: quiet(o.Log)})
	if err != nil {
		return fmt.Errorf("the demo's cloud: %w", err)
	}
	start("cloud", cloud.Run)
	line, err := NewLine(o.Cloud)
	if err != nil {
		return err
	}
	start("line", line.Run)
	proof := &proof{line: line, subscription: cloud.Broker().Subscribe()}
	start("proof", proof.Run)

	site, err := newGateway(dir, "site", siteConfig(o, plc.Addr(), meter.Path(), line.Addr()), gateway.Options{
		Version: o.Version, Log: o.Log, AdminPassword: o.Password, Line: line, Demo: proof.show,
	})
	if err != nil {
		return err
	}
	start("gateway", site.Run)
	greet(o)
	<-ctx.Done()
	cancel()
	parts.Wait()
	select {
	case err := <-died:
		return err
	default:
		return nil
	}
}
