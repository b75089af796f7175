package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sluice/bench/measure"
)

// tools are the programs that a run needs, in a directory of their own.
type tools struct {
	load, sluice, mochi, nats, mosquitto string
}

// contestants builds what the named brokers need. One that is not to be had is named and left out; the
// gateway and the load tool must be there.
func (p *plan) contestants(bin string) ([]contestant, tools, error) {
	t := tools{load: filepath.Join(bin, "mqttload"), mochi: filepath.Join(bin, "mochi"), nats: filepath.Join(bin, "nats-server")}
	here := filepath.Join(p.root, "bench", "mqtt")
	if err := measure.Build(here, t.load, "./mqttload"); err != nil {
		return nil, t, err
	}
	var err error
	if t.sluice, err = measure.Gateway(p.root, p.sluice, p.profile, bin); err != nil {
		return nil, t, err
	}
	var wrong error
	t.mosquitto, wrong = exec.LookPath("mosquitto")
	if wrong != nil {
		t.mosquitto, wrong = exec.LookPath("/usr/sbin/mosquitto")
	}
	peers := filepath.Join(here, "peers")
	makers := map[string]func() (contestant, error){
		ours:       func() (contestant, error) { return contestant{ours, t.sluiceWith("")}, nil },
		matched:    func() (contestant, error) { return contestant{matched, t.sluiceWith(", store_qos0: matched")}, nil },
		"mosq":     func() (contestant, error) { return contestant{"mosq", t.mosquittoWith("persistence false\n")}, wrong },
		"mosq-dur": func() (contestant, error) { return contestant{"mosq-dur", t.mosquittoWith(mostDurable)}, wrong },
		"mochi": func() (contestant, error) {
			return contestant{"mochi", t.runMochi}, measure.Build(peers, t.mochi, "./mochi")
		},
		"nats": func() (contestant, error) {
			return contestant{"nats", t.runNATS}, measure.Build(peers, t.nats, "github.com/nats-io/nats-server/v2")
		},
		"sink": func() (contestant, error) { return contestant{"sink", t.runSink}, nil },
	}
	var all []contestant
	for name := range strings.SplitSeq(p.brokers, ",") {
		maker, known := makers[name]
		if !known {
			return nil, t, fmt.Errorf("-brokers: there is no %q", name)
		}
		if slices.ContainsFunc(all, func(c contestant) bool { return c.name == name }) {
			return nil, t, fmt.Errorf("-brokers: %s stands there twice", name)
		}
		c, err := maker()
		if err != nil {
			measure.Say("%s is left out: %v", name, err)
			continue
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, t, errors.New("no broker is left")
	}
	return all, t, nil
}

// versions is one line about who was measured.
func (t tools) versions(all []contestant) string {
	var words []string
	seen := func(name string) bool {
		return slices.ContainsFunc(all, func(c contestant) bool { return c.name == name })
	}
	for _, v := range []struct {
		name    string
		command []string
		word    int
	}{
		{ours, []string{t.sluice, "version"}, 1},
		{"mosq", []string{t.mosquitto, "-h"}, 2},
		{"nats", []string{t.nats, "-v"}, 1},
	} {
		if !seen(v.name) {
			continue
		}
		out, _ := exec.Command(v.command[0], v.command[1:]...).CombinedOutput() // mosquitto -h ends with 3
		if fields := strings.Fields(string(out)); len(fields) > v.word {
			words = append(words, v.name+" "+fields[v.word])
		}
	}
	return strings.Join(words, ", ")
}

// Names of the gateway as it comes, which stores every QoS 0 message, and of one that is told to store
// those only that somebody durable wants, as all the others do.
const (
	ours    = "sluice"
	matched = "matched"
)

// sluiceWith is the whole gateway with its page and a log on the disk, as it comes but for the number of
// clients, which for the others is not limited either.
func (t tools) sluiceWith(more string) func(string, string) ([]string, error) {
	return func(dir, address string) ([]string, error) {
		path := filepath.Join(dir, "sluice.yaml")
		command := []string{t.sluice, "run", "--config", path}
		if _, err := os.Stat(path); err == nil {
			return command, nil
		}
		web, err := measure.FreeAddress()
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("gateway: {name: bench}\nstore: {dir: %s}\nweb: {listen: '%s'}\nmqtt: {listen: ['%s'], anonymous: true, max_connections: 100000%s}\n",
			filepath.Join(dir, "data"), web, address, more)
		return command, os.WriteFile(path, []byte(text), 0o600)
	}
}

// mostDurable rewrites and syncs the whole database after each loop that changed something: the most
// that mosquitto can do.
const mostDurable = `persistence true
autosave_on_changes true
autosave_interval 1
max_queued_messages 0
`

func (t tools) mosquittoWith(persistence string) func(string, string) ([]string, error) {
	return func(dir, address string) ([]string, error) {
		path := filepath.Join(dir, "mosquitto.conf")
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("listener %s %s\nallow_anonymous true\nlog_type error\nlog_type warning\npersistence_location %s/\n%s", port, host, dir, persistence)
		if os.Getuid() == 0 {
			text += "user root\n" // its own user may not write here
		}
		return []string{t.mosquitto, "-c", path}, os.WriteFile(path, []byte(text), 0o600)
	}
}

func (t tools) runMochi(_, address string) ([]string, error) {
	return []string{t.mochi, address}, nil
}

// runNATS is JetStream's file store with its defaults: a sync every two minutes.
func (t tools) runNATS(dir, address string) ([]string, error) {
	path := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("server_name: bench\nlisten: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\nmqtt { listen: %q }\n",
		filepath.Join(dir, "jetstream"), address)
	return []string{t.nats, "-c", path}, os.WriteFile(path, []byte(text), 0o600)
}

func (t tools) runSink(_, address string) ([]string, error) {
	return []string{t.load, "--sink", address}, nil
}
