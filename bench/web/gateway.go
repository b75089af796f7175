package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sluice/bench/measure"
)

const (
	gatewayName = "bench"
	password    = "bench-password-of-a-day"
)

// gateway is one that runs, and a session with it.
type gateway struct {
	process *measure.Process
	base    string
	token   string
}

// start runs a gateway in dir with its page at a free address and the rest of its configuration as given.
func start(ctx context.Context, binary, dir, rest string) (*gateway, error) {
	address, err := measure.FreeAddress()
	if err != nil {
		return nil, err
	}
	return startAt(ctx, binary, dir, address, fmt.Sprintf("web: {listen: %q}\n%s", address, rest))
}

func startAt(ctx context.Context, binary, dir, address, rest string) (*gateway, error) {
	file := filepath.Join(dir, "sluice.yaml")
	config := fmt.Sprintf("gateway: {name: %s}\nstore: {dir: %q, limit: 32GiB}\n%s", gatewayName, logDir(dir), rest)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	process, err := measure.Start("the gateway", dir, filepath.Join(dir, "log"), []string{"SLUICE_ADMIN_PASSWORD=" + password}, binary, "run", "--config", file)
	if err != nil {
		return nil, err
	}
	g := &gateway{process: process, base: "http://" + address}
	if err := process.Until(ctx, func() error { return g.signIn(ctx) }); err != nil {
		return nil, err
	}
	// Else a page that is opened leads through the first steps with the gateway.
	if err := g.send(ctx, http.MethodPut, "/api/v1/setup/checklist", map[string]bool{"dismissed": true}, nil); err != nil {
		process.Kill()
		return nil, err
	}
	return g, nil
}

func logDir(dir string) string { return filepath.Join(dir, "data") }

func (g *gateway) signIn(ctx context.Context) error {
	var opened struct{ Token string }
	err := g.send(ctx, http.MethodPost, "/api/v1/session", map[string]string{"user": "admin", "password": password}, &opened)
	g.token = opened.Token
	return err
}

// program makes a token for a program, which may look.
func (g *gateway) program(ctx context.Context) (string, error) {
	var made struct{ Token string }
	err := g.send(ctx, http.MethodPost, "/api/v1/tokens", map[string]string{"name": "bench", "role": "viewer"}, &made)
	return made.Token, err
}

// send sends JSON and reads the answer where it is wanted.
func (g *gateway) send(ctx context.Context, method, path string, what, answer any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, g.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-Requested-With", "sluice")
	if g.token != "" {
		request.Header.Set("Authorization", "Bearer "+g.token)
	}
	got, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if got.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s is answered %s", method, path, got.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(got.Body).Decode(answer)
}
