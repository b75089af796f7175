package store

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sluice/gateway/message"
)

// Badger's collector stops at the first flipped bit of a file and then removes the file: what lies
// behind it and is still wanted would be gone.
func TestCollectionKeepsWhatLiesBehindADamagedSpot(t *testing.T) {
	dir := t.TempDir()
	s := reopen(t, dir, nil)
	const blocks = 40
	for i := range blocks {
		m := message.Message{Topic: "t", Payload: make([]byte, 60<<10), Device: "press", Seq: uint64(i + 1)}
		rand.Read(m.Payload)
		if err := s.Append(t.Context(), &m, nil, 0); err != nil {
			t.Fatal(err)
		}
		for s.commitNext() {
		}
	}
	path := filepath.Join(dir, "log", "000001.vlog")
	var spans []logEntry
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	scanLog(content, func(e logEntry) { spans = append(spans, e) }, func(int, int) {})
	n := len(spans)
	if n < 6 || n >= blocks {
		t.Fatalf("the first file has %d blocks", n)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(spans[n-3].at + 1000)
	if _, err := file.WriteAt([]byte{content[at] ^ 4}, at); err != nil {
		t.Fatal(err)
	}
	file.Close()
	// All but the last two blocks of the file go, the damaged one among them.
	if err := s.remove(s.index.oldest(n-2), blocks); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := s.fill(); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		s.collectOne(0.1)
		if _, err := os.Stat(path); err != nil {
			break
		}
		if err := s.fill(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("the file was never collected")
	}
	s.cache = cache{}
	want := []int(nil)
	for i := n - 1; i <= blocks; i++ {
		want = append(want, i)
	}
	if got := positions(t, s); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if st := s.Stats(); st.Damages != 1 {
		t.Errorf("%d damages are reported, want 1: %v", st.Damages, st.Damage)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound(t, dir)
}

// The database of users is opened by the same rules.
func TestDamagedAdminFilesAreSurvived(t *testing.T) {
	for _, name := range []string{"MANIFEST", "KEYREGISTRY", "DISCARD", "000001.sst"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a, err := OpenAdmin(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.PutUser(User{Name: "admin", Role: "admin", PasswordHash: []byte("hash")}); err != nil {
				t.Fatal(err)
			}
			if err := a.AddRevision(Revision{Author: "admin", Text: string(make([]byte, 20<<10))}); err != nil {
				t.Fatal(err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "db", name)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			content[len(content)-5] ^= 1
			if name == "DISCARD" {
				content = content[:5]
			}
			if err := os.WriteFile(path, content, 0o640); err != nil {
				t.Fatal(err)
			}
			a, err = OpenAdmin(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if u, known, err := a.User("admin"); err != nil || !known || string(u.PasswordHash) != "hash" {
				t.Errorf("got %v, %v, %v", u, known, err)
			}
			if list, err := a.Revisions(0, 5); err != nil || len(list) != 1 || len(list[0].Text) != 20<<10 {
				t.Errorf("got %d revisions, %v", len(list), err)
			}
		})
	}
}
