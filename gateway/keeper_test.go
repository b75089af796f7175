package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
	"sluice/web"
)

// client asks a gateway's API as its administrator.
type client struct {
	t     *testing.T
	base  string
	token string
}

func signIn(t *testing.T, address string) *client {
	t.Helper()
	c := &client{t: t, base: "http://" + address + "/api/v1"}
	var opened struct{ Token string }
	until(t, "the page answers", func() bool {
		status, body := c.ask("POST", "/session", `{"user":"admin","password":"correct horse"}`)
		return status == http.StatusOK && json.Unmarshal(body, &opened) == nil
	})
	c.token = opened.Token
	return c
}

// at is the same client at another address.
func (c *client) at(address string) *client {
	return &client{t: c.t, base: "http://" + address + "/api/v1", token: c.token}
}

func (c *client) ask(method, path, body string) (status int, answer []byte) {
	c.t.Helper()
	return c.send(method, path, body, "")
}

func (c *client) put(path, body, etag string) (status int, answer []byte) {
	c.t.Helper()
	return c.send("PUT", path, body, etag)
}

func (c *client) send(method, path, body, etag string) (status int, answer []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Close = true // so that no connection outlives the test
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if etag != "" {
		request.Header.Set("If-Match", `"`+etag+`"`)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		c.t.Errorf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, answer
}

func published(t *testing.T, g *Gateway, n int) {
	t.Helper()
	durable := make(chan error, n)
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { durable <- err })
	for i := range n {
		m := message.Message{Topic: "readings/g/d", Payload: fmt.Appendf(nil, "%d", i), QoS: 1}
		if err := g.broker.Publish(t.Context(), &m, ack, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		if err := <-durable; err != nil {
			t.Fatal(err)
		}
	}
}

func TestBackupOverTheAPIIsRestored(t *testing.T) {
	address := freePort(t)
	dir := t.TempDir()
	g := newGateway(t, parse(t, dir, fmt.Sprintf("{store: {dir: ./data}, web: {listen: \"%s\"}}", address)))
	start(t, g.Run)
	c := signIn(t, address)
	published(t, g, 500)
	status, stream := c.ask("POST", "/backup", "")
	if status != http.StatusOK {
		t.Fatalf("backup answers %d: %s", status, stream)
	}
	published(t, g, 10) // behind it
	var progress web.Backup
	_, body := c.ask("GET", "/backup", "")
	if err := json.Unmarshal(body, &progress); err != nil || progress.State != "done" || progress.Messages != 500 || progress.Bytes != int64(len(stream)) || progress.Finished == nil {
		t.Errorf("progress is %s, want 500 messages and %d bytes", body, len(stream))
	}
	into := filepath.Join(dir, "restored")
	restored, err := store.Restore(t.Context(), into, bytes.NewReader(stream), nil)
	if err != nil {
		t.Fatal(err)
	}
	if epoch, _, err := g.broker.Sequence("d"); err != nil || restored.Epoch != epoch || restored.NewEpoch <= epoch {
		t.Errorf("epoch %d became %d, %v", epoch, restored.NewEpoch, err)
	}
	if report := storetest.Check(t, into); report.Messages != 500 {
		t.Errorf("restored %d messages", report.Messages)
	}

	var audit struct{ Items []web.Audit }
	if _, body := c.ask("GET", "/audit", ""); json.Unmarshal(body, &audit) != nil || len(audit.Items) != 2 || audit.Items[0].Action != "backup" || audit.Items[1].Action != "sign-in" {
		t.Errorf("audit is %s", body)
	}
}

func TestOnlyOneBackupAtATime(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), `{store: {dir: ./data}, web: {listen: ""}}`))
	start(t, g.Run)
	published(t, g, 3)
	k := keeper{g}
	if got := k.BackupProgress().State; got != "none" {
		t.Errorf("before the first backup the state is %s", got)
	}
	err := k.Backup(t.Context(), writerFunc(func([]byte) (int, error) {
		if got := k.BackupProgress(); got.State != "running" || got.Started == nil {
			t.Errorf("while it runs it is %+v", got)
		}
		if err := k.Backup(t.Context(), io.Discard); !errors.Is(err, web.ErrBusy) {
			t.Errorf("a second one gives %v", err)
		}
		return 0, errors.New("the client has gone")
	}))
	if got := k.BackupProgress(); err == nil || got.State != "failed" || !strings.Contains(got.Error, "gone") {
		t.Errorf("it ends with %v, %+v", err, got)
	}
	if err := k.Backup(t.Context(), io.Discard); err != nil {
		t.Errorf("the next one gives %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestCursorsOfUplinksThatWereRemovedAreDropped(t *testing.T) {
	address := freePort(t)
	dir := t.TempDir()
	text := fmt.Sprintf("store: {dir: ./data}\nweb: {listen: \"%s\"}\n", address)
	with := text + fmt.Sprintf("uplinks:\n  - {name: cloud, driver: mqtt, address: \"tcp://%s\", forward: [{from: \"readings/#\", to: \"p/{topic}\"}]}\n", freePort(t))
	g := newGateway(t, parse(t, dir, with))
	start(t, g.Run)
	c := signIn(t, address)
	published(t, g, 20)
	const name = "uplink/cloud/readings/#"
	path := "/log/cursors/" + url.PathEscape(name)
	shown := func() web.Cursor {
		for _, c := range g.Status().Log.Cursors {
			if c.Name == name {
				return c
			}
		}
		return web.Cursor{}
	}
	until(t, "the cursor is there", func() bool { return shown().Messages == 20 })
	if got := shown(); !got.InUse || got.Bytes == 0 || got.Oldest == nil || got.IdleSince != nil || got.Expires != nil {
		t.Errorf("in use it is %+v", got)
	}
	if status, body := c.ask("DELETE", path, ""); status != http.StatusConflict {
		t.Errorf("dropping it answers %d: %s", status, body)
	}
	if err := g.Apply(parse(t, dir, text), "zoe"); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got.InUse || got.IdleSince == nil || got.Messages != 20 || got.Expires != nil {
		t.Errorf("without its uplink it is %+v", got)
	}
	if status, body := c.ask("DELETE", path, ""); status != http.StatusNoContent {
		t.Errorf("dropping it answers %d: %s", status, body)
	}
	if status := g.Status(); shown() != (web.Cursor{}) || status.Log.CursorsTotal != 1 { // the other waits for commands
		t.Errorf("there still are %+v", status.Log.Cursors)
	}
	if status, _ := c.ask("DELETE", path, ""); status != http.StatusNotFound {
		t.Errorf("dropping it again answers %d", status)
	}
}

func TestAppliedConfigurationsBecomeRevisions(t *testing.T) {
	dir := t.TempDir()
	const first, second = "{store: {dir: ./data}, web: {listen: \"\"}}", "{store: {dir: ./data}, web: {listen: \"\"}} # zoe was here"
	g := newGateway(t, parse(t, dir, first))
	for range 2 { // the second changes nothing
		if err := g.Apply(parse(t, dir, second), "zoe"); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Apply(parse(t, dir, strings.Replace(second, "./data", "./other", 1)), BySighup); !errors.Is(err, ErrRestart) {
		t.Errorf("a change that needs a restart gives %v", err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	g = newGateway(t, parse(t, dir, second)) // a restart is no revision
	defer g.Close()
	k := keeper{g}
	list, err := k.Revisions(0, 10)
	if err != nil || len(list) != 2 || list[0].Author != "zoe" || list[1].Author != ByFile || list[1].Bytes != len(first) || list[0].Time.IsZero() {
		t.Errorf("revisions are %+v, %v", list, err)
	}
	if r, err := k.Revision(2); err != nil || r.Text != second {
		t.Errorf("revision 2 is %+v, %v", r, err)
	}
	if _, err := k.Revision(3); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("revision 3 gives %v", err)
	}
}

func TestRevisionsAreShownWithoutSecrets(t *testing.T) {
	for _, text := range []string{
		"secret_key: HUSH", "secret_key: \"HU,SH\\\"HUSH\"", "secret_key: 'HU}SH'", "{name: a, secret_key: HUSH, more: 1}",
		"\"secret_key\" : HUSH HUSH # note", "secret_key: |\n    HUSH\n    HUSH\nnext: 1", "secret_key:\n    HUSH",
		"password: HUSH", "{name: outfall, password: \"HUSH\"}",
	} {
		if got := withoutSecrets(text); strings.Contains(got, "HU") || strings.Contains(got, "SH") || !strings.Contains(got, "***") {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
	for _, text := range []string{"name: secret_keyhole", "password_file: /etc/x"} {
		if got := withoutSecrets(text); got != text {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}
