package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// fillReadings appends n readings of two devices, each with a property.
func fillReadings(l *storetest.Log, n int) {
	var list []message.Message
	for i := range n {
		list = append(list, message.Message{
			Topic: fmt.Sprintf("readings/g/d%d", i%2), Payload: fmt.Appendf(nil, `{"v":%d}`, i), Time: int64(1000 + i), QoS: byte(i % 3),
			Device: fmt.Sprintf("d%d", i%2), Seq: uint64(i/2 + 1), Properties: []message.Property{{Name: "n", Value: fmt.Sprint(i)}},
		})
	}
	l.Append(list...)
}

// all reads a closed log.
func all(t *testing.T, dir string) (records []message.Record, sum store.Summary) {
	t.Helper()
	c, err := store.OpenClosed(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Records(0, 1<<62, func(r *message.Record) error { records = append(records, *r); return nil }); err != nil {
		t.Fatal(err)
	}
	if sum, err = c.Summary(); err != nil {
		t.Fatal(err)
	}
	return records, sum
}

func sameRecords(t *testing.T, got, want []message.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if fmt.Sprintf("%+v", got[i]) != fmt.Sprintf("%+v", want[i]) {
			t.Fatalf("record %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

// fingerprint is what lies in a directory, names, contents and times.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		fmt.Fprintf(&text, "%s %x %v\n", path, sha256.Sum256(content), info.ModTime())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func closeLog(t *testing.T, l *storetest.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func export(t *testing.T, dir string) []byte {
	t.Helper()
	c, err := store.OpenClosed(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var stream bytes.Buffer
	sum, err := c.Export(t.Context(), &stream, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Bytes != int64(stream.Len()) {
		t.Errorf("it says %d bytes and wrote %d", sum.Bytes, stream.Len())
	}
	return stream.Bytes()
}

func TestLookingAtAClosedLogChangesNothing(t *testing.T) {
	l := storetest.Open(t)
	fillReadings(l, 300)
	open(t, l, "uplink", 100)
	if _, err := store.OpenClosed(l.Dir); err == nil || !strings.Contains(err.Error(), "in use: stop the gateway") {
		t.Errorf("a running log gives %v", err)
	}
	if _, err := store.Check(l.Dir); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("checking a running log gives %v", err)
	}
	closeLog(t, l)
	before := fingerprint(t, l.Dir)
	records, sum := all(t, l.Dir)
	if len(records) != 300 || sum.Messages != 300 || sum.First != 1 || sum.Last != 300 || sum.Epoch == 0 || sum.Blocks == 0 || sum.BlockBytes == 0 || sum.DiskBytes == 0 {
		t.Errorf("%d records, summary %+v", len(records), sum)
	}
	if len(sum.Cursors) != 1 || sum.Cursors[0].Messages != 201 || sum.Cursors[0].Bytes == 0 {
		t.Errorf("cursors %+v", sum.Cursors)
	}
	if want := []store.DeviceSummary{{Name: "d0", Seq: 150, Position: 299}, {Name: "d1", Seq: 150, Position: 300}}; fmt.Sprint(sum.Devices) != fmt.Sprint(want) {
		t.Errorf("devices %+v, want %+v", sum.Devices, want)
	}
	export(t, l.Dir)
	report := storetest.Check(t, l.Dir)
	if report.Repaired {
		t.Error("the check repaired a log that was closed in an orderly way")
	}
	if after := fingerprint(t, l.Dir); after != before {
		t.Errorf("the directory was\n%s\nand is\n%s", before, after)
	}
	if _, err := store.OpenClosed(filepath.Join(t.TempDir(), "none")); !errors.Is(err, store.ErrNoLog) {
		t.Errorf("a directory without a log gives %v", err)
	}
}

func TestExportsAreRestored(t *testing.T) {
	l := storetest.Open(t)
	fillReadings(l, 3000)
	// More cursors than a frame holds; one that would expire and has been unused.
	for i := range 300 {
		open(t, l, fmt.Sprintf("c%d", i), message.Position(10*i+1)).Close()
	}
	session, err := l.OpenExpiringCursor("session", 8, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	session.Close()
	closeLog(t, l)
	want, before := all(t, l.Dir)
	stream := export(t, l.Dir)

	dir := filepath.Join(t.TempDir(), "restored")
	restored, err := store.Restore(t.Context(), dir, bytes.NewReader(stream), nil)
	if err != nil {
		t.Fatal(err)
	}
	if restored.Messages != 3000 || restored.Cursors != 301 || restored.Devices != 2 || restored.Bytes != int64(len(stream)) || restored.NewEpoch <= restored.Epoch {
		t.Errorf("restored %+v", restored)
	}
	got, after := all(t, dir)
	sameRecords(t, got, want)
	if fmt.Sprint(after.Devices) != fmt.Sprint(before.Devices) {
		t.Errorf("devices are %+v, want %+v", after.Devices, before.Devices)
	}
	if len(after.Cursors) != len(before.Cursors) {
		t.Fatalf("%d cursors, want %d", len(after.Cursors), len(before.Cursors))
	}
	for i, c := range after.Cursors {
		was := before.Cursors[i]
		if c.Name != was.Name || c.Position != was.Position || c.LimitSeconds != was.LimitSeconds {
			t.Errorf("cursor %+v, want %+v", c, was)
		}
	}
	// It goes on where it was, and again exports the same.
	again := storetest.Open(t, storetest.In(dir))
	if at := again.Append(text("next")); at != 3001 {
		t.Errorf("the next message has position %d, want 3001", at)
	}
	if epoch, seq, err := again.Sequence("d1"); epoch != restored.NewEpoch || seq != 1500 || err != nil {
		t.Errorf("d1 is at epoch %d, seq %d, %v", epoch, seq, err)
	}
	if _, err := store.Restore(t.Context(), dir, bytes.NewReader(stream), nil); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("restoring over a log gives %v", err)
	}
}

func TestEmptyLogsAreExportedToo(t *testing.T) {
	l := storetest.Open(t)
	closeLog(t, l)
	dir := t.TempDir()
	if _, err := store.Restore(t.Context(), dir, bytes.NewReader(export(t, l.Dir)), nil); err != nil {
		t.Fatal(err)
	}
	if records, _ := all(t, dir); len(records) != 0 {
		t.Errorf("%d records", len(records))
	}
}

func TestBrokenExportsAreRefused(t *testing.T) {
	l := storetest.Open(t)
	fillReadings(l, 200)
	open(t, l, "c", 5)
	closeLog(t, l)
	stream := export(t, l.Dir)
	tryOut := func(what string, broken []byte) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "x")
		_, err := store.Restore(t.Context(), dir, bytes.NewReader(broken), nil)
		if !errors.Is(err, store.ErrExport) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: restore gives %v", what, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: restore leaves %v", what, left)
		}
	}
	for _, at := range []int{0, 5, 11, 40, len(stream) / 2, len(stream) - 1} {
		tryOut(fmt.Sprintf("cut off at %d", at), stream[:at])
		flipped := bytes.Clone(stream)
		flipped[at] ^= 4
		tryOut(fmt.Sprintf("flipped at %d", at), flipped)
	}
}

// slowWriter lets something happen between two writes.
type slowWriter struct {
	io.Writer
	between func()
}

func (w slowWriter) Write(b []byte) (int, error) {
	w.between()
	return w.Writer.Write(b)
}

func TestBackupWhileAppending(t *testing.T) {
	l := storetest.Open(t, func(o *store.Options) { o.FileSize = 4 << 20 })
	fillReadings(l, 5000)
	cursor := open(t, l, "uplink", 1)
	cursor.Move(1234)
	saved(t, cursor)
	want, err := l.Read(nil, 1, 5000)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	appending := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			l.Append(message.Message{Topic: "readings/g/d0", Device: "d0", Seq: uint64(2501 + n), Payload: bytes.Repeat([]byte("x"), 300)})
		}
		appending <- n
	}()
	var stream bytes.Buffer
	calls := 0
	sum, err := l.Backup(t.Context(), slowWriter{&stream, func() { time.Sleep(2 * time.Millisecond); cursor.Move(2000) }}, func(p store.Exported) {
		calls++
		if p.Last < 5000 || p.Bytes == 0 {
			t.Errorf("progress %+v", p)
		}
	})
	stop()
	n := <-appending
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 || calls == 0 || sum.Messages != uint64(sum.Last) {
		t.Errorf("%d appended meanwhile, %d calls, %+v", n, calls, sum)
	}
	dir := t.TempDir()
	restored, err := store.Restore(t.Context(), dir, &stream, nil)
	if err != nil {
		t.Fatal(err)
	}
	epoch, _, err := l.Sequence("d0")
	if err != nil || restored.NewEpoch <= epoch || restored.Epoch != epoch {
		t.Errorf("epochs: %d, restored %+v, %v", epoch, restored, err)
	}
	storetest.Check(t, dir)
	got, summary := all(t, dir)
	if uint64(len(got)) != uint64(sum.Last) {
		t.Errorf("%d records, want all %d", len(got), sum.Last)
	}
	sameRecords(t, got[:5000], want)
	if len(summary.Cursors) != 1 || summary.Cursors[0].Position != 1234 {
		t.Errorf("cursors %+v, want one at 1234", summary.Cursors)
	}
	lastOfD0 := uint64(2500)
	for i := range got {
		if got[i].Device == "d0" {
			lastOfD0 = got[i].Seq
		}
	}
	if summary.Devices[0].Seq != lastOfD0 {
		t.Errorf("d0 is at %d, its last reading in the backup has %d", summary.Devices[0].Seq, lastOfD0)
	}
}

func TestBackupOfWhatIsTrimmedMeanwhile(t *testing.T) {
	l := storetest.Open(t, func(o *store.Options) { o.RetentionSize = 1 })
	pinned := open(t, l, "uplink", 1)
	saved(t, pinned)
	large := make([]byte, 200<<10)
	random := rand.NewChaCha8([32]byte{1})
	for range 10 {
		random.Read(large) // so that the stream is written while it is made
		l.Append(message.Message{Topic: "t", Payload: large})
	}
	first := true
	var stream bytes.Buffer
	sum, err := l.Backup(t.Context(), slowWriter{&stream, func() {
		if !first {
			return
		}
		first = false
		pinned.Move(8)
		saved(t, pinned)
		eventually(t, "the head has moved", func() bool { return l.Head() == 9 })
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Last != 10 || sum.Messages >= 10 {
		t.Errorf("backed up %+v", sum)
	}
	dir := t.TempDir()
	if _, err := store.Restore(t.Context(), dir, &stream, nil); err != nil {
		t.Fatal(err)
	}
	got, summary := all(t, dir)
	if n := len(got); n < 2 || got[n-1].Position != 10 || got[n-2].Position != 9 || len(summary.Damage) == 0 {
		t.Errorf("%d records, damage %+v", n, summary.Damage)
	}
	again := storetest.Open(t, storetest.In(dir))
	if at := again.Append(text("next")); at != 11 {
		t.Errorf("the next position is %d, want 11", at)
	}
}

func TestBackupEndsWithItsContext(t *testing.T) {
	l := storetest.Open(t)
	fillReadings(l, 10)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := l.Backup(ctx, io.Discard, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled backup gives %v", err)
	}
	broken := errors.New("the client has gone")
	if _, err := l.Backup(t.Context(), slowWriter{failing{broken}, func() {}}, nil); !errors.Is(err, broken) {
		t.Errorf("a backup to nowhere gives %v", err)
	}
}

type failing struct{ err error }

func (w failing) Write([]byte) (int, error) { return 0, w.err }

func TestLogsOfAKilledGatewayAreRepairedAndSaySo(t *testing.T) {
	l := storetest.Open(t)
	fillReadings(l, 50)
	killed := t.TempDir()
	err := os.CopyFS(killed, os.DirFS(l.Dir))
	for errors.Is(err, fs.ErrNotExist) { // a temporary file was renamed under the copy
		killed = t.TempDir()
		err = os.CopyFS(killed, os.DirFS(l.Dir))
	}
	if err != nil {
		t.Fatal(err)
	}
	report := storetest.Check(t, killed)
	if !report.Repaired || report.Messages != 50 {
		t.Errorf("check says %+v", report)
	}
	if report = storetest.Check(t, killed); report.Repaired {
		t.Error("it is repaired a second time")
	}
}

func TestAKilledRestoreIsNoLog(t *testing.T) {
	l := storetest.Open(t)
	fillReadings(l, 10)
	closeLog(t, l)
	stream := export(t, l.Dir)
	dir := t.TempDir()
	// What a kill leaves: the folder that the log is made in, however far it was.
	if err := os.CopyFS(filepath.Join(dir, "restoring"), os.DirFS(l.Dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenClosed(dir); !errors.Is(err, store.ErrNoLog) {
		t.Errorf("opening it gives %v", err)
	}
	if _, err := store.Restore(t.Context(), dir, bytes.NewReader(stream), nil); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("restoring over it gives %v", err)
	}
}
