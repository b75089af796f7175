package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sluice/gateway/message"
)

// A kill may keep a table from being removed that a compaction has replaced. It still shows pages that
// were deleted for good since then; nothing is missing.
func TestATableThatAKillLeftIsNoDamage(t *testing.T) {
	dir := t.TempDir()
	files := filepath.Join(dir, "log", "*.sst")
	session := func(n int) (epoch uint64) {
		s := walled(t, dir)
		for i := range 40 {
			m := message.Message{Topic: fmt.Sprint("t", i), Payload: []byte("x"), Time: int64(n)}
			if err := s.Append(t.Context(), &m, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		for s.commitNext() {
		}
		if damage := s.Stats().Damage; len(damage) > 0 {
			t.Fatalf("damage %+v", damage)
		}
		closed(t, s) // which saves the table of queues again, and deletes the pages of the last saving
		return s.epoch
	}
	epoch := session(0)
	old, err := filepath.Glob(files)
	if err != nil || len(old) == 0 {
		t.Fatalf("there are no tables: %v", err)
	}
	kept := make(map[string][]byte)
	for _, path := range old {
		if kept[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	replaced := func() bool {
		for path := range kept {
			if _, err := os.Stat(path); err != nil {
				return true
			}
		}
		return false
	}
	for n := 0; n < 400 && !replaced(); n++ {
		if got := session(n + 1); got != epoch {
			t.Fatalf("session %d is in epoch %d, was %d", n+1, got, epoch)
		}
	}
	if !replaced() {
		t.Fatal("no table was replaced")
	}
	for path, content := range kept {
		if _, err := os.Stat(path); err == nil {
			continue // still in use
		}
		if err := os.WriteFile(path, content, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if got := session(100); got != epoch {
		t.Errorf("a table that was replaced began epoch %d, was %d", got, epoch)
	}
}

func TestATornEndIsNoDamage(t *testing.T) {
	txn := func(b []byte, version uint64, whole bool) []byte {
		for i := range 3 {
			b = appendLogEntry(b, 0, fmt.Append(nil, "key", i), version, []byte("value"))
		}
		if whole {
			b = appendLogEntry(b, entryEnd, []byte("!badger!txn"), version, []byte("x"))
		}
		return b
	}
	one := len(txn(nil, 1, true))
	head := make([]byte, vlogHead)
	for _, c := range []struct {
		name  string
		txns  int
		flip  int // byte behind the head
		wants bool
	}{
		{"the first entry of the last transaction", 3, 2*one + 20, true},
		{"its second", 3, 2*one + one/3 + 10, true},
		{"the only transaction", 1, 20, true},
		{"the first entry of the one before", 3, one + 20, false},
		{"the end of the one before", 3, 2*one - 10, false},
	} {
		data := head
		for n := range c.txns {
			data = txn(data, uint64(n+1), true)
		}
		data = append([]byte(nil), data...)
		data[vlogHead+c.flip] ^= 1
		var end tornEnd
		scanLog(data, end.visit, end.damaged)
		if end.spans == 0 || end.torn() != c.wants {
			t.Errorf("%s: torn %v of %d spans, want %v", c.name, end.torn(), end.spans, c.wants)
		}
	}
}

// A memtable's log that ends in the middle of an entry is what a power cut leaves only while Badger writes
// to it, and then the file has its full size. A shorter one was cut, and what it lacks must be gathered.
func TestAMemtableLogCutShortIsDamage(t *testing.T) {
	entries := make([]byte, vlogHead)
	for i := range 3 {
		entries = appendLogEntry(entries, 0, fmt.Append(nil, "key", i), 1, []byte("value"))
	}
	whole := len(entries)
	for _, c := range []struct {
		name    string
		content []byte
		damaged bool
	}{
		{"in the first entry", entries[:vlogHead+10], true},
		{"in the last entry", entries[:whole-3], true},
		{"behind an entry", entries, false},
		{"torn, while it was written to", append(append([]byte(nil), entries[:whole-3]...), make([]byte, memtableLog-whole+3)...), false},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "00001.mem"), c.content, 0o640); err != nil {
			t.Fatal(err)
		}
		files, err := listFiles(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := inspectMemtable(files.wals[0]); (err != nil) != c.damaged {
			t.Errorf("cut %s: %v, want damage: %v", c.name, err, c.damaged)
		}
	}
}
