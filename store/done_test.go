package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"sluice/gateway/message"
)

// doneModel is the plainest memory of what is done: one flag a position.
type doneModel map[message.Position]bool

// state gives it as a cursor does.
func (m doneModel) state() (at message.Position, done []Range) {
	for m[at+1] {
		at++
	}
	for _, p := range slices.Sorted(func(yield func(message.Position) bool) {
		for p := range m {
			if p > at && !yield(p) {
				return
			}
		}
	}) {
		if n := len(done); n > 0 && done[n-1].Last+1 == p {
			done[n-1].Last = p
		} else {
			done = append(done, Range{p, p})
		}
	}
	return at, done
}

func (m doneModel) mark(first, last message.Position) {
	for p := first; p <= last; p++ {
		m[p] = true
	}
}

func (m doneModel) copy() doneModel {
	c := make(doneModel, len(m))
	for p := range m {
		c[p] = true
	}
	return c
}

// letter is a message that was appended with a move.
type letter struct{ first, last message.Position }

// TestDoneRangesAgainstModel marks, moves, appends with moves, commits and kills at random, with and
// without a write-ahead log. SLUICE_SEED repeats a run.
func TestDoneRangesAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("SLUICE_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("SLUICE_SEED=%d", seed)
	for name, young := range map[string]int{"badger": -1, "checkpoints": modelYoung, "log": 0} {
		t.Run(name, func(t *testing.T) { doneAgainstModel(t, rand.New(rand.NewPCG(seed, 0)), young) })
	}
}

func doneAgainstModel(t *testing.T, r *rand.Rand, young int) {
	s := standingYoung(t, t.TempDir(), young)
	const messages = 400
	put(t, s, 40, varied(1, messages, 40)...)
	c := must(s.OpenCursor("uplink", 1))
	settleAll(s)
	seen, durable := doneModel{}, doneModel{}
	var letters, pending []letter // in the log, and on their way
	full := func(first, last message.Position) bool {
		with := seen.copy()
		for _, l := range pending {
			with.mark(l.first, l.last)
		}
		with.mark(first, last)
		_, done := with.state()
		return len(done) > maxRanges
	}
	compare := func(step string) {
		t.Helper()
		at, done := c.Done()
		if wantAt, want := seen.state(); at != wantAt || !slices.Equal(done, want) {
			t.Fatalf("%s: done up to %d and %v, want %d and %v", step, at, done, wantAt, want)
		}
	}
	commit := func() {
		settleAll(s)
		for _, l := range pending {
			seen.mark(max(1, l.first), l.last)
		}
		letters, pending = append(letters, pending...), nil
		durable = seen.copy()
	}
	for n := range 400 {
		at, _ := c.Done()
		first := at + 1 + message.Position(r.IntN(60))
		last := min(first+message.Position(r.IntN(6)), messages)
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			err := c.MarkDone(first, last)
			switch {
			case err == nil && first <= last:
				seen.mark(first, last)
			case err != nil && (!errors.Is(err, ErrManyRanges) || !full(first, last) && len(pending) == 0):
				t.Fatalf("step %d: mark %d to %d: %v", n, first, last, err)
			}
		case 4:
			to := min(at+message.Position(r.IntN(4)), messages)
			c.Move(to)
			seen.mark(1, to)
		case 5, 6, 7:
			if r.IntN(2) == 0 {
				first, last = 0, min(at+message.Position(r.IntN(5)), messages)
			}
			m := message.Message{Topic: "dead/letters", Payload: fmt.Appendf(nil, "%d %d", first, last)}
			err := c.AppendDone(t.Context(), &m, nil, 0, first, last)
			switch {
			case err == nil:
				pending = append(pending, letter{first, last})
			case !errors.Is(err, ErrManyRanges) || !full(first, last) && len(pending) == 0:
				t.Fatalf("step %d: append done %d to %d: %v", n, first, last, err)
			}
		case 8, 9:
			commit()
		case 10:
			s.commit(nil) // an unrelated transaction takes what is dirty along, and nothing else
			durable = seen.copy()
		case 11:
			if n%5 > 0 {
				break
			}
			dir := copyStill(t, s.opts.Dir)
			closed(t, s)
			s = standingYoung(t, dir, young)
			seen, pending = durable.copy(), nil
			c = must(s.OpenCursor("uplink", 1))
			compareLetters(t, s, messages, letters)
		}
		compare(fmt.Sprint("step ", n))
		if from := 1 + message.Position(r.IntN(messages)); !durable[from] && c.DurableFrom(from) >= from {
			t.Fatalf("step %d: %d is said to be durable", n, from)
		} else if end := c.DurableFrom(from); durable[from] && (!durable[end] || durable[end+1]) {
			t.Fatalf("step %d: durable from %d to %d", n, from, end)
		}
	}
	commit()
	compareLetters(t, s, messages, letters)
	closed(t, s)
	sound(t, s.opts.Dir)
}

func compareLetters(t *testing.T, s *Store, from message.Position, want []letter) {
	t.Helper()
	records, err := s.Read(nil, from+1, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	var got []letter
	for _, r := range records {
		var l letter
		fmt.Sscan(string(r.Payload), &l.first, &l.last)
		got = append(got, l)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the log has the letters %v, want %v", got, want)
	}
}

func TestA17thRangeIsRefused(t *testing.T) {
	s := standing(t, t.TempDir(), nil)
	put(t, s, 100, varied(1, 100, 40)...)
	c := must(s.OpenCursor("uplink", 1))
	for i := range message.Position(maxRanges - 1) {
		if err := c.MarkDone(3+3*i, 4+3*i); err != nil {
			t.Fatal(err)
		}
	}
	m := message.Message{Topic: "dead/letters"}
	large := message.Message{Topic: "dead/letters", Payload: make([]byte, 1<<20)}
	if err := c.AppendDone(t.Context(), &large, nil, 0, 90, 91); !errors.Is(err, message.ErrTooLarge) {
		t.Fatalf("a message that is too large: %v", err)
	}
	if err := c.AppendDone(t.Context(), &m, nil, 0, 90, 91); err != nil {
		t.Fatalf("the 16th range: %v", err)
	}
	if err := c.MarkDone(95, 95); !errors.Is(err, ErrManyRanges) {
		t.Errorf("the place of a range on its way is given away: %v", err)
	}
	settleAll(s)
	if err := c.AppendDone(t.Context(), &m, nil, 0, 95, 95); !errors.Is(err, ErrManyRanges) {
		t.Errorf("a 17th range with a message: %v", err)
	}
	if err := c.MarkDone(5, 5); err != nil { // joins two
		t.Errorf("what joins two ranges: %v", err)
	}
	if err := c.MarkDone(95, 95); err != nil {
		t.Errorf("a range has become free: %v", err)
	}
	if n, most := c.Ranges(); n != maxRanges || most != maxRanges {
		t.Errorf("%d of %d ranges are in use, want all", n, most)
	}
}

// TestManyMovesShareTransactions has more moves at once than one group takes, of cursors with the longest
// names and with all their ranges.
func TestManyMovesShareTransactions(t *testing.T) {
	for name, young := range map[string]int{"badger": -1, "log": 0} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := standingYoung(t, dir, young)
			put(t, s, 400, varied(1, 400, 40)...)
			var list []*Cursor
			for i := range 40 {
				c := must(s.OpenCursor(fmt.Sprintf("%0*d", maxName, i), 1))
				for n := range message.Position(maxRanges) {
					if err := c.MarkDone(101+2*n, 101+2*n); err != nil {
						t.Fatal(err)
					}
				}
				list = append(list, c)
			}
			settleAll(s)
			for i, c := range list {
				m := message.Message{Topic: "dead/letters", Device: fmt.Sprintf("%0*d", maxName, i), Seq: 1, Payload: make([]byte, 2000)}
				if err := c.AppendDone(t.Context(), &m, nil, 0, 0, message.Position(i+1)); err != nil {
					t.Fatal(err)
				}
			}
			settleAll(s)
			if failure := s.queue.failed(); failure != nil {
				t.Fatal(failure)
			}
			for _, status := range s.Cursors() {
				i, _ := strconv.Atoi(status.Name)
				if status.Durable != message.Position(i+1) || len(status.Done) != maxRanges {
					t.Errorf("cursor %d is durable at %d with %d ranges", i, status.Durable, len(status.Done))
				}
			}
			closed(t, s)
			sound(t, dir)
		})
	}
}

// TestTrimmingHonoursDoneRanges drops what a cursor still wants: what it has done beyond is no loss, and
// what is left of it counts on.
func TestTrimmingHonoursDoneRanges(t *testing.T) {
	var gaps []Gap
	s, err := Open(Options{youngBytes: -1, Dir: t.TempDir(), FileSize: 1 << 20, OnGap: func(g Gap) { gaps = append(gaps, g) }})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, 10, varied(1, 100, 40)...) // blocks of ten
	c, other := must(s.OpenCursor("live first", 1)), must(s.OpenCursor("other", 1))
	other.Move(15)
	for _, r := range []Range{{3, 4}, {9, 12}, {30, 40}, {60, 70}} {
		if err := c.MarkDone(r.First, r.Last); err != nil {
			t.Fatal(err)
		}
	}
	settleAll(s)
	gone := s.index.oldest(3)
	if len(gone) != 3 || gone[2].last() != 30 {
		t.Fatalf("the first blocks are %+v", gone)
	}
	if err := s.remove(gone, 0); err != nil {
		t.Fatal(err)
	}
	// 3, 4, 9 to 12 are done by both; 30 is wanted by the other.
	if len(gaps) != 1 || gaps[0].Messages != 24 {
		t.Errorf("gaps are %+v, want one of 24 messages", gaps)
	}
	want := []Range{{60, 70}}
	if at, done := c.Done(); at != 40 || !slices.Equal(done, want) {
		t.Errorf("done up to %d and %v, want 40 and %v", at, done, want)
	}
	dir := copyStill(t, s.opts.Dir)
	closed(t, s)
	s = standing(t, dir, nil)
	if at, done := must(s.OpenCursor("live first", 1)).Done(); at != 40 || !slices.Equal(done, want) {
		t.Errorf("after a kill done up to %d and %v, want 40 and %v", at, done, want)
	}
}

func TestExportsCarryDoneRanges(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "restored")
	s := standing(t, from, nil)
	put(t, s, 10, varied(1, 100, 40)...)
	c, plain := must(s.OpenCursor("live first", 1)), must(s.OpenCursor("plain", 8))
	c.Move(4)
	for _, r := range []Range{{9, 12}, {30, 100}} {
		if err := c.MarkDone(r.First, r.Last); err != nil {
			t.Fatal(err)
		}
	}
	plain.Move(20)
	settleAll(s)
	s.settle()
	var stream bytes.Buffer
	if _, err := s.Backup(context.Background(), &stream, nil); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	if _, err := Restore(t.Context(), to, &stream, nil); err != nil {
		t.Fatal(err)
	}
	sound(t, to)
	for _, dir := range []string{from, to} {
		closedLog := must(OpenClosed(dir))
		sum := must(closedLog.Summary())
		if err := closedLog.Close(); err != nil {
			t.Fatal(err)
		}
		if len(sum.Cursors) != 2 {
			t.Fatalf("%s has %+v", dir, sum)
		}
		got := fmt.Sprint(sum.Cursors[0].Position, sum.Cursors[0].Done, sum.Cursors[1].Position, sum.Cursors[1].Done)
		if want := "4 [{9 12} {30 100}] 20 []"; got != want {
			t.Errorf("cursors are %s, want %s", got, want)
		}
	}
}
