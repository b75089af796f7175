package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"sluice/bench/measure"
)

// Names of the contestants.
const (
	ours            = "sluice"
	bare            = "bare client" // with messages from memory
	mosquittoBridge = "mosquitto bridge"
	telegraf        = "telegraf"
)

// contestant takes messages over MQTT and passes them on. The bare client has no relay.
type contestant struct {
	name  string
	relay func(dir, cloud string) (*relay, error)
}

// relay is one contestant with its files: what it was started with is started again after a kill.
type relay struct {
	in      string                     // where it takes messages
	greet   func(address string) error // nil: from here
	starts  []func() (*measure.Process, error)
	running []*measure.Process

	needsCloud bool // to start: it gives up where its cloud is away
}

// up starts it, and returns once it lets clients in.
func (r *relay) up(ctx context.Context) error {
	r.running = nil
	for i, start := range r.starts {
		process, err := start()
		if err != nil {
			r.kill()
			return err
		}
		r.running = append(r.running, process)
		if i == 0 {
			if err := process.Until(ctx, func() error { return r.hello(r.in) }); err != nil {
				r.kill()
				return err
			}
		}
	}
	return nil
}

func (r *relay) hello(address string) error {
	if r.greet != nil {
		return r.greet(address)
	}
	return greet(address)
}

// kill is kill -9.
func (r *relay) kill() {
	for _, process := range r.running {
		process.Kill()
	}
	r.running = nil
}

func (r *relay) alive() (err error) {
	for _, process := range r.running {
		err = errors.Join(err, process.Alive())
	}
	return err
}

func (r *relay) pids() (list []int) {
	for _, process := range r.running {
		list = append(list, process.PID())
	}
	return list
}

// pause holds the relay's programs still, or lets them go on.
func (r *relay) pause(still bool) error {
	signal := syscall.SIGCONT
	if still {
		signal = syscall.SIGSTOP
	}
	var errs []error
	for _, pid := range r.pids() {
		errs = append(errs, syscall.Kill(pid, signal))
	}
	return errors.Join(errs...)
}

// greet connects as an MQTT client does.
func greet(address string) error {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04ping")); err != nil {
		return err
	}
	var answer [4]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	if answer[0] != 0x20 || answer[3] != 0 {
		return fmt.Errorf("CONNECT was answered with % x", answer)
	}
	_, err = conn.Write([]byte{0xe0, 0})
	return err
}

// gateway is the whole gateway with its page and its log on the disk, which bridges to an MQTT broker.
func (p *plan) gateway(dir, cloud string) (*relay, error) {
	return p.gatewayWith(dir, fmt.Sprintf("driver: mqtt, address: \"tcp://%s\", window: %d, retry: 5s", cloud, p.window), "")
}

// gatewayWith has an uplink of a kind, and a route with more words; no uplink, if it says nothing.
func (p *plan) gatewayWith(dir, uplink, route string) (*relay, error) {
	in, err := measure.FreeAddress()
	if err != nil {
		return nil, err
	}
	web, err := measure.FreeAddress()
	if err != nil {
		return nil, err
	}
	r := &relay{in: in}
	r.starts = append(r.starts, func() (*measure.Process, error) {
		return measure.Start(ours, dir, filepath.Join(dir, "log"), gatewayEnv, p.sluice, "run", "--config", filepath.Join(dir, "sluice.yaml"))
	})
	return r, writeConfig(dir, in, web, uplink, route)
}

var gatewayEnv = []string{"SLUICE_ADMIN_PASSWORD=bench-password"}

func writeConfig(dir, in, web, uplink, route string) error {
	text := fmt.Sprintf("gateway: {name: bench}\nstore: {dir: %s}\nweb: {listen: \"%s\"}\nmqtt: {listen: [\"%s\"], anonymous: true}\n", filepath.Join(dir, "data"), web, in)
	if uplink != "" {
		text += fmt.Sprintf("uplinks:\n  - {name: cloud, %s, forward: [{from: \"mqttload/#\", to: \"{topic}\"%s}]}\n", uplink, route)
	}
	return os.WriteFile(filepath.Join(dir, "sluice.yaml"), []byte(text), 0o600)
}

// cloud is Debian's mosquitto, which keeps as much for a subscriber as there is.
func (p *plan) cloud(dir, address string) *relay {
	return &relay{in: address, starts: []func() (*measure.Process, error){func() (*measure.Process, error) {
		return p.startMosquitto(filepath.Join(dir, "cloud"), address, "max_queued_messages 0\nmax_queued_bytes 0\n")
	}}}
}

// bridge is mosquitto that bridges with a persistent session, and writes its whole database every ten seconds: with
// autosave_on_changes it would do nothing else.
func (p *plan) bridge(dir, cloud string) (*relay, error) {
	in, err := measure.FreeAddress()
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`persistence true
autosave_interval 10
max_queued_messages 0
max_queued_bytes 0
max_inflight_messages %d
connection cloud
address %s
topic mqttload/# out 1
cleansession false
notifications false
restart_timeout 1 5
`, p.window, cloud)
	return &relay{in: in, starts: []func() (*measure.Process, error){func() (*measure.Process, error) {
		return p.startMosquitto(filepath.Join(dir, "bridge"), in, conf)
	}}}, nil
}

func (p *plan) startMosquitto(dir, address, more string) (*measure.Process, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\nlog_type error\nlog_type warning\npersistence_location %s/\nset_tcp_nodelay true\n%s", port, host, dir, more)
	if os.Getuid() == 0 {
		text += "user root\n" // its own user may not write here
	}
	path := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return measure.Start("mosquitto", dir, filepath.Join(dir, "log"), nil, p.mosquitto, "-c", path)
}
