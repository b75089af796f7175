package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sluice/bench/measure"
)

// buildTelegraf builds it with its tag custom and just the plugins that are used here.
func (p *plan) buildTelegraf() error {
	p.telegraf = filepath.Join(p.root, ".cache", "telegraf")
	if _, err := os.Stat(p.telegraf); err == nil {
		return nil // it takes minutes
	}
	cmd := exec.Command("go", "build", "-tags", "custom,inputs.mqtt_consumer,outputs.mqtt,parsers.json,serializers.json", "-o", p.telegraf,
		"github.com/influxdata/telegraf/cmd/telegraf")
	cmd.Dir, cmd.Env = filepath.Join(p.root, "bench", "bridge", "peers"), append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		p.telegraf = ""
		return fmt.Errorf("build it: %w\n%s", err, text[max(0, len(text)-800):])
	}
	return nil
}

// telegrafVersion is what its module says: a build of one's own has no version.
func (p *plan) telegrafVersion() string {
	text, _ := os.ReadFile(filepath.Join(p.root, "bench", "bridge", "peers", "go.mod"))
	_, version, _ := strings.Cut(string(text), "telegraf ")
	version, _, _ = strings.Cut(version, "\n")
	return version
}

// telegrafs is Telegraf with its disk buffer beside mosquitto: it has no broker of its own. mosquitto keeps for it what
// it has not taken, and writes its database every ten seconds.
func (p *plan) telegrafs(dir, cloud string) (*relay, error) {
	in, err := measure.FreeAddress()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`[agent]
interval = "1s"
flush_interval = "1s"
metric_batch_size = 1000
metric_buffer_limit = 20000000
buffer_strategy = "disk"
buffer_directory = %q
omit_hostname = true
[[inputs.mqtt_consumer]]
servers = ["tcp://%s"]
topics = ["mqttload/#"]
qos = 1
persistent_session = true
client_id = "telegraf"
max_undelivered_messages = 10000
data_format = "json"
json_string_fields = ["id", "data"]
[[outputs.mqtt]]
servers = ["tcp://%s"]
topic = "mqttload/%s/0"
qos = 1
client_id = "telegraf-out"
data_format = "json"
startup_error_behavior = "retry"
`, filepath.Join(dir, "buffer"), in, cloud, run)
	path := filepath.Join(dir, "telegraf.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return &relay{in: in, needsCloud: true, starts: []func() (*measure.Process, error){
		func() (*measure.Process, error) {
			return p.startMosquitto(filepath.Join(dir, "broker"), in, "persistence true\nautosave_interval 10\nmax_queued_messages 0\nmax_queued_bytes 0\n")
		},
		func() (*measure.Process, error) {
			log := filepath.Join(dir, "telegraf.log")
			_ = os.Remove(log)
			process, err := measure.Start(telegraf, dir, log, nil, p.telegraf, "--config", path)
			if err != nil {
				return nil, err
			}
			// What comes before its subscription is not for it.
			return process, process.Until(context.Background(), func() error {
				if text, err := os.ReadFile(log); err != nil || !bytes.Contains(text, []byte("Connected [tcp://"+in)) {
					return errors.Join(err, errors.New("it has not subscribed"))
				}
				return nil
			})
		},
	}}, nil
}
