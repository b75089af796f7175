package rocketmq_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	rocketmqtest "sluice/testpeers/rocketmq"
)

// testdata/goclient.jsonl is what the stock Go client sees at a real broker. Everything that it sees at the
// gateway is held against that, whether or not there is a real broker to ask again.
const recorded = "testdata/goclient.jsonl"

var record = flag.Bool("record", false, "write "+recorded+" from the real broker")

// differs says where the gateway is not like the real broker on purpose: the scenario and what it sees, and
// why. docs/rocketmq-coverage.md tells users.
var differs = map[string]string{
	"refused: the topic TBW102": "it is a template for other topics, and nobody consumes it",
}

// machinery are properties that the real broker's own machinery writes into a message and leaves there when
// it hands it out: where it lay while it waited, that it was a half message. Ours keeps them to itself, and
// says of a dead letter where it comes from. They are not compared.
var machinery = []string{"DELAY", "REAL_TOPIC", "REAL_QID", "WAIT", "TRAN_MSG", "__transactionId__", "DLQ_ORIGIN_TOPIC", "DLQ_ORIGIN_MESSAGE_ID"}

// batched are what our messages of a batch have and those of the real broker lack: an id of their own, by
// which they can be looked for, and what every other message gets.
var batched = []string{"UNIQ_KEY", "MSG_REGION", "TRACE_ON", "CLUSTER"}

// alone are scenarios of which the client ends its process when an answer is late: it calls a function on a
// response that it does not have.
var alone = []string{"async", "request"}

// TestGoClient has the stock Go client play every mode, and compares what it sees with what it saw at a real
// broker.
func TestGoClient(t *testing.T) {
	path := goClient(t)
	if *record {
		real := sharedReal(t)
		seen := perform(t, path, real, "all")
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		var text []byte
		for _, scenario := range sortedKeys(seen) {
			for _, line := range seen[scenario] {
				text = append(append(text, line...), '\n')
			}
		}
		if err := os.WriteFile(recorded, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	want := byScenario(t, text)
	eachTarget(t, func(t *testing.T, at target) {
		t.Parallel()
		seen := perform(t, path, at, "all")
		for _, scenario := range sortedKeys(want) {
			t.Run(scenario, func(t *testing.T) { compare(t, at, seen[scenario], want[scenario]) })
		}
	})
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// compare shows what only one of the two has.
func compare(t *testing.T, at target, got, want []string) {
	t.Helper()
	if !at.real {
		got, want = plain(t, got), plain(t, want)
	}
	for _, line := range want {
		if !slices.Contains(got, line) && !excused(at, line) {
			t.Errorf("not seen: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) && !excused(at, line) {
			t.Errorf("only seen here: %s", line)
		}
	}
}

// plain leaves out the traces of the machinery.
func plain(t *testing.T, lines []string) (all []string) {
	t.Helper()
	for _, line := range lines {
		var o struct {
			Scenario string `json:"scenario"`
			Saw      string `json:"saw"`
			Value    any    `json:"value,omitempty"`
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		if message, ok := o.Value.(map[string]any); ok {
			if properties, ok := message["properties"].(map[string]any); ok {
				for _, name := range machinery {
					delete(properties, name)
				}
				if o.Scenario == "batch" {
					for _, name := range batched {
						delete(properties, name)
					}
					delete(message, "id")
					delete(message, "has a unique key")
				}
			}
		}
		line, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(line))
	}
	return all
}

func excused(at target, line string) bool {
	var seen struct{ Scenario, Saw string }
	if at.real || json.Unmarshal([]byte(line), &seen) != nil {
		return false
	}
	_, known := differs[seen.Scenario+": "+seen.Saw]
	return known
}

// goClient builds the program in peers.
func goClient(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "peers")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Dir = "peers"
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		text := "the stock Go client is not to be had"
		if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
			t.Fatalf("%s: %v\n%s", text, err, out)
		}
		t.Skipf("%s: %v\n%s", text, err, out)
	}
	return path
}

// perform plays scenarios, all of them or those that are named, and gives what each has seen.
func perform(t *testing.T, path string, at target, scenarios string, environment ...string) map[string][]string {
	t.Helper()
	home := t.TempDir() // where a broadcasting consumer keeps its offsets
	run := func(which string) []byte {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, path, at.nameServer, which)
		command.Env = append(append(os.Environ(), "HOME="+home), environment...)
		var complaints bytes.Buffer
		command.Stderr = &complaints
		out, err := command.Output()
		if err != nil {
			t.Errorf("the Go client at %s ended: %v\n%.4000s", which, err, complaints.Bytes())
		}
		return out
	}
	var mu sync.Mutex
	var text []byte
	var playing sync.WaitGroup
	play := func(which string) {
		playing.Go(func() {
			out := run(which)
			mu.Lock()
			defer mu.Unlock()
			text = append(text, out...)
		})
	}
	play(scenarios)
	if scenarios == "all" {
		for _, one := range alone {
			play(one)
		}
	}
	playing.Wait()
	return byScenario(t, text)
}

func byScenario(t *testing.T, text []byte) map[string][]string {
	t.Helper()
	seen := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		var o struct{ Scenario string }
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("the Go client said %q: %v", line, err)
		}
		seen[o.Scenario] = append(seen[o.Scenario], line)
	}
	return seen
}

// TestGoClientSigns has it sign with the right keys and with wrong ones.
func TestGoClientSigns(t *testing.T) {
	const accessKey, secretKey = "goclient", "goclient-secret"
	path := goClient(t)
	text, err := os.ReadFile("testdata/goclient_acl.jsonl")
	if err != nil && !*record {
		t.Fatal(err)
	}
	test := func(t *testing.T, at target) {
		seen := perform(t, path, at, "acl", "ACCESS_KEY="+accessKey, "SECRET_KEY="+secretKey)
		if *record && at.real {
			if err := os.WriteFile("testdata/goclient_acl.jsonl", []byte(strings.Join(seen["acl"], "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		compare(t, at, seen["acl"], byScenario(t, text)["acl"])
	}
	if *otherNameServer == "" && !*record {
		t.Run("gateway", func(t *testing.T) {
			test(t, startGateway(t, fmt.Sprintf("  access:\n    - {access_key: %s, secret_key: %s, admin: true, publish: [\"*\"], subscribe: [\"*\"], groups: [\"*\"]}\n", accessKey, secretKey)))
		})
	}
	if asksReal() {
		t.Run("real", func(t *testing.T) {
			test(t, startReal(t, rocketmqtest.Options{Broker: realAccess(accessKey, secretKey)}))
		})
	}
}
