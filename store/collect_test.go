package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"sluice/store"
	"sluice/store/storetest"
)

// Each life of a log has a file of its own in the value log. Badger looks only at the one with the most
// stale bytes: as long as not enough of that is stale, it must not keep the others from being collected.
func TestFilesOfShortLivesAreCollected(t *testing.T) {
	l := storetest.Open(t, func(o *store.Options) { o.RetentionSize = 1 })
	files := func() int {
		names, err := filepath.Glob(filepath.Join(l.Dir, "log", "*.vlog"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	// A file of which a part stays: retained messages that are carried on, among much that is trimmed.
	for i := range 3 {
		kept := noise(0, 12<<10)
		kept.Device, kept.Topic, kept.Retain = "", fmt.Sprint("retained/", i), true
		l.Append(kept)
	}
	l.Append(noise(1, 200<<10))
	eventually(t, "what is retained is carried", func() bool { return l.StateStats().CarriedBytes > 36<<10 })
	const lives = 6
	for i := range lives {
		l.Append(noise(i+2, 20<<10))
		last, _ := l.Tail()
		eventually(t, "the log is trimmed", func() bool { return l.Head() >= last })
		l.Reopen()
	}
	eventually(t, "files without anything alive are given back", func() bool { return files() <= 3 })
	for i := range 3 {
		if _, known, err := l.Retained(fmt.Sprint("retained/", i)); err != nil || !known {
			t.Errorf("retained message %d is known: %v, %v", i, known, err)
		}
	}
}
