package store_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"sluice/store"
)

func TestTheSetUpIsKept(t *testing.T) {
	dir := t.TempDir()
	a, err := store.OpenAdmin(dir)
	if err != nil {
		t.Fatal(err)
	}
	if setup, err := a.Setup(); err != nil || !reflect.DeepEqual(setup, store.Setup{}) {
		t.Errorf("a fresh database has %+v, %v", setup, err)
	}
	want := store.Setup{Done: []string{"time"}, Skipped: []string{"uplink"}, Draft: json.RawMessage(`{"devices":[1]}`), Given: []byte("hash")}
	if got, err := a.ChangeSetup(func(s *store.Setup) { *s = want }); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the change gives %+v, %v", got, err)
	}
	large := json.RawMessage(`"` + strings.Repeat("x", 300<<10) + `"`)
	if _, err := a.ChangeSetup(func(s *store.Setup) { s.Draft = large }); err == nil {
		t.Error("a draft of 300 KiB was taken")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = store.OpenAdmin(dir); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got, err := a.Setup(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart it is %+v, %v", got, err)
	}
	if got, err := a.ChangeSetup(func(s *store.Setup) { s.Draft = json.RawMessage("null") }); err != nil || got.Draft != nil {
		t.Errorf("a draft of null gives %q, %v", got.Draft, err)
	}
}
