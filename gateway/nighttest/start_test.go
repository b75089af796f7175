//go:build linux

package nighttest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestStartErrors starts the gateway where it cannot run: it ends with one line that names the
// cause, and exit code 1 or 2.
func TestStartErrors(t *testing.T) {
	here := site{}
	fresh := func(t *testing.T) *gateway {
		web := freeAddress(t)
		return newGateway(t, here, web, startConfig("{dir}/data", web, freeAddress(t)))
	}
	for _, c := range []struct {
		name string
		root bool
		// prepare gives the command and what its complaint must name.
		prepare func(t *testing.T) (command, names []string)
	}{
		{"web port in use", false, func(t *testing.T) ([]string, []string) {
			taken := here.listen(t, "127.0.0.1:0").Addr().String()
			g := newGateway(t, here, taken, startConfig("{dir}/data", taken, freeAddress(t)))
			return g.command(), []string{taken}
		}},
		{"MQTT port in use", false, func(t *testing.T) ([]string, []string) {
			taken := here.listen(t, "127.0.0.1:0").Addr().String()
			web := freeAddress(t)
			g := newGateway(t, here, web, startConfig("{dir}/data", web, taken))
			return g.command(), []string{taken}
		}},
		{"data directory in use", false, func(t *testing.T) ([]string, []string) {
			first := fresh(t)
			first.start(t)
			data := filepath.Join(first.dir, "data")
			web := freeAddress(t)
			second := newGateway(t, here, web, startConfig(data, web, freeAddress(t)))
			return second.command(), []string{data}
		}},
		{"data directory is a file", false, func(t *testing.T) ([]string, []string) {
			g := fresh(t)
			data := filepath.Join(g.dir, "data")
			if err := os.WriteFile(data, []byte("not a folder"), 0o600); err != nil {
				t.Fatal(err)
			}
			return g.command(), []string{data}
		}},
		{"read-only disk", true, func(t *testing.T) ([]string, []string) {
			return mounted(t, `mkdir "$0/data"; mount -o remount,ro "$0"`, "read-only")
		}},
		{"read-only disk without a data directory", true, func(t *testing.T) ([]string, []string) {
			return mounted(t, `mount -o remount,ro "$0"`, "read-only")
		}},
		{"full disk", true, func(t *testing.T) ([]string, []string) {
			return mounted(t, `cat /dev/zero >"$0/filler" 2>/dev/null || true`)
		}},
		{"disk full but for a few pages", true, func(t *testing.T) ([]string, []string) {
			return mounted(t, `head -c 200k /dev/zero >"$0/filler"`)
		}},
		{"no configuration", false, func(t *testing.T) ([]string, []string) {
			g := fresh(t)
			g.config += ".missing"
			return g.command(), []string{g.config}
		}},
		{"unknown key", false, func(t *testing.T) ([]string, []string) {
			g := newGateway(t, here, "", "store: {dir: \"{dir}/data\"}\nbogus: 1\n")
			return g.command(), []string{"sluice.yaml:2", "bogus"}
		}},
		{"not YAML", false, func(t *testing.T) ([]string, []string) {
			g := newGateway(t, here, "", "store: {dir: \"{dir}/data\"\n")
			return g.command(), []string{"sluice.yaml:"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root {
				if out, err := exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "none", t.TempDir()).CombinedOutput(); err != nil {
					lacking(t, fmt.Sprintf("cannot mount a small disk: %v: %s", err, out))
				}
			}
			command, names := c.prepare(t)
			p := here.start(t, "gateway", []string{"SLUICE_ADMIN_PASSWORD=" + password}, command...)
			select {
			case <-p.ended:
			case <-time.After(time.Minute):
				p.kill()
				t.Fatalf("still running after a minute:\n%s", tail(p.output, 40))
			}
			if code := p.cmd.ProcessState.ExitCode(); code != 1 && code != 2 {
				t.Errorf("exit code %d, want 1 or 2: %v", code, p.cmd.ProcessState)
			}
			complaints := complaints(tail(p.output, 10_000))
			if len(complaints) != 1 {
				t.Fatalf("complained in %d lines, want one:\n%s", len(complaints), bytes.Join(complaints, []byte("\n")))
			}
			for _, name := range names {
				if !bytes.Contains(complaints[0], []byte(name)) {
					t.Errorf("the complaint does not name %q: %s", name, complaints[0])
				}
			}
		})
	}
}

// command is how the gateway is run.
func (g *gateway) command() []string { return []string{g.binary, "run", "--config", g.config} }

// mounted gives the command that runs the gateway with its data on a disk of 256 KiB of its own,
// prepared by script with the mount point as $0. The disk goes when the process does.
func mounted(t *testing.T, script string, names ...string) (command, complaint []string) {
	t.Helper()
	disk := t.TempDir()
	data := filepath.Join(disk, "data")
	web := freeAddress(t)
	g := newGateway(t, site{}, web, startConfig(data, web, freeAddress(t)))
	script = `set -e; mount -t tmpfs -o size=256k none "$0"; ` + script + `; exec "$@"`
	return append([]string{"unshare", "--mount", "sh", "-c", script, disk}, g.command()...), append(names, data)
}

var lifeCycle = regexp.MustCompile(`\b(INFO|DEBUG)\b`)

// complaints gives the lines of a log that are more than news.
func complaints(log []byte) (lines [][]byte) {
	for _, line := range bytes.Split(log, []byte("\n")) {
		if len(bytes.TrimSpace(line)) > 0 && !lifeCycle.Match(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

func startConfig(data, web, mqtt string) string {
	return fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: "%s"}
web: {listen: "%s"}
mqtt: {listen: ["%s"], anonymous: true}
`, data, web, mqtt)
}

// tenMistakes has one mistake in each line that ends in a comment; the comment is what the
// complaint about that line must name.
const tenMistakes = `gateway: {name: line-3}
store:
  dir: ./data
  limmit: 8GiB # limmit
  when_full: explode # when_full
web: {listen: "127.0.0.1:99999"} # listen
mqtt: {listen: ["127.0.0.1:1883"], anonymous: true}
devices:
  - name: press
    driver: modbus
    address: tcp://127.0.0.1:5020
    unit: 300 # unit
    interval: soon # interval
    points:
      - {name: counter, address: "holding:0", type: uint33} # type
      - {name: level, address: "holding:70000", type: int16} # address
      - {name: level, address: "holding:7", type: int16} # name
  - name: press # name
    driver: modbus
    address: tcp://127.0.0.1:5021
    unit: 1
    interval: 1s
    points: [{name: counter, address: "holding:0", type: uint32}]
uplinks:
  - name: cloud
    driver: mqtt
    address: tcp://127.0.0.1:1884
    client_id: line-3
    window: many # window
    forward: [{from: "readings/#", to: "plants/{topic}", qos: 1}]
`

func TestCheckNamesTenMistakes(t *testing.T) {
	g := newGateway(t, site{}, "", tenMistakes)
	var stdout, stderr bytes.Buffer
	check := exec.Command(g.binary, "check", "--config", g.config)
	check.Stdout, check.Stderr = &stdout, &stderr
	err := check.Run()
	if code := check.ProcessState.ExitCode(); code != 2 {
		t.Errorf("exit code %d (%v), want 2", code, err)
	}
	said := strings.Split(stdout.String()+stderr.String(), "\n")
	var mistakes int
	for i, line := range strings.Split(tenMistakes, "\n") {
		_, name, mistaken := strings.Cut(line, " # ")
		if !mistaken {
			continue
		}
		mistakes++
		place := fmt.Sprintf("sluice.yaml:%d:", i+1)
		var found []string
		for _, s := range said {
			if strings.Contains(s, place) {
				found = append(found, s)
			}
		}
		if len(found) != 1 || !strings.Contains(found[0], name) {
			t.Errorf("%q: want one line with %q and %q, got %q", line, place, name, found)
		}
	}
	if mistakes != 10 {
		t.Fatalf("bug: the test has %d mistakes", mistakes)
	}
	var problems int
	for _, s := range said {
		if strings.Contains(s, "sluice.yaml:") && !strings.Contains(s, "warning") {
			problems++
		}
	}
	if problems != mistakes {
		t.Errorf("%d problems, want %d:\n%s", problems, mistakes, strings.Join(said, "\n"))
	}
}
