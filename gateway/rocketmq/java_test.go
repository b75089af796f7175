package rocketmq_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	rocketmqtest "sluice/testpeers/rocketmq"
)

// onPurpose are observations of the Java clients in which the gateway differs from the real broker, by
// scenario.
var onPurpose = map[string][]string{
	"pop_push_retry":     {"consumed"},                                                   // what is popped again names its topic in RETRY_TOPIC too
	"pop_by_hand":        {"again"},                                                      // likewise
	"send_batch":         {"stored"},                                                     // messages of a batch have CLUSTER, MSG_REGION and TRACE_ON as all others
	"send_creates_topic": {"asked for 16 queues"},                                        // no more than rocketmq.queues
	"refusals":           {"sending with perm 4", "pulling with perm 4", "topic TBW102"}, // read-only is read-only; the template takes no messages
	// As recorded, the real broker delivered one transaction twice, and did not give a message again in time.
	"4/transactions":        {"consumed", "order"},
	"4/retry_default_delay": {"failed", "again", "consumed", "in the retry topic", "progress"},
	// A filter that cannot be read is refused; the real broker hands out everything.
	"filter_sql": {
		"sql:    ",
		"sql: ",
		"sql: 'C' IN ('C')",
		"sql: (unit = 'C'",
		"sql: 1",
		"sql: AND",
		"sql: a.b = 1",
		"sql: alarm > TRUE",
		"sql: größe = 1",
		"sql: place CONTAINS 3",
		"sql: temperature > 99999999999999999999",
		"sql: temperature >",
		"sql: temperature BETWEEN 20 AND 10",
		"sql: temperature BETWEEN 20",
		"sql: unit != 'C'",
		"sql: unit = 'C",
		"sql: unit = \"C\"",
		"sql: unit == 'C'",
		"sql: unit > 'A'",
		"sql: unit IN ()",
		"sql: unit IN (1, 2)",
	},
}

// TestJavaClients has the stock Java clients of both generations play every mode, and compares what they see
// with what they saw at a real broker.
func TestJavaClients(t *testing.T) {
	rocketmqtest.Require(t)
	dir := t.TempDir()
	certificate(t, dir)
	tls := fmt.Sprintf("  tls: {cert: %q, key: %q}\n", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	for _, generation := range []rocketmqtest.Generation{rocketmqtest.Current, rocketmqtest.Old} {
		t.Run(string(generation), func(t *testing.T) {
			file := filepath.Join("testdata", "java"+string(generation)+".jsonl")
			as := rocketmqtest.Client{Generation: generation}
			names := slices.DeleteFunc(rocketmqtest.Of(generation), func(name string) bool { return name == "mqadmin" })
			if *record {
				keepObservations(t, file, names, rocketmqtest.Play(t, sharedReal(t).nameServer, as, names...))
				return
			}
			want := readObservations(t, file)
			got := rocketmqtest.Play(t, startGateway(t, tls).nameServer, as, names...)
			for _, name := range names {
				t.Run(name, func(t *testing.T) {
					compared := func(all []rocketmqtest.Observation) []rocketmqtest.Observation {
						return slices.DeleteFunc(slices.Clone(all), func(o rocketmqtest.Observation) bool {
							return slices.Contains(onPurpose[name], o.Saw) || slices.Contains(onPurpose[string(generation)+"/"+name], o.Saw)
						})
					}
					for _, line := range rocketmqtest.Diff(compared(want[name]), compared(got[name])) {
						t.Errorf("%.4000s", line)
					}
				})
			}
		})
	}
}

func keepObservations(t *testing.T, file string, names []string, seen map[string][]rocketmqtest.Observation) {
	t.Helper()
	var text []byte
	for _, name := range names {
		for _, o := range seen[name] {
			text = fmt.Appendf(text, "{\"scenario\":%q,\"saw\":%q,\"with\":%s}\n", o.Scenario, o.Saw, o.With) // as it came, not escaped again
		}
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func readObservations(t *testing.T, file string) map[string][]rocketmqtest.Observation {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := make(map[string][]rocketmqtest.Observation)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var o rocketmqtest.Observation
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			t.Fatal(err)
		}
		seen[o.Scenario] = append(seen[o.Scenario], o)
	}
	return seen
}
