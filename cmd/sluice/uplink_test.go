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
