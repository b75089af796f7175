//go:build linux

package nighttest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// previous is the version before this one, whose data this one must open, and which must open the data of
// this one: an update may be taken back, and what was written meanwhile stays.
const previous = "345e0eba38a1a136e499a90ff7125142073b39f2"

// recorded is a data directory as that version left it.
const recorded = "testdata/previous.tar.gz"

// recordedSaid is how many messages by hand are in it.
const recordedSaid = 20

var recordAnew = flag.Bool("record-previous", false, "record the data directory of the version before")

// builtPrevious builds that version, page and all but the page's files.
func builtPrevious(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("SLUICE_PREVIOUS"); path != "" {
		return path
	}
	dir := t.TempDir()
	for _, step := range []string{
		"git -C ../.. archive " + previous + " | tar -x -C " + dir,
		"mkdir -p " + dir + "/web/ui/dist && cp ../../web/ui/dist/* -r " + dir + "/web/ui/dist/",
		"cd " + dir + " && CGO_ENABLED=0 go build -buildvcs=false -o sluice ./cmd/sluice",
	} {
		if out, err := exec.Command("bash", "-o", "pipefail", "-c", step).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", step, err, out)
		}
	}
	return filepath.Join(dir, "sluice")
}

// previousGateway is a gateway with a device whose readings are numbered, over the data in data.
func previousGateway(t *testing.T, data string) *gateway {
	t.Helper()
	web := freeAddress(t)
	return newGateway(t, site{}, web, fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: %s}
web: {listen: %q}
devices:
  - {name: press, driver: simulated, interval: 100ms, points: [{name: temperature, wave: sine, period: 10s, min: 20, max: 80}]}
uplinks:
  - {name: cloud, driver: mqtt, address: "tcp://127.0.0.1:1", forward: [{from: "said/#", to: "{topic}"}]}
`, data, web))
}

// say publishes messages by hand and lets some readings come.
func (g *gateway) say(t *testing.T, n int, who string) {
	t.Helper()
	until(t, 30*time.Second, "readings", func() bool { return g.status(t).seqs()["press"] > 0 })
	if _, _, err := g.authorised(t.Context(), "/api/v1/status"); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		body, err := json.Marshal(map[string]any{"topic": "said/" + who, "payload": fmt.Sprint(who, " ", i), "qos": 1})
		if err != nil {
			t.Fatal(err)
		}
		code, answer, err := g.request(t.Context(), http.MethodPost, "/api/v1/messages", body)
		if err != nil || code/100 != 2 {
			t.Fatalf("publish: %d %s %v", code, answer, err)
		}
	}
}

// backlogOf waits until the uplink's backlog is what it must be: its place has survived.
func (g *gateway) backlogOf(t *testing.T, want uint64) {
	t.Helper()
	until(t, 30*time.Second, fmt.Sprintf("a backlog of %d", want), func() bool {
		s, err := g.askStatus(t.Context())
		return err == nil && s.backlog() == want
	})
}

// checked lets a program read all of a log.
func checked(t *testing.T, program, data string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program, "log", "check", data).CombinedOutput(); err != nil {
		t.Fatalf("%s log check: %v\n%s", program, err, out)
	}
}

// TestDataOfTheVersionBeforeIsRead opens what the version before has recorded.
func TestDataOfTheVersionBeforeIsRead(t *testing.T) {
	if *recordAnew {
		recordPrevious(t)
	}
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-xzf", recorded, "-C", data).CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v\n%s", err, out)
	}
	g := previousGateway(t, data)
	checked(t, g.binary, data)
	g.start(t)
	before := g.status(t).seqs()["press"]
	if before < 10 {
		t.Errorf("the device's numbers begin anew at %d", before)
	}
	g.backlogOf(t, recordedSaid)
	g.say(t, 5, "new")
	g.backlogOf(t, recordedSaid+5)
	g.stop(t)
	checked(t, g.binary, data)
}

// TestTheVersionBeforeReadsNewData goes there and back, twice: old, new, old, new, with a kill on the way.
func TestTheVersionBeforeReadsNewData(t *testing.T) {
	if !long() {
		t.Skip("builds the version before; SLUICE_LONG=1")
	}
	data := filepath.Join(t.TempDir(), "data")
	g := previousGateway(t, data)
	program := map[string]string{"new": g.binary, "old": builtPrevious(t)}
	said, last := uint64(0), uint64(0)
	for turn, who := range []string{"old", "new", "old", "new", "old"} {
		g.binary = program[who]
		if turn > 0 {
			checked(t, g.binary, data)
		}
		g.start(t)
		g.backlogOf(t, said)
		g.say(t, 10, who)
		said += 10
		g.backlogOf(t, said)
		seq := g.status(t).seqs()["press"]
		if seq <= last {
			t.Errorf("%s, turn %d: the device is at %d after %d", who, turn, seq, last)
		}
		last = seq
		if turn == 2 {
			g.kill(t)
		} else {
			g.stop(t)
		}
	}
	for who, path := range program {
		out, err := exec.Command(path, "log", "dump", "--topic", "said/#", data).Output()
		if err != nil {
			t.Fatalf("%s: %v", who, err)
		}
		if n := strings.Count(string(out), "said/"); n < int(said) {
			t.Errorf("the %s program finds %d messages, want %d", who, n, said)
		}
	}
}

// recordPrevious writes testdata.
func recordPrevious(t *testing.T) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	g := previousGateway(t, data)
	g.binary = builtPrevious(t)
	g.start(t)
	g.say(t, recordedSaid, "old")
	until(t, 30*time.Second, "some readings", func() bool { return g.status(t).seqs()["press"] > 50 })
	g.stop(t)
	path, err := filepath.Abs(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "--sparse", "--owner=0", "--group=0", "-czf", path, "-C", data, ".").CombinedOutput(); err != nil {
		t.Fatalf("pack: %v\n%s", err, out)
	}
}
