package rocketmqtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// Observation is one thing that a client saw in a scenario.
type Observation struct {
	Scenario string          `json:"scenario"`
	Saw      string          `json:"saw"`
	With     json.RawMessage `json:"with"` // its keys are sorted
}

func (o Observation) String() string { return o.Saw + " " + string(o.With) }

// Client says as whom scenarios are played.
type Client struct {
	Generation Generation
	// AccessKey and SecretKey are an administrator's, or empty.
	AccessKey, SecretKey string
}

// The scenarios, of both generations and of the current one alone. Access is played against a broker
// that checks who asks, the gateway's own against one with devices and MQTT clients.
var (
	Scenarios = []string{
		"reset_offset_online", "reset_offset_offline", "consume_from", "transactions", "delay_level",
		"group_shares", "group_hands_over_locks",
		"retry_until_dead", "retry_then_well", "retry_default_delay", "retry_dead_at_once", "retry_orderly_dead", "trace",
		"send_sync", "send_async", "send_oneway", "send_to_queue", "send_batch", "send_creates_topic", "send_properties",
		"push_concurrently", "push_orderly", "push_waiting", "push_broadcasting", "push_asked_about",
		"pull", "pull_waiting", "lite_pull_subscribe", "lite_pull_assign",
		"filter_tags", "filter_sql", "filter_sql_push", "request_reply", "queries", "bodies", "refusals", "tls",
	}
	CurrentScenarios = []string{"timer", "timer_recall", "pop_push", "pop_push_retry", "pop_by_hand", "pop_waiting", "pop_orderly", "mqadmin"}
	AccessScenarios  = []string{"acl"}
	GatewayScenarios = []string{"mqtt"}
)

// Of is every scenario that a generation plays without keys.
func Of(generation Generation) []string {
	if generation == Old {
		return slices.Clone(Scenarios)
	}
	return slices.Concat(CurrentScenarios, Scenarios)
}

// allOfThem is how long a virtual machine may take for every scenario on a busy machine.
const allOfThem = 8 * time.Minute

// Play runs scenarios against a name server, side by side in one virtual machine, and gives what each of
// them saw, in order. A scenario that breaks off has an observation "failed".
func Play(t testing.TB, nameServer string, as Client, names ...string) map[string][]Observation {
	t.Helper()
	found := require(t)
	ctx, cancel := context.WithTimeout(t.Context(), allOfThem)
	defer cancel()
	home := t.TempDir()
	args := slices.Concat(machine(found.java, home)[1:], []string{
		"-Xmx512m", "-XX:TieredStopAtLevel=1",
		// The client looks every 20 s whether its queues are still its own; nobody waits for that.
		"-Drocketmq.client.rebalance.waitInterval=1000", "-Drocketmq.client.rebalance.minInterval=500",
		"-cp", found.client(as.Generation), "scenarios.Scenarios", nameServer, strings.Join(names, ","),
	})
	if as.AccessKey != "" {
		args = append(args, as.AccessKey, as.SecretKey)
	}
	out, errs, err := run(ctx, home, found.java, args...)
	seen, wrong := parse(out)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 && wrong == nil {
		t.Logf("scenarios broke off:\n%s", errs) // and each says so among what it saw
		return seen
	}
	if err != nil || wrong != nil {
		t.Fatalf("scenarios %v: %v\n%s", names, errors.Join(err, wrong), errs)
	}
	return seen
}

// Scenario is Play of one scenario.
func Scenario(t testing.TB, nameServer string, generation Generation, name string) []Observation {
	t.Helper()
	return Play(t, nameServer, Client{Generation: generation}, name)[name]
}

func parse(out []byte) (map[string][]Observation, error) {
	seen := map[string][]Observation{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !bytes.HasPrefix(lines.Bytes(), []byte("{")) {
			continue // what the old client logs
		}
		var o Observation
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil || o.Scenario == "" {
			return nil, fmt.Errorf("%q is no observation: %v", lines.Text(), err)
		}
		seen[o.Scenario] = append(seen[o.Scenario], o)
	}
	return seen, lines.Err()
}

// run is a program's run to its end, with what it wrote.
func run(ctx context.Context, dir, program string, args ...string) (out, errs []byte, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return stdout.Bytes(), stderr.Bytes(), err
}

// Diff says in which observations two runs of one scenario differ: lines that begin with - were seen in
// want alone, those with + in got alone.
func Diff(want, got []Observation) []string {
	var diff []string
	left, right := texts(want), texts(got)
	for _, line := range left {
		if i := slices.Index(right, line); i >= 0 {
			right = slices.Delete(right, i, i+1)
		} else {
			diff = append(diff, "- "+line)
		}
	}
	for _, line := range right {
		diff = append(diff, "+ "+line)
	}
	return diff
}

// texts are the comparable forms of observations.
func texts(observations []Observation) []string {
	var all []string
	for _, o := range observations {
		all = append(all, o.comparable())
	}
	return all
}

// comparable leaves out the words of a refusal: there must be some, and the code must be the same.
func (o Observation) comparable() string {
	var with map[string]any
	if json.Unmarshal(o.With, &with) == nil && with["remark"] != nil {
		with["remark"] = with["remark"] != ""
		if text, err := json.Marshal(with); err == nil {
			return o.Saw + " " + string(text)
		}
	}
	return o.String()
}
