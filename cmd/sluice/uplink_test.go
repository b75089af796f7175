package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/bridge/cloudsim"
)

func TestUplinkTestSaysEachStep(t *testing.T) {
	cloud, err := cloudsim.Listen("127.0.0.1:0", cloudsim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- cloud.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf("gateway: {name: line-3}\nuplinks:\n  - {name: cloud, driver: mqtt, address: \"tcp://%s\", forward: [{from: \"readings/#\", to: \"{topic}\"}]}\n", cloud.Addr())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"cloud", "--config", file}, {"--config", file, "cloud"}} {
		out, code := tool(t, append([]string{"uplink", "test"}, args...)...)
		steps := strings.Split(out, "\n")
		if code != 0 || len(steps) != 6 || !strings.Contains(steps[0], "ok      port open") || !strings.Contains(steps[3], "acknowledged") || steps[4] != "uplink cloud works" {
			t.Errorf("%q left with %d and printed\n%s", args, code, out)
		}
	}
	cloud.SetFaults(cloudsim.Faults{RefuseLogin: 5})
	if out, code := tool(t, "uplink", "test", "cloud", "--config", file); code != exitFailed || !strings.Contains(out, "failed  logged in") || !strings.Contains(out, "not authorised") {
		t.Errorf("refused: left with %d and printed\n%s", code, out)
	}
	for _, args := range [][]string{{}, {"test"}, {"look", "cloud"}, {"test", "cloud", "more", "--config", file}, {"test", "none", "--config", file}, {"test", "cloud", "--config", file + "x"}} {
		if _, code := tool(t, append([]string{"uplink"}, args...)...); code != exitUsage {
			t.Errorf("%q left with %d, want %d", args, code, exitUsage)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(file), "data")); err == nil {
		t.Error("a test of an uplink has made a log")
	}
}

func TestCheckNamesWhatAChangeLeavesBehind(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sluice.yaml")
	text := "store: {dir: ./data}\nuplinks:\n  - {name: north, driver: mqtt, address: \"tcp://127.0.0.1:1\", forward: [{from: \"readings/#\", to: \"{topic}\"}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ noted, want string }{
		{`["uplink/north/readings/#"]`, ""},
		{`["uplink/north/readings/#","uplink/south/alarms/#"]`, "uplink south is not configured, but has a place in the log for alarms/#"},
		{`["uplink/north/status/#"]`, "uplink north has no route from status/#, but a place in the log for it"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "data", "routes.json"), []byte(c.noted), 0o600); err != nil {
			t.Fatal(err)
		}
		said := onStderr(t, func() {
			if out, code := tool(t, "check", "--config", file); code != 0 || !strings.Contains(out, "is good") {
				t.Errorf("%s: left with %d and printed %s", c.noted, code, out)
			}
		})
		if strings.Contains(said, "place in the log") != (c.want != "") || !strings.Contains(said, c.want) {
			t.Errorf("%s: said %q, want %q", c.noted, said, c.want)
		}
	}
}

// onStderr gives what run writes to standard error.
func onStderr(t *testing.T, run func()) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "err")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	was := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = was }()
	run()
	said, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}
