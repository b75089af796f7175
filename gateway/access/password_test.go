package access

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// cheap is a hash that takes no time, for tests that compare many.
func cheap(password string) string {
	h := hash{algorithm: argon2id, memory: 8, rounds: 1, lanes: 1, salt: []byte("somesalt"), key: make([]byte, 32)}
	h.key = h.derive([]byte(password))
	return h.format()
}

func passwordFor(t testing.TB, password string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "password")
	write(t, path, cheap(password)+"\n")
	return path
}

func write(t testing.TB, path, text string) {
	t.Helper()
	// Replaced and not overwritten, as an editor or sluice passwd does.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestFormsOfAPasswordFile(t *testing.T) {
	one, other := cheap("one"), cheap("other")
	for _, c := range []struct{ data, want string }{
		{one, one},
		{one + "\n", one},
		{one + "\r\n", one},
		{"# made by hand\n\n" + one + "\n", one},
		{"ann:" + one, one},
		{"bob:" + other + "\nann:" + one + "\n", one},
		{"anna:" + other + "\nann:" + one + "\n", one},
		{"ann:" + one + "\nann:" + other + "\n", one},
		{"", ""}, {"\n#\n", ""},
		{"bob:" + other, ""},
		{one + "\n" + other, ""},
		{one + "\nbob:" + other, ""},
	} {
		got, err := findHash(c.data, "ann")
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: got %q, %v; want %q", c.data, got, err, c.want)
		}
	}
}

func FuzzPasswordFile(f *testing.F) {
	f.Add("# a\n\nann:$2b$\r\n", "ann")
	f.Add("$7$", "ann")
	f.Fuzz(func(t *testing.T, data, user string) {
		text, err := findHash(data, user)
		if err == nil && !strings.Contains(data, text) {
			t.Errorf("%q is not in %q", text, data)
		}
	})
}

func TestPasswordFileIsReadAgainWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		path := passwordFor(t, "one")
		f := &passwordFile{path: path, user: "ann", limits: limitsFor(0), log: slog.New(slog.NewTextHandler(&log, nil))}
		knows := func(password string) bool {
			h := f.load()
			return h != nil && h.matches([]byte(password))
		}
		lines := func() int { return strings.Count(log.String(), "\n") }
		if !knows("one") || knows("two") {
			t.Fatal("the file was not read")
		}
		write(t, path, cheap("two"))
		if !knows("one") {
			t.Error("the file was looked at twice within a second")
		}
		time.Sleep(lookAgain)
		if !knows("two") || knows("one") {
			t.Error("the file has changed, but the old password counts")
		}
		if lines() != 0 {
			t.Errorf("logged %s", &log)
		}
		for _, broken := range []string{"", "secret", "$argon2id$v=19$m=999999999,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHQ"} {
			write(t, path, broken)
			for range 3 {
				time.Sleep(lookAgain)
				if f.load() != nil {
					t.Errorf("%q still lets somebody in", broken)
				}
			}
		}
		write(t, path, cheap("two"))
		time.Sleep(lookAgain)
		if !knows("two") {
			t.Error("the file is sound again, but does not let in")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(lookAgain)
			if f.load() != nil {
				t.Error("a file that has gone still lets somebody in")
			}
		}
		if lines() != 5 {
			t.Errorf("four troubles and one end of them, but logged %d lines:\n%s", lines(), &log)
		}
		if strings.Contains(log.String(), "secret") {
			t.Errorf("what the file holds is logged:\n%s", &log)
		}
		write(t, path, cheap("two"))
		time.Sleep(lookAgain)
		if !knows("two") || lines() != 6 {
			t.Errorf("the file is there again; logged\n%s", &log)
		}
		write(t, path, strings.Repeat(fmt.Sprintf("bob:%s\n", cheap("x")), 20000))
		time.Sleep(lookAgain)
		if f.load() != nil {
			t.Error("a file without a bound was read")
		}
	})
}
