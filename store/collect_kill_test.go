package store

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sluice/gateway/message"
)

// A kill between the collection of a file and its removal leaves the file with a count of 0. It is looked
// at again, and should it have something alive after all, that is kept.
func TestFileOfAnInterruptedCollectionIsRemoved(t *testing.T) {
	dir := t.TempDir()
	s := reopen(t, dir, nil)
	const blocks = 5
	for i := range blocks {
		m := message.Message{Topic: "t", Payload: make([]byte, 60<<10), Device: "press", Seq: uint64(i + 1)}
		rand.Read(m.Payload)
		if err := s.Append(t.Context(), &m, nil, 0); err != nil {
			t.Fatal(err)
		}
		for s.commitNext() {
		}
	}
	want := positions(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	discard, err := os.OpenFile(filepath.Join(dir, "log", discardFile), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var slot [discardEntry]byte
	binary.BigEndian.PutUint64(slot[:], 1)
	if _, err := discard.WriteAt(slot[:], 0); err != nil {
		t.Fatal(err)
	}
	discard.Close()

	s = reopen(t, dir, nil)
	if err := s.collectOne(0.9); err != nil {
		t.Fatalf("nothing is collected: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "log", "000001.vlog")); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	s.cache = cache{}
	if got := positions(t, s); fmt.Sprint(got) != fmt.Sprint(want) || len(got) != blocks {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound(t, dir)
}
