package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// filled makes a log of blocks with one reading each and closes it.
func filled(t *testing.T, blocks int) (dir string, epoch uint64) {
	t.Helper()
	dir = t.TempDir()
	s := reopen(t, dir, nil)
	appendEach(t, s, 1, blocks)
	epoch = s.epoch
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, epoch
}

func appendEach(t *testing.T, s *Store, first, n int) {
	t.Helper()
	for i := first; i < first+n; i++ {
		m := message.Message{Topic: "t", Payload: fmt.Appendf(nil, "payload %d %s", i, bytes.Repeat([]byte{byte(i)}, 50)), Device: "press", Seq: uint64(i)}
		if err := s.Append(t.Context(), &m, nil, 0); err != nil {
			t.Fatal(err)
		}
		for s.commitNext() { // what Run does
		}
	}
}

func reopen(t *testing.T, dir string, log *slog.Logger) *Store {
	t.Helper()
	s, err := Open(Options{youngBytes: -1, Dir: dir, FileSize: 1 << 20, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// alter changes the database behind the log's back.
func alter(t *testing.T, dir string, change func(txn *badger.Txn) error) {
	t.Helper()
	db, err := badger.Open(badgerOptions(filepath.Join(dir, "log"), 1<<20, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func flip(txn *badger.Txn, key []byte) error {
	item, err := txn.Get(key)
	if err != nil {
		return err
	}
	value, err := item.ValueCopy(nil)
	if err != nil {
		return err
	}
	value[len(value)/2] ^= 1
	return txn.Set(key, value)
}

func positions(t *testing.T, s *Store) (list []int) {
	t.Helper()
	records, err := s.Read(nil, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		list = append(list, int(r.Position))
	}
	return list
}

func sound(t *testing.T, dir string) Report {
	t.Helper()
	report, err := Check(dir)
	if err != nil || len(report.Findings) > 0 {
		t.Errorf("check: %v, %q", err, report.Findings)
	}
	return report
}

func TestDamageInTheMiddleIsSkipped(t *testing.T) {
	dir, epoch := filled(t, 5)
	alter(t, dir, func(txn *badger.Txn) error { return flip(txn, blockKey(3)) })
	if report, err := Check(dir); err != nil || len(report.Findings) != 1 || !strings.Contains(report.Findings[0], "block 3") {
		t.Errorf("check: %v, %q, want one finding about block 3", err, report.Findings)
	}
	var log bytes.Buffer
	s := reopen(t, dir, slog.New(slog.NewTextHandler(&log, nil)))
	for range 2 {
		if got := fmt.Sprint(positions(t, s)); got != "[1 2 4 5]" {
			t.Errorf("got %s, want all but 3", got)
		}
	}
	if n := strings.Count(log.String(), "damaged"); n == 0 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("logged %q, want one line", log.String())
	}
	if st := s.Stats(); st.Damages != 1 || st.Damage[0].First != 3 || st.Messages != 4 || st.Epoch != epoch {
		t.Errorf("stats are %+v", st)
	}
	if aside, err := os.ReadFile(filepath.Join(dir, "damaged", "block-00000000000000000003.bin")); err != nil || len(aside) == 0 {
		t.Errorf("nothing was set aside: %v", err)
	}
	s.maintain() // records the hole
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if report := sound(t, dir); len(report.Holes) != 1 || report.Messages != 4 {
		t.Errorf("report is %+v, want one hole", report)
	}
	s = reopen(t, dir, nil)
	defer s.Close()
	if got := fmt.Sprint(positions(t, s)); got != "[1 2 4 5]" || s.Stats().Damages != 1 {
		t.Errorf("after a restart: %s, %d damages", got, s.Stats().Damages)
	}
}

func TestALostTailBeginsANewEpoch(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, dir string){
		"the last block is damaged": func(t *testing.T, dir string) {
			alter(t, dir, func(txn *badger.Txn) error { return flip(txn, blockKey(5)) })
		},
		"the last block is missing": func(t *testing.T, dir string) {
			alter(t, dir, func(txn *badger.Txn) error { return txn.Delete(blockKey(5)) })
		},
		"block and header are missing": func(t *testing.T, dir string) {
			alter(t, dir, func(txn *badger.Txn) error { return errors.Join(txn.Delete(blockKey(5)), txn.Delete(headerKey(5))) })
		},
		"every trace but the tail file is missing": func(t *testing.T, dir string) {
			alter(t, dir, func(txn *badger.Txn) error {
				key := deviceKey("press")
				return errors.Join(txn.Delete(blockKey(5)), txn.Delete(headerKey(5)), txn.Set(key, deviceMark{4, 4}.value(key)))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, epoch := filled(t, 5)
			lose(t, dir)
			s := reopen(t, dir, nil)
			if got := fmt.Sprint(positions(t, s)); got != "[1 2 3 4]" {
				t.Errorf("got %s, want all but the last", got)
			}
			if s.epoch <= epoch {
				t.Errorf("the epoch is %d, was %d", s.epoch, epoch)
			}
			next := s.epoch
			appendEach(t, s, 6, 1)
			if got := fmt.Sprint(positions(t, s)); got != "[1 2 3 4 6]" {
				t.Errorf("got %s: position 5 was promised to a message that is gone", got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			sound(t, dir)
			s = reopen(t, dir, nil)
			defer s.Close()
			if s.epoch != next {
				t.Errorf("the epoch is %d after a clean restart, was %d", s.epoch, next)
			}
		})
	}
}

func TestDamagedStateIsSurvived(t *testing.T) {
	for name, key := range map[string][]byte{"state": stateKey, "device": deviceKey("press"), "cursor": cursorKey("c"), "header": headerKey(3)} {
		t.Run(name, func(t *testing.T) {
			dir, epoch := filled(t, 5)
			alter(t, dir, func(txn *badger.Txn) error {
				key := cursorKey("c")
				return txn.Set(key, cursorMark{at: 4}.value(key, present))
			})
			alter(t, dir, func(txn *badger.Txn) error { return flip(txn, key) })
			s := reopen(t, dir, nil)
			if got := fmt.Sprint(positions(t, s)); got != "[1 2 3 4 5]" {
				t.Errorf("got %s, want all: a block says itself what its header said", got)
			}
			if (name == "state" || name == "device") && s.epoch <= epoch {
				t.Errorf("the epoch is %d, was %d", s.epoch, epoch)
			}
			if c := s.Cursors(); name == "cursor" && (len(c) != 1 || c[0].Position != 0) {
				t.Errorf("cursors are %v, want one at the head", c)
			}
			if _, last, err := s.Sequence("press"); err != nil || last != 5 {
				t.Errorf("press is at seq %d, %v, want 5", last, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			sound(t, dir)
		})
	}
}

func TestGhostsAreSweptAndNeverSeen(t *testing.T) {
	dir, _ := filled(t, 8)
	s := reopen(t, dir, nil)
	var ghosts [][2][]byte
	for p := message.Position(1); p <= 4; p++ {
		for _, key := range [][]byte{blockKey(p), headerKey(p)} {
			value, err := s.value(key)
			if err != nil {
				t.Fatal(err)
			}
			ghosts = append(ghosts, [2][]byte{key, value})
		}
	}
	if err := s.remove(s.index.oldest(4), 8); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, dir, func(txn *badger.Txn) error {
		for _, g := range ghosts {
			if err := txn.Set(g[0], g[1]); err != nil {
				return err
			}
		}
		return nil
	})
	if report := sound(t, dir); report.Ghosts != 4 || report.First != 5 {
		t.Errorf("report is %+v, want 4 ghosts below 5", report)
	}
	s = reopen(t, dir, nil)
	if got := fmt.Sprint(positions(t, s)); got != "[5 6 7 8]" {
		t.Errorf("got %s, want nothing below the head", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if report := sound(t, dir); report.Ghosts != 0 {
		t.Errorf("%d ghosts are left", report.Ghosts)
	}
}

func TestAFailedSyncIsFinal(t *testing.T) {
	s := reopen(t, t.TempDir(), nil)
	c, err := s.OpenCursor("c", 1)
	if err != nil {
		t.Fatal(err)
	}
	var told error
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { told = err })
	m := message.Message{Topic: "t"}
	if err := s.Append(t.Context(), &m, ack, 0); err != nil {
		t.Fatal(err)
	}
	// The words of Badger 4.9.6, value.go: it logs them and acknowledges all the same.
	(&badgerLog{log: s.log, onSyncFailure: s.fail}).Errorf("Error while curlf sync: %v\n", errors.New("input/output error"))
	for s.commitNext() {
	}
	if !errors.Is(told, message.ErrFailed) || !strings.Contains(told.Error(), "input/output") {
		t.Errorf("the waiting append hears %v", told)
	}
	if err := s.Append(t.Context(), &m, nil, 0); !errors.Is(err, message.ErrFailed) {
		t.Errorf("a later append gives %v", err)
	}
	if err := c.Sync(context.Background()); !errors.Is(err, message.ErrFailed) {
		t.Errorf("a cursor's sync gives %v", err)
	}
	if st := s.Stats(); st.Health != Failed || st.Last != 0 {
		t.Errorf("stats are %+v", st)
	}
	if err := s.Close(); !errors.Is(err, message.ErrFailed) {
		t.Errorf("close gives %v", err)
	}
}

func TestEpochs(t *testing.T) {
	for _, year := range []int{1970, 2023} {
		if e := newEpoch(time.Date(year, 1, 2, 0, 0, 0, 0, time.UTC)); e == 0 || e >= 1<<40 {
			t.Errorf("in %d the epoch is %d, want one below 2^40", year, e)
		}
	}
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	if e := newEpoch(now); e != uint64(now.UnixMilli()) {
		t.Errorf("the epoch is %d", e)
	}
	if e := nextEpoch(1<<50, now); e != 1<<50+1 {
		t.Errorf("the epoch after 2^50 is %d", e)
	}
}
