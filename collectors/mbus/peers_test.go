package mbus_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/collectors/mbus/mbussim"
)

// nodeMbus is the folder with node-mbus, a binding of libmbus. Without it the test is skipped, unless
// SLUICE_REQUIRE_PEERS says that it must be there.
func nodeMbus(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("../../testpeers/meters")
	must(t, err)
	_, missing := os.Stat(filepath.Join(folder, "node_modules", "node-mbus"))
	if _, err := exec.LookPath("node"); err != nil {
		missing = err
	}
	if missing == nil {
		return folder
	}
	if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatal(missing)
	}
	t.Skip("node-mbus is not installed: npm ci in testpeers/meters")
	return ""
}

// ask reads a meter, or looks for all, and prints what libmbus makes of the answer.
const ask = `
const Master = require('node-mbus')
const [host, port, what] = process.argv.slice(1)
const master = new Master({host, port: Number(port), timeout: 300})
const done = (err, data) => {
  console.log(JSON.stringify({error: err ? err.message : '', data}))
  master.close(() => process.exit(0))
}
if (!master.connect()) { console.log(JSON.stringify({error: 'no connection'})); process.exit(0) }
what === 'scan' ? master.scanSecondary(done) : master.getData(/^\d{1,3}$/.test(what) ? Number(what) : what, done)
`

type fromNode struct {
	Error string          `json:"error"`
	Data  json.RawMessage `json:"data"`
}

func askNode(t *testing.T, folder, address, what string) fromNode {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "-e", ask, host, port, what)
	cmd.Dir = folder
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	var answer fromNode
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &answer); err != nil {
		t.Fatalf("node printed %q: %v", out, err)
	}
	return answer
}

// The simulated meters are real enough for libmbus, by number and by identity, and what it reads is
// what they measure.
func TestAForeignMasterReadsTheSimulatedMeters(t *testing.T) {
	folder := nodeMbus(t)
	line, address := listen(t, mbussim.Options{
		Clock: func() time.Time { return noon },
		Meters: []mbussim.Meter{
			{Primary: 1, ID: "11490378", Maker: "ACW", Version: 14, Medium: 4},
			{Primary: 2, ID: "20000002", Maker: "TST", Medium: 7, Telegrams: [][]byte{records(t, "04 13 31 D4 00 00")}},
		},
	})
	address = strings.TrimPrefix(address, "tcp://")
	state := mbussim.StateAt(noon)
	for _, what := range []string{"1", "11490378FFFFFFFF"} {
		answer := askNode(t, folder, address, what)
		if answer.Error != "" {
			t.Errorf("meter %s: %s", what, answer.Error)
			continue
		}
		var data struct {
			SlaveInformation struct{ Manufacturer string }
			DataRecord       []struct {
				Unit  string
				Value any
			}
		}
		must(t, json.Unmarshal(answer.Data, &data))
		if len(data.DataRecord) != 10 || data.SlaveInformation.Manufacturer != "ACW" {
			t.Errorf("meter %s: %s", what, answer.Data)
			continue
		}
		first := data.DataRecord[0]
		value, _ := first.Value.(float64)
		if first.Unit != "Energy (kWh)" || uint64(value) != state.Energy {
			t.Errorf("meter %s: energy is %v %s, want %d kWh", what, first.Value, first.Unit, state.Energy)
		}
	}
	scan := askNode(t, folder, address, "scan")
	for _, id := range []string{"11490378", "20000002"} {
		if scan.Error != "" || !strings.Contains(string(scan.Data), id) {
			t.Errorf("the scan did not find %s: %s %s", id, scan.Data, scan.Error)
		}
	}
	if seen := line.Seen(); seen.Damaged != 0 {
		t.Errorf("the simulator did not understand %d bytes", seen.Damaged)
	}
}
