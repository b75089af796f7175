package gateway

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/journal"
	"sluice/store"
	"sluice/web"
)

// restartable makes a gateway that can be started anew, and runs it until the returned function has seen it end.
func restartable(t *testing.T, dir, text string) (g *Gateway, end func(stop bool) error) {
	t.Helper()
	records := journal.New()
	g, err := New(Options{
		Config: parse(t, dir, text), Version: "test", AdminPassword: "correct horse", Restarts: true,
		Journal: records, Log: slog.New(records.Handler(slog.DiscardHandler)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	return g, func(stop bool) error {
		if stop {
			cancel()
		}
		defer cancel()
		return <-ended
	}
}

func TestARestoredBackupTakesTheLogsPlace(t *testing.T) {
	address, dir := freePort(t), t.TempDir()
	text := fmt.Sprintf("{store: {dir: ./data}, web: {listen: \"%s\"}}", address)
	g, end := restartable(t, dir, text)
	c := signIn(t, address)
	published(t, g, 100)
	status, backup := c.ask("POST", "/backup", "")
	if status != http.StatusOK {
		t.Fatalf("backup answers %d", status)
	}
	published(t, g, 50)
	epoch := g.store.Stats().Epoch

	if status, body := c.ask("POST", "/restore", string(backup[:len(backup)-10])); status != http.StatusUnprocessableEntity {
		t.Errorf("half a backup answers %d: %s", status, body)
	}
	if _, body := c.ask("GET", "/restore", ""); !strings.Contains(string(body), `"state":"failed"`) {
		t.Errorf("afterwards it is %s", body)
	}
	status, body := c.ask("POST", "/restore?keep=true", string(backup))
	if status != http.StatusAccepted || !strings.Contains(string(body), `"state":"ready"`) {
		t.Fatalf("restore answers %d: %s", status, body)
	}
	if err := end(false); !errors.Is(err, ErrRestarting) {
		t.Fatalf("the gateway ended with %v", err)
	}

	g, end = restartable(t, dir, text)
	c = signIn(t, address)
	if got := g.store.Stats(); got.Messages != 100 || got.Epoch <= epoch {
		t.Errorf("%d messages in epoch %d, was %d", got.Messages, got.Epoch, epoch)
	}
	var shown web.Restore
	if _, body := c.ask("GET", "/restore", ""); json.Unmarshal(body, &shown) != nil || shown.State != "trying" || shown.By != "admin" || shown.Messages != 100 {
		t.Errorf("progress is %s", body)
	}
	if err := end(true); err != nil {
		t.Error(err)
	}
	if err := store.Prove(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	if last, _, err := store.LastReplacement(filepath.Join(dir, "data")); err != nil || last.State != "done" {
		t.Errorf("%+v, %v", last, err)
	}
}

func TestALogThatDoesNotOpenGivesWay(t *testing.T) {
	address, dir := freePort(t), t.TempDir()
	text := fmt.Sprintf("{store: {dir: ./data}, web: {listen: \"%s\"}}", address)
	g, end := restartable(t, dir, text)
	c := signIn(t, address)
	published(t, g, 7)
	_, backup := c.ask("POST", "/backup", "")
	published(t, g, 5)
	if status, body := c.ask("POST", "/restore", string(backup)); status != http.StatusAccepted {
		t.Fatalf("restore answers %d: %s", status, body)
	}
	if err := end(false); !errors.Is(err, ErrRestarting) {
		t.Fatal(err)
	}
	// A folder where the database of users should be a folder of its own: it cannot be opened.
	staged := filepath.Join(dir, "data", "restored", "admin")
	if err := errors.Join(os.RemoveAll(staged), os.WriteFile(staged, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	g, end = restartable(t, dir, text)
	c = signIn(t, address)
	if got := g.store.Stats().Messages; got != 12 {
		t.Errorf("%d messages are there, want those of the log before", got)
	}
	if _, body := c.ask("GET", "/restore", ""); !strings.Contains(string(body), `"state":"undone"`) {
		t.Errorf("progress is %s", body)
	}
	if err := end(true); err != nil {
		t.Error(err)
	}
}

func TestNoSecretLeavesTheGateway(t *testing.T) {
	address, dir := freePort(t), t.TempDir()
	secrets := []string{`quo"ted\secret`, "plain-secret-1", "块秘密块秘密"}
	g, end := restartable(t, dir, fmt.Sprintf(`
store: {dir: ./data}
web: {listen: "%s"}
rocketmq:
  listen: 127.0.0.1:0
  nameserver: ""
  access:
    - {access_key: a, secret_key: 'quo"ted\secret'}
    - access_key: b
      secret_key: plain-secret-1
    - {access_key: c, "secret_key": "块秘密块秘密"}
`, address))
	c := signIn(t, address)
	for _, s := range secrets {
		g.log.Error("somebody said "+s, "err", errors.New("wrong: "+s))
	}
	status, body := c.ask("GET", "/diagnostics", "")
	bundle, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if status != http.StatusOK || err != nil {
		t.Fatalf("%d, %v", status, err)
	}
	_, logs := c.ask("GET", "/logs", "")
	all := logs
	for _, f := range bundle.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	for _, s := range append(secrets, `quo\"ted\\secret`, "correct horse") {
		if bytes.Contains(all, []byte(s)) {
			t.Errorf("%s is shown", s)
		}
	}
	if !bytes.Contains(logs, []byte("somebody said ***")) {
		t.Errorf("the log is %s", logs)
	}
	if err := end(true); err != nil {
		t.Error(err)
	}
}
