package web

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

const testPassword = "correct horse battery"

// TestPageInABrowser drives the built page in a real browser against a moving fake gateway. With
// SLUICE_WEB_SERVE=host:port it serves that gateway there instead, until interrupted, to work on the
// page by hand.
func TestPageInABrowser(t *testing.T) {
	if address := os.Getenv("SLUICE_WEB_SERVE"); address != "" {
		serveByHand(t, address)
		return
	}
	if testing.Short() {
		t.Skip("a browser takes long")
	}
	for _, need := range []string{"ui/dist/index.html", "ui/node_modules/playwright-core", "/usr/bin/chromium"} {
		if _, err := os.Stat(need); err != nil {
			missingPeer(t, need)
		}
	}
	gateway := newFakeGateway()
	gateway.keeper.cursors = map[string]error{"uplink/old-cloud/readings/#": nil, "mqtt/panel-7": ErrInUse}
	gateway.messages.many = 10_000
	gateway.change = openToAll
	server := newServer(t, gateway, signedUp(t))
	url := run(t, server)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "npm", "run", "--silent", "e2e")
	command.Dir = "ui"
	command.Env = append(os.Environ(), "SLUICE_URL="+url, "SLUICE_PASSWORD="+testPassword)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("the page failed in the browser: %v\n%s", err, out)
	}
}

// openToAll is a RocketMQ listener that anybody reaches, without access keys.
func openToAll(status *Status) {
	keys := false
	status.RocketMQ = &RocketMQ{Listen: []string{"[::]:10911", "127.0.0.1:9876"}, Keys: &keys, TLS: "off", Connections: 4, Received: 1200, Delivered: 1180, Groups: 2, Producers: 1, Waiting: 3}
}

func missingPeer(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("%s is missing: the page is not tried in a browser", what)
}

func serveByHand(t *testing.T, address string) {
	accounts := signedUp(t)
	if os.Getenv("SLUICE_WEB_FRESH") != "" {
		accounts = &fakeAccounts{}
	}
	gateway := newFakeGateway()
	gateway.keeper.cursors = map[string]error{"uplink/old-cloud/readings/#": nil, "mqtt/panel-7": ErrInUse}
	gateway.messages.many = 10_000
	gateway.change = openToAll
	options := fakeOptions(gateway, accounts)
	options.Listen, options.TLS, options.SetupCode, options.Version = address, nil, "7Q4K-2MXD", "0.1.0"
	server, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Run(t.Context()); err != nil && err != http.ErrServerClosed {
		t.Fatal(err)
	}
}
