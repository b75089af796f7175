package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAResetLeavesAGatewayThatIsNew(t *testing.T) {
	dir := t.TempDir()
	path, data := filepath.Join(dir, "sluice.yaml"), filepath.Join(dir, "store")
	text := "gateway: {name: line-3}\nstore: {dir: " + data + "}\nweb: {listen: '127.0.0.1:9099'}\ndevices:\n  - {name: press, driver: simulated, interval: 1s, points: [{name: a, wave: sine, period: 1m, min: 0, max: 1}]}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(data, "admin"), 0o700); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	c, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := finishReset(c, path, log); err != nil || same != c {
		t.Fatalf("nobody has asked: %v", err)
	}
	if err := os.WriteFile(filepath.Join(data, "factory-reset"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fresh, err := finishReset(c, path, log)
	if err != nil {
		t.Fatal(err)
	}
	if len(fresh.Devices) != 0 || fresh.Web.Listen != "127.0.0.1:9099" || fresh.Store.Dir != data || fresh.Gateway.Name == "line-3" {
		t.Errorf("the configuration is %s", fresh.Text)
	}
	if left, err := os.ReadDir(data); err != nil || len(left) != 0 {
		t.Errorf("the data directory has %v, %v", left, err)
	}
	if now, err := os.ReadFile(path); err != nil || strings.Contains(string(now), "press") {
		t.Errorf("the file says %s, %v", now, err)
	}
}
