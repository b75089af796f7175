package store_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"testing"

	"sluice/store"
)

func TestWhoIsSignedInIsKeptUntilTheUserChanges(t *testing.T) {
	dir := t.TempDir()
	a, err := store.OpenAdmin(dir)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := a.SignedIn(); err != nil || len(list) != 0 {
		t.Errorf("a fresh database has %+v, %v", list, err)
	}
	session := func(n byte, user string) store.SignedIn {
		return store.SignedIn{Hash: bytes.Repeat([]byte{n}, 32), User: user, Created: 1, Used: 2, Expires: 3}
	}
	all := []store.SignedIn{session(1, "ann"), session(2, "bo"), session(3, "ann"), session(4, "cy")}
	for _, user := range []string{"ann", "bo", "cy"} {
		err = errors.Join(err, a.PutUser(store.User{Name: user, Role: "viewer"}))
	}
	if err = errors.Join(err, a.PutSignedIn(all), a.Close()); err != nil {
		t.Fatal(err)
	}
	if a, err = store.OpenAdmin(dir); err != nil {
		t.Fatal(err)
	}
	if list, err := a.SignedIn(); err != nil || !reflect.DeepEqual(list, all) {
		t.Errorf("after a restart they are %+v, %v", list, err)
	}
	if err := a.PutUser(store.User{Name: "ann", Role: "viewer", PasswordHash: []byte("new")}); err != nil {
		t.Fatal(err)
	}
	if known, err := a.RemoveUser("bo"); err != nil || !known {
		t.Fatal(known, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = store.OpenAdmin(dir); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if list, err := a.SignedIn(); err != nil || !reflect.DeepEqual(list, all[3:]) {
		t.Errorf("with a new password of ann and without bo they are %+v, %v", list, err)
	}
}

func TestABackupSignsNobodyIn(t *testing.T) {
	dir := t.TempDir()
	log, err := store.Open(store.Options{Dir: filepath.Join(dir, "log")})
	if err != nil {
		t.Fatal(err)
	}
	a, err := store.OpenAdmin(filepath.Join(dir, "admin"))
	if err != nil {
		t.Fatal(err)
	}
	hash := bytes.Repeat([]byte("\xa5"), 32)
	err = errors.Join(a.PutUser(store.User{Name: "ann", Role: "viewer"}), a.PutSignedIn([]store.SignedIn{{Hash: hash, User: "ann", Expires: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if _, err := log.BackupWith(context.Background(), &backup, a, nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(log.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(dir, "again")
	if _, err := store.RestoreWith(context.Background(), filepath.Join(again, "log"), filepath.Join(again, "admin"), &backup, nil); err != nil {
		t.Fatal(err)
	}
	if a, err = store.OpenAdmin(filepath.Join(again, "admin")); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, known, err := a.User("ann"); err != nil || !known {
		t.Errorf("the user came with the backup: %v, %v", known, err)
	}
	if list, err := a.SignedIn(); err != nil || len(list) != 0 {
		t.Errorf("the backup brought sessions: %+v, %v", list, err)
	}
}
