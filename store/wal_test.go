package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/message"
)

// walled opens a log in dir that nobody runs: the test commits.
func walled(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, FileSize: 1 << 20, OnGap: func(Gap) {}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// one commits a reading of device d alone.
func one(t *testing.T, s *Store, seq uint64, payload string) {
	t.Helper()
	m := message.Message{Topic: "readings/g/d", Payload: []byte(payload), Device: "d", Seq: seq, Time: int64(seq)}
	if err := s.Append(t.Context(), &m, nil, 0); err != nil {
		t.Fatal(err)
	}
	for s.commitNext() {
	}
}

// kill copies what a killed process leaves of s, and lets go of s.
func kill(t *testing.T, s *Store) (dir string) {
	t.Helper()
	dir = copyStill(t, s.opts.Dir)
	closed(t, s)
	return dir
}

// seqs gives the sequence numbers that can be read.
func seqs(t *testing.T, s *Store) (list []uint64) {
	t.Helper()
	records, err := s.Read(nil, 1, 10000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if uint64(r.Position) != r.Seq {
			t.Fatalf("the reading %d stands at %d", r.Seq, r.Position)
		}
		list = append(list, r.Seq)
	}
	return list
}

func count(first, last uint64) (list []uint64) {
	for n := first; n <= last; n++ {
		list = append(list, n)
	}
	return list
}

func want(t *testing.T, s *Store, seq []uint64) {
	t.Helper()
	if got := seqs(t, s); fmt.Sprint(got) != fmt.Sprint(seq) {
		t.Errorf("the log has %v, want %v", got, seq)
	}
}

func TestWhatOnlyTheWriteAheadLogHasIsRead(t *testing.T) {
	s := walled(t, t.TempDir())
	for seq := range uint64(30) {
		one(t, s, seq+1, "x")
	}
	if _, err := s.value(blockKey(30)); err != errAbsent {
		t.Errorf("Badger has the block already: %v", err)
	}
	want(t, s, count(1, 30))
	if _, last, err := s.Sequence("d"); last != 30 || err != nil {
		t.Errorf("the device is at %d, %v, want 30", last, err)
	}
	h, _ := s.index.find(10) // as a reader has it that is slower than the checkpoint
	s.settle()
	if n := len(s.index.blocks); n != 1 {
		t.Errorf("%d blocks after the checkpoint, want 1", n)
	}
	if len(s.cache.young) != 0 {
		t.Errorf("%d blocks are still held in memory", len(s.cache.young))
	}
	s.cache.known, s.cache.cost = nil, 0
	s.cache.order.Init()
	if _, err := s.records(h); err == nil {
		t.Error("a block that was replaced can still be read")
	} else if err := s.skip(h, err); err != nil {
		t.Error(err)
	}
	want(t, s, count(1, 30))
	if _, last, err := s.Sequence("d"); last != 30 || err != nil {
		t.Errorf("the device is at %d, %v, want 30", last, err)
	}
	if st := s.Stats(); st.Damages != 0 {
		t.Errorf("%d damages are reported, want none", st.Damages)
	}
	closed(t, s)
}

func TestAKilledWriteAheadLogIsReplayed(t *testing.T) {
	s := walled(t, t.TempDir())
	epoch := s.epoch
	cursor, err := s.OpenCursor("uplink", 1)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 20; seq++ {
		one(t, s, seq, strings.Repeat("y", 100))
		if seq == 12 {
			s.settle() // the rest is in the other file
		}
	}
	cursor.Move(17)
	cursor.Flush()
	s.commitNext()
	dir := kill(t, s)
	for range 2 { // and once more from Badger
		s = walled(t, dir)
		want(t, s, count(1, 20))
		if e, last, err := s.Sequence("d"); last != 20 || err != nil || e != epoch {
			t.Errorf("the device is at %d in epoch %d, %v, want 20 in %d", last, e, err, epoch)
		}
		if cursor, err = s.OpenCursor("uplink", 1); err != nil || cursor.Durable() != 17 {
			t.Errorf("the cursor stands at %d, %v, want 17", cursor.Durable(), err)
		}
		if st := s.Stats(); st.Damages != 0 {
			t.Errorf("damage %+v, want none", st.Damage)
		}
		closed(t, s)
		if report := sound(t, dir); report.Repaired {
			t.Error("the log was left as by a kill")
		}
	}
}

// A kill between the transactions of a checkpoint leaves Badger with some of it.
func TestAHalfWrittenCheckpointIsWrittenAgain(t *testing.T) {
	s := walled(t, t.TempDir())
	for seq := range uint64(20) {
		one(t, s, seq+1, "z")
	}
	full := packer{s: s}
	for _, h := range s.index.blocks {
		records, err := s.records(h)
		if err != nil {
			t.Fatal(err)
		}
		full.add(records, h.clock)
	}
	full.close()
	b := newBatch(s.db)
	h := full.made[0].header
	b.set(blockKey(h.last()), full.made[0].value)
	b.set(headerKey(h.last()), h.value(headerKey(h.last())))
	if err := s.write(b); err != nil {
		t.Fatal(err)
	}
	dir := kill(t, s)
	s = walled(t, dir)
	want(t, s, count(1, 20))
	one(t, s, 21, "z")
	want(t, s, count(1, 21))
	closed(t, s)
	sound(t, dir)
}

func TestDamageInTheWriteAheadLogCostsOneRecord(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(content []byte) // of the file that is written to
		want   []uint64
		epoch  bool // a new one begins
	}{
		{"a record in the middle", func(b []byte) { b[3*walAlign+walHead+20] ^= 1 }, append(count(1, 2), count(4, 10)...), true},
		{"the length of a record", func(b []byte) { b[3*walAlign+4] ^= 1 }, append(count(1, 2), count(4, 10)...), true},
		{"the salt", func(b []byte) { b[6] ^= 1 }, count(1, 10), false},
		// Nobody can tell it from a write that a power cut tore before its acknowledgement.
		{"the last record", func(b []byte) { b[10*walAlign+walHead] ^= 1 }, count(1, 9), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := walled(t, t.TempDir())
			epoch := s.epoch
			for seq := range uint64(10) {
				one(t, s, seq+1, "v")
			}
			dir := kill(t, s)
			path := filepath.Join(dir, "wal", walNames[0])
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c.damage(content)
			if err := os.WriteFile(path, content, 0o640); err != nil {
				t.Fatal(err)
			}
			s = walled(t, dir)
			want(t, s, c.want)
			if (s.epoch != epoch) != c.epoch {
				t.Errorf("the epoch is %d, was %d", s.epoch, epoch)
			}
			if lost := 10 - len(c.want); lost > 0 && c.want[len(c.want)-1] == 10 && s.Stats().Damages == 0 {
				t.Error("no damage is reported")
			}
			closed(t, s)
			sound(t, dir)
		})
	}
}

func TestWhatTrimmingMovedStaysMoved(t *testing.T) {
	s := walled(t, t.TempDir())
	put(t, s, 40, varied(1, 400, 1000)...) // blocks in Badger
	s.settle()
	cursor, err := s.OpenCursor("slow", 1)
	if err != nil {
		t.Fatal(err)
	}
	cursor.Flush()
	s.commitNext() // into the write-ahead log, at 0
	gone := s.index.oldest(3)
	if len(gone) < 3 {
		t.Fatalf("%d blocks may go, want 3", len(gone))
	}
	if err := s.remove(gone, 0); err != nil {
		t.Fatal(err)
	}
	end := gone[2].last()
	s.settle()
	mark, _, err := decodeCursor(cursorKey("slow"), must(s.value(cursorKey("slow"))))
	if err != nil || mark.at != end {
		t.Errorf("the checkpoint wrote the cursor at %d, %v, want %d", mark.at, err, end)
	}
	closed(t, s)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestManySmallValuesTakeSeveralTransactions(t *testing.T) {
	dir := t.TempDir()
	s := walled(t, dir)
	for n := range 600 { // a device and a cursor each: more than a transaction takes
		m := message.Message{Topic: "t", Payload: []byte("w"), Device: fmt.Sprintf("device %d", n), Seq: 1}
		if err := s.Append(t.Context(), &m, nil, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.OpenCursor(fmt.Sprintf("cursor %d", n), 1); err != nil {
			t.Fatal(err)
		}
	}
	for s.commitNext() {
	}
	s.cursors.wake()
	closed(t, s)
	if report := sound(t, dir); report.Devices != 600 || report.Cursors != 600 || report.Messages != 600 {
		t.Errorf("check finds %+v", report)
	}
}

func TestABackupHasWhatOnlyTheWriteAheadLogHad(t *testing.T) {
	s := walled(t, t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()
	acked := make(chan error, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { acked <- err })
	for n := range uint64(5) {
		m := message.Message{Topic: "t", Payload: []byte("b"), Device: "d", Seq: n + 1}
		if err := s.Append(ctx, &m, ack, n); err != nil {
			t.Fatal(err)
		}
		if err := <-acked; err != nil {
			t.Fatal(err)
		}
	}
	var stream bytes.Buffer
	if done, err := s.Backup(ctx, &stream, nil); err != nil || done.Messages != 5 || done.Last != 5 {
		t.Errorf("the backup has %+v, %v, want 5 messages", done, err)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	closed(t, s)
}

func FuzzWAL(f *testing.F) {
	salt := []byte("0123456789abcdef")
	good := walRecord{
		seq: 7, settled: 3, clock: 1234, blocks: [][]byte{[]byte("a block"), {}},
		entries: []entry{{[]byte("ckey"), []byte("value")}, {[]byte("d"), nil}},
	}
	f.Add(good.append(nil, salt))
	f.Add((&walRecord{seq: 1}).append(nil, salt))
	f.Add([]byte(walMagic))
	f.Fuzz(func(t *testing.T, content []byte) {
		r, size, ok := decodeWAL(content, salt)
		if !ok {
			// With the sum put right the rest of the decoder is reached.
			if len(content) < walHead {
				return
			}
			content = bytes.Clone(content)
			copy(content, walMagic)
			content[4], content[5] = 0, 0
			n := min(int(content[6])<<8|int(content[7]), len(content)-walHead)
			content[6], content[7] = byte(n>>8), byte(n)
			content = content[:walHead+n]
			sum := walSum(salt, content)
			content[walHead-4], content[walHead-3], content[walHead-2], content[walHead-1] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
			if r, size, ok = decodeWAL(content, salt); !ok {
				return
			}
		}
		again, n, ok := decodeWAL(r.append(nil, salt), salt)
		if !ok || n > size || again.seq != r.seq || again.settled != r.settled || again.clock != r.clock ||
			len(again.blocks) != len(r.blocks) || len(again.entries) != len(r.entries) {
			t.Errorf("%+v was written and read as %+v", r, again)
		}
		if int64(n) > r.bound() {
			t.Errorf("a record of %d bytes was to have at most %d", n, r.bound())
		}
	})
}
