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
	for _, u := range []store.User{{"zoe", "viewer", []byte("h1")}, {"admin", "viewer", nil}, {"admin", "administrator", []byte("h2")}} {
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
	got, err := a.Revisions(2)
	if err != nil || len(got) != 2 || got[0].Text != "newest" || got[0].Time == 0 || got[1].Time != n {
		t.Errorf("got %+v, %v", got, err)
	}
	if all, err := a.Revisions(1 << 20); err != nil || len(all) != 1000 {
		t.Errorf("%d revisions are kept, %v, want 1000", len(all), err)
	}
}
