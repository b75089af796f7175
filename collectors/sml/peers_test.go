package sml

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/collectors/sml/smlsim"
)

// absent skips a test whose peer is not installed, unless SLUICE_REQUIRE_PEERS says that it must be.
func absent(t *testing.T, peer string) {
	t.Helper()
	if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is not installed; .ci/peers does that", peer)
	}
	t.Skipf("%s is not installed; .ci/peers does that", peer)
}

// run gives what a program prints.
func run(t *testing.T, folder, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		absent(t, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	command.Dir = folder
	out, err := command.Output()
	if err != nil {
		said := ""
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			said = string(exit.Stderr)
		}
		t.Fatalf("%s %v: %v\n%s", name, args, err, said)
	}
	return out
}

// Another reader understands the telegrams of our meter as our driver does: so both ends of ours
// agree with a third party and not only with each other.
func TestAForeignReaderReadsOurMeter(t *testing.T) {
	t.Parallel()
	const folder = "../../testpeers/meters"
	if _, err := os.Stat(folder + "/node_modules/smartmeter-obis"); err != nil {
		absent(t, "smartmeter-obis")
	}
	line := simulate(t, smlsim.Options{Every: time.Second, NoEscapes: true})
	out := run(t, folder, "node", "obis.cjs", "SmlProtocol", "SerialResponseTransport", line.Path(), "115200")
	var told map[string][]struct {
		Value any
		Unit  string
	}
	if err := json.Unmarshal(out, &told); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	s := smlsim.StateAt(noon)
	for code, want := range map[string]struct {
		value any
		unit  string
	}{
		"1-0:1.8.0*255":  {float64(s.Energy) / 1e4, "kWh"}, // which it makes of Wh
		"1-0:2.8.0*255":  {float64(s.Reverse) / 1e4, "kWh"},
		"1-0:16.7.0*255": {float64(s.Power) / 100, "W"},
		"1-0:32.7.0*255": {float64(s.Voltage[0]) / 10, "V"},
		"1-0:71.7.0*255": {float64(s.Current[2]) / 100, "A"},
		"1-0:96.50.1*1":  {"SLC", ""},
	} {
		got := told[code]
		if len(got) != 1 || got[0].Value != want.value || want.unit != "" && got[0].Unit != want.unit {
			t.Errorf("%s: got %v, want %v", code, got, want)
		}
	}
}

// capture makes a file of UDP packets that tshark reads.
func capture(t *testing.T, packets ...[]byte) string {
	t.Helper()
	le, be := binary.LittleEndian, binary.BigEndian
	b := le.AppendUint32(nil, 0xA1B2C3D4)
	b = le.AppendUint16(b, 2) // version 2.4
	b = le.AppendUint16(b, 4)
	for _, n := range []uint32{0, 0, 65535, 101} { // zone, accuracy, longest packet, raw IP
		b = le.AppendUint32(b, n)
	}
	for i, data := range packets {
		n := uint32(len(data) + 28)
		for _, n := range []uint32{uint32(i), 0, n, n} { // time, length twice
			b = le.AppendUint32(b, n)
		}
		b = append(b, 0x45, 0)
		b = be.AppendUint16(b, uint16(n))
		b = append(b, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1)
		for _, n := range []int{smlPort, smlPort, len(data) + 8, 0} {
			b = be.AppendUint16(b, uint16(n))
		}
		b = append(b, data...)
	}
	path := filepath.Join(t.TempDir(), "sml.pcap")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const smlPort = 7259

// Wireshark takes our requests and our meter's telegrams apart without a complaint, and its
// checksums are ours.
func TestWiresharkDecodesOurTelegrams(t *testing.T) {
	t.Parallel()
	ask := request([]byte{0, 0, 0, 7}, clientID, unhex(t, smlsim.DefaultServer), nil)
	path := capture(t, smlsim.Telegram(smlsim.Options{NoEscapes: true}, noon), ask)
	fields := []string{"sml.messagebody", "sml.crc.status", "sml.serverid", "sml.objname", "sml.value", "_ws.expert.message", "_ws.malformed"}
	args := []string{"-r", path, "-d", fmt.Sprintf("udp.port==%d,sml", smlPort), "-o", "sml.crc:TRUE", "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	lines := strings.Split(strings.TrimRight(string(run(t, "", "tshark", args...)), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %q, want a line for each of two packets", lines)
	}
	telegram, asked := strings.Split(lines[0], "\t"), strings.Split(lines[1], "\t")
	const good = "1,1,1,1" // of three messages and the whole
	id := strings.ToLower(smlsim.DefaultServer)
	if telegram[0] != "0x0101,0x0701,0x0201" || telegram[1] != good || !strings.Contains(telegram[2], id) ||
		!strings.Contains(telegram[3], "0100010800ff") || telegram[5]+telegram[6] != "" {
		t.Errorf("of our meter's telegram Wireshark says %q", telegram)
	}
	if asked[0] != "0x0100,0x0700,0x0200" || asked[1] != good || !strings.Contains(asked[2], id) || asked[5]+asked[6] != "" {
		t.Errorf("of our request Wireshark says %q", asked)
	}
}
