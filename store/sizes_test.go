package store

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

func TestProfileFollowsTheMachine(t *testing.T) {
	for _, c := range []struct {
		profile Profile
		memory  int64
		want    Profile
	}{
		{Auto, 240 << 20, Small},
		{"", 128 << 20, Small},
		{Auto, 480 << 20, Normal},
		{Auto, 0, Normal},
		{Small, 8 << 30, Small},
		{Normal, 64 << 20, Normal},
	} {
		if got := c.profile.For(c.memory); got != c.want {
			t.Errorf("%q with %d MiB is %s, want %s", c.profile, c.memory>>20, got, c.want)
		}
	}
}

func TestSizesFollowProfileAndLimit(t *testing.T) {
	for _, c := range []struct {
		profile       Profile
		limit         int64
		file, largest int64
		pending       int
	}{
		{Normal, 0, 16 << 20, 4 << 20, 8 << 20},
		{Normal, 8 << 30, 16 << 20, 4 << 20, 8 << 20},
		{Normal, 128 << 20, 8 << 20, 2 << 20, 4 << 20},
		{Normal, 64 << 20, 4 << 20, 1 << 20, 2 << 20},
		{Small, 0, 4 << 20, 1 << 20, 1 << 20},
		{Small, 64 << 20, 4 << 20, 1 << 20, 1 << 20},
		{Small, 16 << 20, 1 << 20, 256 << 10, 512 << 10},
	} {
		if wordBits == 32 {
			if c.limit > maxLimit32 {
				continue
			}
			c.largest = min(c.largest, largest32)
		}
		o, err := Options{Dir: "d", Profile: c.profile, Limit: c.limit}.withDefaults()
		if err != nil || o.FileSize != c.file || int64(o.largestMessage()) != c.largest || o.PendingBytes != c.pending {
			t.Errorf("%s within %d MiB: files %d, messages %d, pending %d, %v; want %d, %d, %d",
				c.profile, c.limit>>20, o.FileSize, o.largestMessage(), o.PendingBytes, err, c.file, c.largest, c.pending)
		}
	}
	if _, err := (Options{Dir: "d", Profile: "huge"}).withDefaults(); err == nil || !strings.Contains(err.Error(), `"huge"`) {
		t.Errorf("an unknown profile gives %v", err)
	}
	if _, err := (Options{Dir: "d", Profile: Normal, Limit: 4 << 20}).withDefaults(); err == nil {
		t.Error("a limit of four of the smallest files was taken")
	}
}

func TestLimitFitsTheAddressSpace(t *testing.T) {
	if o, err := (Options{Dir: "d"}).onWords(32); err != nil || o.Limit != maxLimit32 {
		t.Errorf("without a limit 32 bits get %d, %v, want %d", o.Limit, err, maxLimit32)
	}
	if _, err := (Options{Dir: "d", Limit: maxLimit32 + 1}).onWords(32); err == nil || !strings.Contains(err.Error(), "32-bit") {
		t.Errorf("too large a limit gives %v on 32 bits", err)
	}
	if got := largestOnWords(4<<20, 32); got != largest32 {
		t.Errorf("32 bits take messages of %d bytes, want %d", got, largest32)
	}
	if got := largestOnWords(4<<20, 64); got != 4<<20 {
		t.Errorf("64 bits take messages of %d bytes", got)
	}
	if o, err := (Options{Dir: "d", Limit: 8 << 30}).onWords(64); err != nil || o.Limit != 8<<30 {
		t.Errorf("64 bits get %d, %v", o.Limit, err)
	}
}

func TestSizesThatLoseDataAreRefused(t *testing.T) {
	good := badgerOptions("d", largestFile, nil)
	tables, files := good, good
	tables.MemTableSize, tables.BaseTableSize = 4<<20, 2<<20
	files.ValueLogFileSize = 128 << 20
	for _, c := range []struct {
		name    string
		options badger.Options
		bits    int
		refused string
	}{
		{"ours", good, 32, ""},
		{"the database of users and revisions", adminOptions("d", nil), 32, ""},
		{"tables below memtables", tables, 32, "lose data"},
		{"Badger's own", badger.DefaultOptions("d"), 32, "lose data"},
		{"large files", files, 32, "address space"},
		{"tables below memtables on 64 bits", tables, 64, ""},
		{"large files on 64 bits", files, 64, ""},
	} {
		err := checkSizes(c.options, c.bits)
		if refused := err != nil; refused != (c.refused != "") || refused && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v, want %q", c.name, err, c.refused)
		}
	}
	dir := t.TempDir()
	tables.Dir, tables.ValueDir, tables.Logger = filepath.Join(dir, "log"), filepath.Join(dir, "log"), nil
	db, err := openBadger(dir, tables)
	if err == nil {
		db.Close()
	}
	if refused := err != nil; refused != (wordBits == 32) {
		t.Errorf("opening gives %v with words of %d bits", err, wordBits)
	}
}
