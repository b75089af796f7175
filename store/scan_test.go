package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestFillersBridgeEveryLength(t *testing.T) {
	for size := 40; size < 70_000; size += 1 + size/100 {
		b, err := filler(size)
		if err != nil || len(b) != size {
			t.Fatalf("a filler for %d bytes has %d, %v", size, len(b), err)
		}
		if e, ok := parseEntry(b); !ok || e.size != size {
			t.Fatalf("a filler of %d bytes is read as %d", size, e.size)
		}
	}
	if _, err := filler(10); err == nil {
		t.Error("10 bytes were bridged")
	}
}

func FuzzLogEntry(f *testing.F) {
	f.Add(appendLogEntry(nil, 0, []byte("b12345678"), 7, []byte("value")))
	f.Add(appendLogEntry(nil, entryPointer, []byte("c"), 1<<60, make([]byte, pointerBytes)))
	f.Add(make([]byte, 40))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, ok := parseEntry(in)
		if !ok {
			return
		}
		again, ok := parseEntry(appendLogEntry(nil, e.meta, e.key, e.version, e.value))
		if !ok || !bytes.Equal(again.key, e.key) || again.version != e.version || !bytes.Equal(again.value, e.value) {
			t.Errorf("%x does not survive a round trip", in)
		}
		scanLog(append(make([]byte, vlogHead), in...), func(logEntry) {}, func(int, int) {})
	})
}

func FuzzTable(f *testing.F) {
	dir := f.TempDir()
	a, err := OpenAdmin(dir)
	if err != nil {
		f.Fatal(err)
	}
	if err := a.PutUser(User{Name: "admin"}); err != nil {
		f.Fatal(err)
	}
	if err := a.Close(); err != nil {
		f.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "db", "000001.sst"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(table)
	f.Add(table[:len(table)/2])
	f.Add([]byte{})
	path := filepath.Join(f.TempDir(), "000001.sst")
	f.Fuzz(func(t *testing.T, in []byte) {
		if err := os.WriteFile(path, in, 0o600); err != nil {
			t.Fatal(err)
		}
		entries := 0
		if err := scanTable(path, func([]byte, tableEntry) { entries++ }); err == nil && entries == 0 {
			t.Errorf("a sound table of %d bytes has nothing in it", len(in))
		}
	})
}
