package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway"
	"sluice/gateway/config"
)

func TestAFreshBoxGetsAConfiguration(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sluice.yaml")
	quiet := slog.New(slog.DiscardHandler)
	if err := begin(path, quiet); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, gateway.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	if c.Web.Listen != firstWeb || c.Web.TLS == nil || c.Store.Dir != filepath.Join(dir, "data") || len(c.MQTT.Listen) != 1 || !c.MQTT.Anonymous || c.Gateway.Name == "" || len(c.Warnings) > 0 {
		t.Errorf("it is %+v", c)
	}
	mine := []byte("gateway: {name: mine}\n")
	if err := os.WriteFile(path, mine, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := begin(path, quiet); err != nil {
		t.Fatal(err)
	}
	if err := initialise([]string{"--config", path}); err == nil {
		t.Error("init has written over a configuration")
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(mine) {
		t.Errorf("the configuration that was there is %q now, %v", now, err)
	}
}

func TestAMissingConfigurationBesideDataIsAMistake(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "slucie.yaml")
	err := begin(path, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "slucie.yaml") {
		t.Errorf("a mistyped name gives %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a configuration was written")
	}
	if err := begin(filepath.Join(dir, "none", "sluice.yaml"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a folder that is not there gives no error")
	}
}

func TestInitTakesAddresses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := initialise([]string{"--config", path, "--web", "127.0.0.1:9", "--mqtt", "127.0.0.1:10"}); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, gateway.Kinds())
	if err != nil || c.Web.Listen != "127.0.0.1:9" || c.MQTT.Listen[0] != "127.0.0.1:10" || c.Web.TLS != nil {
		t.Errorf("it is %+v, %v", c, err)
	}
	if err := initialise([]string{"--config", path + "2", "--web", "nowhere"}); err == nil {
		t.Error("an address that is none was written")
	}
}

func TestTheWelcomeNamesAddressesThatABrowserTakes(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:8080", ":8080", "[::]:8080"} {
		got := welcome(&config.Web{Listen: listen}, "7Q4K")
		if strings.Contains(got, "0.0.0.0") || strings.Contains(got, "[::]") || !strings.Contains(got, ":8080") {
			t.Errorf("at %s it says %q", listen, got)
		}
	}
}

func TestInitKeepsWhatIsThereWhenAsked(t *testing.T) {
	dir := t.TempDir()
	path, data := filepath.Join(dir, "sluice.yaml"), filepath.Join(dir, "elsewhere")
	for range 2 { // a service starts many times
		if err := initialise([]string{"--keep", "--config", path, "--data", data}); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path, gateway.Kinds())
		if err != nil {
			t.Fatal(err)
		}
		if c.Store.Dir != data {
			t.Errorf("the data lies in %s, want %s", c.Store.Dir, data)
		}
	}
	mine := []byte("gateway: {name: mine}\n")
	if err := os.WriteFile(path, mine, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := initialise([]string{"--keep", "--config", path}); err != nil {
		t.Error(err)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(mine) {
		t.Errorf("the configuration that was there is %q now, %v", now, err)
	}
	if err := initialise([]string{"--keep", "--config", filepath.Join(dir, "none", "sluice.yaml")}); err == nil {
		t.Error("a folder that is not there gives no error")
	}
}
