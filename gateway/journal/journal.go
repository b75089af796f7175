// Package journal keeps the last of what the gateway logs, for those who cannot see its standard error.
// It hides the ring, the levels and the hiding of secrets behind an slog.Handler.
package journal

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What is kept. At the bounds the oldest entries go.
const (
	keptEntries = 2000
	keptBytes   = 1 << 20
	maxText     = 4 << 10 // bytes of one message
	maxValue    = 2 << 10 // bytes of one attribute's value
	maxAttrs    = 32      // of one entry
)

// Entry is one thing that was logged. Numbers ascend by one.
type Entry struct {
	Number uint64
	Time   time.Time
	Level  slog.Level
	Part   string // the component; empty: the gateway itself
	Text   string
	Attrs  []Attr
}

// Attr is one detail of an Entry.
type Attr struct{ Key, Value string }

func (e *Entry) bytes() int {
	n := 128 + len(e.Part) + len(e.Text)
	for _, a := range e.Attrs {
		n += 32 + len(a.Key) + len(a.Value)
	}
	return n
}

// Journal keeps entries. Its methods may be called from any goroutine.
type Journal struct {
	levels  levels
	secrets atomic.Pointer[strings.Replacer] // nil: none

	mu      sync.Mutex // guards what follows
	entries []Entry    // the oldest first
	next    uint64
	bytes   int
	grown   chan struct{} // closed at the next entry
}

// New makes an empty journal that takes entries from info upwards.
func New() *Journal {
	j := &Journal{next: 1, grown: make(chan struct{})}
	j.levels.base.Store(int64(slog.LevelInfo))
	return j
}

// Hide replaces these texts by *** wherever they come to stand in an entry from now on. Those that are
// too short to be told from ordinary words stay.
func (j *Journal) Hide(secrets []string) {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < 4 })
	if len(secrets) == 0 {
		j.secrets.Store(nil)
		return
	}
	// Where one is the beginning of another, the longer one is to be found.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	pairs := make([]string, 0, 2*len(secrets))
	for _, s := range secrets {
		pairs = append(pairs, s, "***")
	}
	j.secrets.Store(strings.NewReplacer(pairs...))
}

func (j *Journal) cleaned(text string, most int) string {
	if r := j.secrets.Load(); r != nil {
		text = r.Replace(text)
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func (j *Journal) put(e Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Number = j.next
	j.next++
	j.entries = append(j.entries, e)
	j.bytes += e.bytes()
	for len(j.entries) > keptEntries || j.bytes > keptBytes && len(j.entries) > 1 {
		j.bytes -= j.entries[0].bytes()
		j.entries[0] = Entry{} // so that it can be collected
		j.entries = j.entries[1:]
	}
	close(j.grown)
	j.grown = make(chan struct{})
}

// After gives up to limit entries with numbers above after, the oldest first, and how many of those
// are not kept any more. grown is closed when there are more.
func (j *Journal) After(after uint64, limit int) (entries []Entry, lost uint64, grown <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := j.next - uint64(len(j.entries))
	if after+1 < first {
		lost, after = first-after-1, first-1
	}
	if after+1 < j.next {
		from := j.entries[after+1-first:]
		entries = slices.Clone(from[:min(limit, len(from))])
	}
	return entries, lost, j.grown
}

// Before gives up to limit entries that want takes, with numbers below before, the newest first; before
// 0 is from the newest.
func (j *Journal) Before(before uint64, limit int, want func(*Entry) bool) (found []Entry) {
	j.mu.Lock()
	entries := slices.Clone(j.entries)
	j.mu.Unlock()
	for i := len(entries) - 1; i >= 0 && len(found) < limit; i-- {
		if e := &entries[i]; (before == 0 || e.Number < before) && want(e) {
			found = append(found, *e)
		}
	}
	return found
}

// Parts are those that have something in the journal, sorted.
func (j *Journal) Parts() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	seen := map[string]bool{}
	for i := range j.entries {
		seen[j.entries[i].Part] = true
	}
	delete(seen, "")
	parts := make([]string, 0, len(seen))
	for part := range seen {
		parts = append(parts, part)
	}
	slices.Sort(parts)
	return parts
}
