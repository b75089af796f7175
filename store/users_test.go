package store_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice/store"
)

func TestUsersAndTokensThatWereRemovedStayAway(t *testing.T) {
	dir := t.TempDir()
	open := func() *store.Admin {
		t.Helper()
		a, err := store.OpenAdmin(dir)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := open()
	for _, name := range []string{"ann", "bo"} {
		if err := a.PutUser(store.User{Name: name, Role: "viewer"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.PutTokens([]store.Token{{Name: "scada", Role: "viewer", Hash: [32]byte{1}}, {Name: "wall", Hash: [32]byte{2}, Expires: 7}}); err != nil {
		t.Fatal(err)
	}
	if known, err := a.RemoveUser("ann"); !known || err != nil {
		t.Errorf("removing gives %v, %v", known, err)
	}
	for _, name := range []string{"ann", "nobody"} {
		if known, err := a.RemoveUser(name); known || err != nil {
			t.Errorf("removing %s, who is not there, gives %v, %v", name, known, err)
		}
	}
	if err := a.PutTokens([]store.Token{{Name: "wall", Hash: [32]byte{2}, Expires: 7}}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = open()
	defer a.Close()
	if _, known, err := a.User("ann"); known || err != nil {
		t.Errorf("after a restart ann is known: %v, %v", known, err)
	}
	if users, err := a.Users(); err != nil || len(users) != 1 || users[0].Name != "bo" {
		t.Errorf("users are %+v, %v", users, err)
	}
	if tokens, err := a.Tokens(); err != nil || len(tokens) != 1 || tokens[0].Hash != [32]byte{2} || tokens[0].Expires != 7 {
		t.Errorf("tokens are %+v, %v", tokens, err)
	}
	if err := a.PutUser(store.User{Name: "ann", Role: "operator"}); err != nil {
		t.Fatal(err)
	}
	if u, known, err := a.User("ann"); !known || err != nil || u.Role != "operator" {
		t.Errorf("made again ann is %+v, %v, %v", u, known, err)
	}
}

func TestAuditsKeepStatesAndAreFiltered(t *testing.T) {
	a, err := store.OpenAdmin(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for i := range 6 {
		audit := store.Audit{User: fmt.Sprint("user", i%2), Action: "user changed", Before: "a", After: strings.Repeat("é", 2000)}
		if err := a.AddAudit(audit); err != nil {
			t.Fatal(err)
		}
	}
	list, err := a.Audits(0, 2, func(a store.Audit) bool { return a.User == "user0" })
	if err != nil || len(list) != 2 || list[0].Number != 5 || list[1].Number != 3 {
		t.Fatalf("got %+v, %v", list, err)
	}
	if list[0].Before != "a" || list[0].After != strings.Repeat("é", 1024) {
		t.Errorf("the states are %q and %d bytes", list[0].Before, len(list[0].After))
	}
}

func TestAnAuditRecordHasRoomForSomeChanges(t *testing.T) {
	a, err := store.OpenAdmin(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var changes []store.AuditChange
	for i := range 5000 {
		changes = append(changes, store.AuditChange{Path: fmt.Sprint("devices.press.points.p", i, strings.Repeat(".x", 300)), Before: "1", After: strings.Repeat("é", 150)})
	}
	if err := a.AddAudit(store.Audit{User: "zoe", Action: "configuration applied", Changes: changes}); err != nil {
		t.Fatal(err)
	}
	list, err := a.Audits(0, 1, nil)
	if err != nil || len(list) != 1 || len(list[0].Changes) != 50 || list[0].MoreChanges != 4950 {
		t.Fatalf("got %+v, %v", list, err)
	}
	if c := list[0].Changes[49]; !strings.HasPrefix(c.Path, "devices.press.points.p49.x") || len(c.Path) != 256 || c.Before != "1" || c.After != strings.Repeat("é", 100)+"…" {
		t.Errorf("the last change is %+v", c)
	}
	if len(changes[0].After) != 300 {
		t.Error("the caller's changes were cut")
	}
}
