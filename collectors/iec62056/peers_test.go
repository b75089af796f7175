package iec62056

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"sluice/collectors/iec62056/iec62056sim"
)

// absent skips a test whose peer is not installed, unless SLUICE_REQUIRE_PEERS says that it must be.
func absent(t *testing.T, peer string) {
	t.Helper()
	if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is not installed; .ci/peers does that", peer)
	}
	t.Skipf("%s is not installed; .ci/peers does that", peer)
}

// smartmeterOBIS reads the meter on a line with another implementation.
func smartmeterOBIS(t *testing.T, transport, path string, baud int) map[string][]obisValue {
	t.Helper()
	const folder = "../../testpeers/meters"
	node, err := exec.LookPath("node")
	if err != nil {
		absent(t, "Node.js")
	}
	if _, err := os.Stat(folder + "/node_modules/smartmeter-obis"); err != nil {
		absent(t, "smartmeter-obis")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, node, "obis.cjs", "D0Protocol", transport, path, strconv.Itoa(baud))
	command.Dir = folder
	out, err := command.Output()
	if err != nil {
		said := ""
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			said = string(exit.Stderr)
		}
		t.Fatalf("smartmeter-obis: %v\n%s", err, said)
	}
	var told map[string][]obisValue
	if err := json.Unmarshal(out, &told); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return told
}

type obisValue struct {
	Value any
	Unit  string
}

// Another reader signs on to our meter, follows it to another rate and reads what our driver reads:
// so both ends of ours agree with a third party and not only with each other.
func TestAForeignReaderReadsOurMeter(t *testing.T) {
	t.Parallel()
	line := simulate(t, iec62056sim.Options{Start: 300, Rate: 9600, Delay: 300 * time.Millisecond, Clock: func() time.Time { return noon }})
	told := smartmeterOBIS(t, "SerialRequestResponseTransport", line.Path(), 300)
	s := iec62056sim.StateAt(noon)
	for code, want := range map[string]obisValue{
		"1-0:1.8.0":   {s.Energy, "kWh"},
		"1-0:1.8.0*1": {s.Stored, "kWh"},
		"1-0:16.7.0":  {s.Power, "kW"},
		"1-0:32.7.0":  {s.Voltage[0], "V"},
	} {
		if got := told[code]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %v, want %v", code, got, want)
		}
	}
	if seen := line.Seen(); seen.SignOns != 1 || seen.Readouts != 1 || seen.Damaged != 0 {
		t.Errorf("the meter saw %+v", seen)
	}
}

func TestAForeignReaderReadsOurTelegrams(t *testing.T) {
	t.Parallel()
	line := simulate(t, iec62056sim.Options{Mode: "p1", Every: 500 * time.Millisecond, Clock: func() time.Time { return noon }})
	told := smartmeterOBIS(t, "SerialResponseTransport", line.Path(), 115200)
	s := iec62056sim.StateAt(noon)
	if got := told["1-0:1.8.1"]; len(got) != 1 || got[0] != (obisValue{s.Tariff[0], "kWh"}) {
		t.Errorf("1-0:1.8.1: got %v, want %v", got, s.Tariff[0])
	}
	if got := told["0-1:24.2.1"]; len(got) != 2 || got[1] != (obisValue{s.Gas, "m3"}) {
		t.Errorf("0-1:24.2.1: got %v, want %v", got, s.Gas)
	}
}
