package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"sluice/gateway/message"
)

// specimen is a log with known content whose files are damaged, a copy of it a time.
type specimen struct {
	dir     string
	epoch   uint64
	head    message.Position
	records map[message.Position]message.Message
	blocks  []header
	cursors map[string]message.Position
	seq     map[string]uint64
}

const specimenDevices = 4

// specimenOf makes a log of several files: large blocks in the value log, small ones in tables, both
// trimmed at the head. A killed one is taken while it runs and so has memtables' logs.
func specimenOf(t *testing.T, r *rand.Rand, killed bool) specimen {
	t.Helper()
	source := t.TempDir()
	s := reopen(t, source, nil)
	sp := specimen{dir: source, records: make(map[message.Position]message.Message), cursors: make(map[string]message.Position), seq: make(map[string]uint64)}
	at := message.Position(0)
	for round := range 260 {
		n, size := 1+r.IntN(6), r.IntN(12<<10)
		switch {
		case round == 220:
			if err := s.remove(s.index.oldest(15), at); err != nil {
				t.Fatal(err)
			}
			s.young.limit = 128 << 10 // what follows stays in the write-ahead log
			fallthrough
		case round > 220:
			n, size = 1+r.IntN(3), r.IntN(2<<10)
		case r.IntN(2) == 0:
			n, size = 1, 5+r.IntN(20) // small enough for a table
		}
		for range n {
			at++
			m := message.Message{Topic: "t", Payload: make([]byte, size), Device: fmt.Sprint("d", at%specimenDevices), Seq: uint64(at), Time: int64(at)}
			for i := range m.Payload {
				m.Payload[i] = byte(r.Uint32())
			}
			if err := s.Append(t.Context(), &m, nil, 0); err != nil {
				t.Fatal(err)
			}
			sp.records[at] = m
			sp.seq[m.Device] = m.Seq
		}
		name := fmt.Sprint("cursor-", r.IntN(3))
		c, err := s.OpenCursor(name, 1)
		if err != nil {
			t.Fatal(err)
		}
		for s.commitNext() {
		}
		c.Move(at - min(at, 10))
		c.Flush()
		sp.cursors[name] = c.Position()
	}
	for s.commitNext() {
	}
	if !killed {
		s.settle() // as its end would: its blocks become larger ones
	}
	sp.head, sp.epoch, sp.blocks = s.index.head, s.epoch, slices.Clone(s.index.blocks)
	if killed {
		if err := s.markTail(); err != nil {
			t.Fatal(err)
		}
		sp.dir = t.TempDir()
		copyDir(t, source, sp.dir)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return sp
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// losable gives the blocks that damage to the bytes from at on (to the end when it was cut) may take:
// those that lie there.
func (sp *specimen) losable(t *testing.T, path string, at int64, cut bool) map[message.Position]bool {
	t.Helper()
	lost := make(map[message.Position]bool)
	lose := func(key []byte) {
		if last, ok := positionOf(key); ok && key[0] == prefixBlock {
			lost[last] = true
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch filepath.Ext(path) {
	case ".vlog", ".mem":
		torn := uint64(0) // the transaction in which a memtable's log was cut is no whole one any more
		scanLog(content, func(e logEntry) {
			if cut && torn == 0 && int64(e.at+e.size) > at {
				torn = e.version
			}
		}, func(int, int) {})
		scanLog(content, func(e logEntry) {
			if e.meta&entryPointer == 0 && e.version == torn {
				lose(e.key)
			}
		}, func(int, int) {})
		scanLog(content, func(e logEntry) {
			if end := int64(e.at + e.size); e.meta&entryPointer == 0 && end > at && (cut || int64(e.at) <= at) {
				lose(e.key)
			}
		}, func(int, int) {})
	case ".wal":
		salt := saltOf(content)
		for rest := int64(walAlign); rest+walHead <= int64(len(content)); {
			record, size, ok := decodeWAL(content[rest:], salt)
			if !ok {
				rest += walAlign
				continue
			}
			if rest+int64(size) > at && (cut || rest <= at) {
				for _, block := range record.blocks {
					records, err := decodeBlock(block)
					if err != nil {
						t.Fatal(err)
					}
					lost[records[len(records)-1].Position] = true
				}
			}
			rest += int64(alignWAL(size))
		}
	case ".sst": // within one block of a table, or behind the cut
		err := scanTable(path, func(key []byte, e tableEntry) {
			if e.meta&entryPointer == 0 {
				lose(key)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return lost
}

// TestDamagedFilesAreSurvived flips a bit in a file of a log, or cuts it, and opens it: everything
// outside the damaged spot is there, nothing wrong is. SLUICE_SEED repeats a run, SLUICE_LONG=1 makes
// it ten times as long.
func TestDamagedFilesAreSurvived(t *testing.T) {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("SLUICE_SEED"), 10, 64); err == nil {
		seed = s
	}
	trials := 120
	if testing.Short() {
		trials = 24
	}
	if os.Getenv("SLUICE_LONG") == "1" {
		trials = 1200
	}
	t.Logf("SLUICE_SEED=%d, %d damages", seed, trials)
	r := rand.New(rand.NewPCG(seed, 0))
	specimens := []specimen{specimenOf(t, r, false), specimenOf(t, r, true)}
	kinds, done := make(map[string]int), 0
	for trial := range trials {
		sp := specimens[trial%2]
		dir := t.TempDir()
		copyDir(t, sp.dir, dir)
		paths, err := filepath.Glob(filepath.Join(dir, "log", "*"))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, filepath.Join(dir, "tail"), filepath.Join(dir, "lock"))
		for _, name := range walNames {
			paths = append(paths, filepath.Join(dir, "wal", name), filepath.Join(dir, "wal", name)) // as often as two
		}
		path := paths[r.IntN(len(paths))]
		if r.IntN(3) == 0 { // the small but vital ones more often
			path = filepath.Join(dir, "log", []string{"MANIFEST", "KEYREGISTRY", "DISCARD"}[r.IntN(3)])
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		end := len(bytes.TrimRight(content, "\x00"))
		if end == 0 {
			end = min(len(content), 64)
		}
		if end == 0 {
			continue
		}
		at := int64(r.IntN(end))
		cut := r.IntN(3) == 0
		lost := sp.losable(t, path, at, cut)
		what := fmt.Sprintf("trial %d: %s (killed %v), byte %d of %d", trial, filepath.Base(path), trial%2 == 1, at, end)
		if cut {
			what += " cut"
			err = os.Truncate(path, at)
		} else {
			content[at] ^= 1 << r.IntN(8)
			err = os.WriteFile(path, content, 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds[filepath.Ext(path)]++
		done++
		sp.compare(t, what, dir, lost)
		if t.Failed() {
			t.Fatalf("%s", what)
		}
		os.RemoveAll(dir)
	}
	t.Logf("%d damages survived, %d empty files left alone; by kind: %v", done, trials-done, kinds)
}

// compare opens the damaged log twice, and appends in between.
func (sp *specimen) compare(t *testing.T, what, dir string, lost map[message.Position]bool) {
	t.Helper()
	last := sp.blocks[len(sp.blocks)-1].last()
	var newest message.Position
	for round := range 2 {
		s, err := Open(Options{youngBytes: -1, Dir: dir, FileSize: 1 << 20})
		if err != nil {
			t.Fatalf("%s: round %d: %v", what, round, err)
		}
		records, err := s.Read(nil, 0, 1<<20)
		if err != nil {
			t.Fatalf("%s: round %d: %v", what, round, err)
		}
		there := make(map[message.Position]bool)
		for _, got := range records {
			if got.Position == newest && string(got.Payload) == "new" {
				continue
			}
			there[got.Position] = true
			want, known := sp.records[got.Position]
			if !known || string(got.Payload) != string(want.Payload) || got.Device != want.Device || got.Seq != want.Seq || got.Time != want.Time {
				t.Errorf("%s: position %d holds something else", what, got.Position)
			}
		}
		missing := 0
		for _, h := range sp.blocks {
			for p := h.first; p <= h.last(); p++ {
				if there[p] {
					continue
				}
				missing++
				if !lost[h.last()] {
					t.Errorf("%s: round %d: position %d is gone, of a block that is not damaged", what, round, p)
				}
			}
		}
		st := s.Stats()
		if missing > 0 && st.Damages == 0 {
			t.Errorf("%s: %d messages are missing and nothing is reported", what, missing)
		}
		if !there[last] && st.Epoch <= sp.epoch {
			t.Errorf("%s: the end was lost, but the epoch is %d, was %d", what, st.Epoch, sp.epoch)
		}
		for _, c := range s.Cursors() {
			if was, known := sp.cursors[c.Name]; !known || c.Position > was {
				t.Errorf("%s: %s is at %d, was at %d", what, c.Name, c.Position, was)
			}
		}
		for device, seq := range sp.seq {
			_, at, err := s.Sequence(device)
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if at < seq && st.Epoch <= sp.epoch {
				t.Errorf("%s: %s is at seq %d, was at %d, in the same epoch", what, device, at, seq)
			}
		}
		if round == 0 {
			ack := message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) {
				newest = at
				if err != nil {
					t.Errorf("%s: append: %v", what, err)
				}
			})
			if err := s.Append(t.Context(), &message.Message{Topic: "t", Payload: []byte("new")}, ack, 0); err != nil {
				t.Errorf("%s: append: %v", what, err)
			}
			for s.commitNext() {
			}
			if newest <= last {
				t.Errorf("%s: position %d is given out again, it was at %d", what, newest, last)
			}
			s.must(s.recordHoles())
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	report, err := Check(dir)
	if err != nil || len(report.Findings) > 0 {
		t.Errorf("%s: check: %v %q", what, err, report.Findings)
	}
}
