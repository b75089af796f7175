package capture

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// tshark runs Wireshark's command on a file with all kinds of frames, or skips the test.
func tshark(t *testing.T, arguments ...string) []string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
			t.Fatal("tshark is not installed, and SLUICE_REQUIRE_PEERS=1 wants it")
		}
		t.Skip("tshark is not installed")
	}
	file := t.TempDir() + "/bus.pcapng"
	if err := os.WriteFile(file, written(t, frames(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), path, append([]string{"-n", "-r", file}, arguments...)...)
	command.Env = append(os.Environ(), "HOME="+t.TempDir()) // nobody's preferences
	var problems strings.Builder
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, problems.String())
	}
	return strings.Split(strings.TrimRight(string(out), "\n"), "\n")
}

// Wireshark decodes what it knows, without any set-up.
func TestTsharkDecodesFrames(t *testing.T) {
	got := tshark(t, "-d", fmt.Sprintf("tcp.port==%d,sml", SMLPort), "-o", "mbrtu.crc_verification:TRUE", "-T", "fields", "-E", "separator=|",
		"-e", "_ws.col.Protocol", "-e", "modbus.func_code", "-e", "modbus.exception_code", "-e", "mbtcp.trans_id", "-e", "modbus.regval_uint16", "-e", "mbrtu.crc16.status", "-e", "sml.abort")
	want := []string{
		"Modbus RTU|3||||1|", "Modbus RTU|3|||1,2|1|", "", "Modbus RTU|3|2|||1|",
		"Modbus/TCP|3||7|||", "Modbus/TCP|3||7|42||", "DL/T 645||||||", "HJ 212||||||", "SML||||||0x00,0x00,0x00", "",
	}
	if len(got) != len(want) {
		t.Fatalf("tshark shows %d frames, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if want[i] != "" && got[i] != want[i] {
			t.Errorf("frame %d is %q, want %q", i+1, got[i], want[i])
		}
		if want[i] == "" && strings.Contains(got[i], "Modbus") {
			t.Errorf("frame %d is %q, want bytes", i+1, got[i])
		}
	}
}

func TestTsharkShowsDirectionMomentAndComments(t *testing.T) {
	got := tshark(t, "-T", "fields", "-E", "separator=|", "-E", "aggregator=;",
		"-e", "frame.time_epoch", "-e", "frame.packet_flags_direction", "-e", "frame.comment", "-e", "frame.interface_name")
	for i, want := range map[int]string{
		0: "1795435200.123456789|0x00000002|device: meter;protocol: modbus-rtu|bus1",
		1: "1795435200.373456789|0x00000001|device: meter;protocol: modbus-rtu;2 registers from 0|bus1",
		2: "1795435200.623456789|0x00000001|device: meter;protocol: modbus-rtu;verdict: the checksum is wrong|bus1",
	} {
		if i >= len(got) || got[i] != want {
			t.Errorf("frame %d is %q, want %q", i+1, got[min(i, len(got)-1)], want)
		}
	}
}
