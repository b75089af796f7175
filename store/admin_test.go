package store_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice/store"
)

func TestAdminKeepsUsersAndRevisions(t *testing.T) {
	dir := t.TempDir()
	admin := func() *store.Admin {
		a, err := store.OpenAdmin(dir)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := admin()
	if _, err := store.OpenAdmin(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second open gives %v", err)
	}
	if _, known, err := a.User("admin"); known || err != nil {
		t.Errorf("an unknown user gives %v, %v", known, err)
	}
	for _, u := range []store.User{{Name: "zoe", Role: "viewer", PasswordHash: []byte("h1")}, {Name: "admin", Role: "viewer"}, {Name: "admin", Role: "administrator", PasswordHash: []byte("h2")}} {
		if err := a.PutUser(u); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.PutUser(store.User{}); err == nil {
		t.Error("a user without a name was taken")
	}
	const n = 1010
	for i := range n {
		if err := a.AddRevision(store.Revision{Time: int64(i + 1), Author: "admin", Text: fmt.Sprint("config ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.AddRevision(store.Revision{Text: strings.Repeat("x", 1<<20)}); err == nil {
		t.Error("a revision of 1 MiB was taken")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	a = admin()
	defer a.Close()
	if u, known, err := a.User("admin"); !known || err != nil || u.Role != "administrator" || string(u.PasswordHash) != "h2" {
		t.Errorf("got %+v, %v, %v", u, known, err)
	}
	if users, err := a.Users(); err != nil || len(users) != 2 || users[0].Name != "admin" {
		t.Errorf("got %+v, %v", users, err)
	}
	if err := a.AddRevision(store.Revision{Author: "zoe", Text: "newest"}); err != nil {
		t.Fatal(err)
	}
	got, err := a.Revisions(0, 2)
	if err != nil || len(got) != 2 || got[0].Text != "newest" || got[0].Time == 0 || got[1].Time != n {
		t.Errorf("got %+v, %v", got, err)
	}
	if all, err := a.Revisions(0, 1<<20); err != nil || len(all) != 1000 {
		t.Errorf("%d revisions are kept, %v, want 1000", len(all), err)
	}
}

func TestAuditRecordsArePaged(t *testing.T) {
	dir := t.TempDir()
	a, err := store.OpenAdmin(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := a.AddAudit(store.Audit{User: "admin", Address: "127.0.0.1", Action: "sign-in", Subject: strings.Repeat(fmt.Sprint(i), 300)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = store.OpenAdmin(dir); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.AddAudit(store.Audit{Time: 77, Action: "backup"}); err != nil {
		t.Fatal(err)
	}
	first, err := a.Audits(0, 2, nil)
	if err != nil || len(first) != 2 || first[0].Number != 6 || first[0].Time != 77 || first[1].Number != 5 || len(first[1].Subject) != 256 || first[1].Time == 0 {
		t.Errorf("the newest are %+v, %v", first, err)
	}
	rest, err := a.Audits(first[1].Number, 10, nil)
	if err != nil || len(rest) != 4 || rest[0].Number != 4 || rest[3].Number != 1 {
		t.Errorf("before them are %+v, %v", rest, err)
	}
	if none, err := a.Audits(1, 10, nil); err != nil || len(none) != 0 {
		t.Errorf("before the first is %+v, %v", none, err)
	}
}

func TestTheSameConfigurationAgainIsNoRevision(t *testing.T) {
	a, err := store.OpenAdmin(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, text := range []string{"a", "a", "b", "a"} {
		if err := a.AddRevision(store.Revision{Author: "file", Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := a.Revisions(0, 10)
	if err != nil || len(list) != 3 || list[0].Number != 3 {
		t.Errorf("got %+v, %v, want three", list, err)
	}
	if r, known, err := a.Revision(2); !known || err != nil || r.Text != "b" {
		t.Errorf("revision 2 is %+v, %v, %v", r, known, err)
	}
	if _, known, err := a.Revision(4); known || err != nil {
		t.Errorf("revision 4: %v, %v", known, err)
	}
}
