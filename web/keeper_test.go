package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeKeeper keeps records in memory, newest first.
type fakeKeeper struct {
	mu      sync.Mutex // guards what follows
	audit   []Audit
	broken  error
	cursors map[string]error // what dropping gives
	dropped map[string]bool
	write   func(ctx context.Context, to io.Writer) error
}

func (k *fakeKeeper) Backup(ctx context.Context, to io.Writer) error {
	k.mu.Lock()
	write, broken := k.write, k.broken
	k.mu.Unlock()
	if broken != nil {
		return broken
	}
	return write(ctx, to)
}

func (k *fakeKeeper) BackupProgress() Backup {
	return Backup{State: "running", Messages: 5, Total: 10, Bytes: 100}
}

func (k *fakeKeeper) DropCursor(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err, known := k.cursors[name]
	if !known {
		return ErrUnknown
	}
	if err == nil {
		if k.dropped == nil {
			k.dropped = make(map[string]bool)
		}
		k.dropped[name] = true
	}
	return err
}

// kept leaves out the cursors that were dropped.
func (k *fakeKeeper) kept(cursors []Cursor) []Cursor {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(cursors, func(c Cursor) bool { return k.dropped[c.Name] })
}

func (k *fakeKeeper) Record(a Audit) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	a.Number = uint64(len(k.audit) + 1)
	k.audit = append([]Audit{a}, k.audit...)
	return k.broken
}

func (k *fakeKeeper) Audits(before uint64, limit int) ([]Audit, error) {
	return k.FindAudits(AuditFilter{}, before, limit)
}

func (k *fakeKeeper) FindAudits(wanted AuditFilter, before uint64, limit int) ([]Audit, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Audit
	for _, a := range k.audit {
		if (before == 0 || a.Number < before) && len(list) < limit && wanted.Wants(a) {
			list = append(list, a)
		}
	}
	return list, k.broken
}

func (k *fakeKeeper) Revisions(uint64, int) ([]Revision, error) {
	return []Revision{{Number: 1, Author: "file", Bytes: 3}}, nil
}

func (k *fakeKeeper) Revision(number uint64) (RevisionText, error) {
	if number != 1 {
		return RevisionText{}, ErrUnknown
	}
	return RevisionText{Revision{Number: 1, Author: "file", Bytes: 3}, "a: 1"}, nil
}

func TestOnlyAdministratorsKeepTheLog(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	viewer := s.sessions.open("zoe", "viewer")
	for _, c := range [][2]string{
		{"POST", "/api/v1/backup"}, {"GET", "/api/v1/backup"}, {"DELETE", "/api/v1/log/cursors/a"},
		{"GET", "/api/v1/revisions"}, {"GET", "/api/v1/revisions/1"}, {"GET", "/api/v1/audit"},
	} {
		wantProblem(t, ask(s, c[0], c[1], ""), http.StatusUnauthorized)
		wantProblem(t, ask(s, c[0], c[1], "", "Authorization", "Bearer "+viewer), http.StatusForbidden)
	}
	// The cookie alone, as a page from elsewhere would make a browser send it, changes nothing.
	cookie := cookieName + "=" + tokenOf(s)
	wantProblem(t, ask(s, "POST", "/api/v1/backup", "", "Cookie", cookie), http.StatusForbidden)
}

func TestBackupsAreDownloaded(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	base := run(t, s)
	want := strings.Repeat("0123456789", 100_000)
	gateway.keeper.write = func(_ context.Context, to io.Writer) error {
		_, err := io.WriteString(to, want)
		return err
	}
	got, err := fetchBackup(t, base, s)
	if err != nil || got != want {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
	}
	if list, _ := gateway.keeper.Audits(0, 10); len(list) != 1 || list[0].Action != "backup" || list[0].User != administrator || list[0].Address != "127.0.0.1" {
		t.Errorf("audit records %+v", list)
	}
	if p := decode[Backup](t, ask(s, "GET", "/api/v1/backup", "", bearer(s)...)); p.State != "running" || p.Messages != 5 {
		t.Errorf("progress %+v", p)
	}

	// What fails on its way must not look like the whole.
	gateway.keeper.write = func(_ context.Context, to io.Writer) error {
		if _, err := io.WriteString(to, want); err != nil {
			return err
		}
		return errors.New("disk is gone")
	}
	if got, err := fetchBackup(t, base, s); err == nil {
		t.Errorf("half a backup came as %d whole bytes", len(got))
	}
	gateway.keeper.broken = ErrBusy
	wantProblem(t, ask(s, "POST", "/api/v1/backup", "", bearer(s)...), http.StatusConflict)
	gateway.keeper.broken = errors.New("disk is gone")
	wantProblem(t, ask(s, "POST", "/api/v1/backup", "", bearer(s)...), http.StatusInternalServerError)
}

// fetchBackup downloads a backup over a real connection.
func fetchBackup(t *testing.T, base string, s *Server) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "POST", base+"/api/v1/backup", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+tokenOf(s))
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", response.StatusCode)
	}
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func TestBackupsEndWithTheServer(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	base := run(t, s)
	gateway.keeper.write = func(ctx context.Context, to io.Writer) error {
		if _, err := io.WriteString(to, "begun"); err != nil {
			return err
		}
		s.stopOnce.Do(func() { close(s.stopping) }) // as Run does when it ends
		<-ctx.Done()
		return ctx.Err()
	}
	if got, err := fetchBackup(t, base, s); err == nil {
		t.Errorf("got %q, want it to be cut off", got)
	}
}

func TestCursorsAreDropped(t *testing.T) {
	gateway := newFakeGateway()
	gateway.keeper.cursors = map[string]error{"uplink/old/readings/#": nil, "uplink/cloud/a": ErrInUse, "/b": errors.New("disk is gone")}
	s := newServer(t, gateway, signedUp(t))
	for path, want := range map[string]int{
		"uplink/cloud/a": http.StatusConflict, "unknown": http.StatusNotFound, "": http.StatusNotFound, "/b": http.StatusInternalServerError,
	} {
		wantProblem(t, ask(s, "DELETE", "/api/v1/log/cursors/"+path, "", bearer(s)...), want)
	}
	for _, path := range []string{"uplink/old/readings/%23", "uplink%2Fold%2Freadings%2F%23"} {
		if got := ask(s, "DELETE", "/api/v1/log/cursors/"+path, "", bearer(s)...); got.Code != http.StatusNoContent {
			t.Errorf("%s: status %d, body %s", path, got.Code, got.Body)
		}
	}
	if list, _ := gateway.keeper.Audits(0, 10); len(list) != 2 || list[0].Action != "cursor dropped" || list[0].Subject != "uplink/old/readings/#" {
		t.Errorf("audit records %+v", list)
	}
}

func TestAuditIsReadInPages(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	for range 2 {
		if got := ask(s, "POST", "/api/v1/session", credentials(testPassword)); got.Code != http.StatusOK {
			t.Fatalf("sign-in: %d", got.Code)
		}
	}
	ask(s, "POST", "/api/v1/session", credentials("wrong password"))
	first := decode[listPage[Audit]](t, ask(s, "GET", "/api/v1/audit?limit=1", "", bearer(s)...))
	if len(first.Items) != 1 || first.Items[0].Number != 2 || first.Items[0].Action != "sign-in" || first.Before != 2 {
		t.Errorf("the first page is %+v", first)
	}
	second := decode[listPage[Audit]](t, ask(s, "GET", "/api/v1/audit?limit=1&before=2", "", bearer(s)...))
	if len(second.Items) != 1 || second.Items[0].Number != 1 || second.Before != 0 {
		t.Errorf("the second page is %+v", second)
	}
	for _, query := range []string{"limit=0", "limit=201", "limit=x", "before=-1", "before=0"} {
		p := wantProblem(t, ask(s, "GET", "/api/v1/audit?"+query, "", bearer(s)...), http.StatusUnprocessableEntity)
		if p.Field != query[:strings.IndexByte(query, '=')] {
			t.Errorf("%s: the refusal names %q", query, p.Field)
		}
	}
	gateway.keeper.broken = errors.New("disk is gone")
	wantProblem(t, ask(s, "GET", "/api/v1/audit", "", bearer(s)...), http.StatusInternalServerError)
	// Nobody is kept out because the record cannot be written.
	if got := ask(s, "POST", "/api/v1/session", credentials(testPassword)); got.Code != http.StatusOK {
		t.Errorf("sign-in without audit: %d", got.Code)
	}
}

func TestRevisionsAreShown(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	page := decode[listPage[Revision]](t, ask(s, "GET", "/api/v1/revisions", "", bearer(s)...))
	if len(page.Items) != 1 || page.Items[0].Author != "file" {
		t.Errorf("got %+v", page)
	}
	if r := decode[RevisionText](t, ask(s, "GET", "/api/v1/revisions/1", "", bearer(s)...)); r.Text != "a: 1" || r.Number != 1 {
		t.Errorf("got %+v", r)
	}
	for _, number := range []string{"2", "x", "-1"} {
		wantProblem(t, ask(s, "GET", "/api/v1/revisions/"+number, "", bearer(s)...), http.StatusNotFound)
	}
}
