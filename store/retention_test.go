package store_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// noise is a message of a device whose payload does not compress.
func noise(seq, size int) message.Message {
	payload := make([]byte, size)
	rand.Read(payload)
	return message.Message{Topic: "t", Payload: payload, Device: "press", Seq: uint64(seq), Time: int64(seq)}
}

func TestRetentionKeepsWhatACursorWants(t *testing.T) {
	l := storetest.Open(t, func(o *store.Options) { o.RetentionSize = 200 << 10 })
	c := open(t, l, "uplink", 1)
	saved(t, c)
	for i := range 40 {
		l.Append(noise(i+1, 40<<10)) // each a block in Badger
	}
	if l.Head() != 1 {
		t.Errorf("the head is %d although a cursor wants everything", l.Head())
	}
	c.Move(30)
	saved(t, c)
	eventually(t, "the head follows the cursor", func() bool { return l.Head() == 31 })
	c.Move(40)
	saved(t, c)
	eventually(t, "the retention's size is kept", func() bool { return l.Head() > 31 && l.Stats().BlockBytes <= 200<<10 })
	head := l.Head()
	if records, err := l.Read(nil, 1, 100); err != nil || len(records) == 0 || records[0].Position != head {
		t.Errorf("reading from the start gives %d records, %v, want them from %d", len(records), err, head)
	}
	l.Reopen()
	if l.Head() != head {
		t.Errorf("the head is %d after a restart, was %d", l.Head(), head)
	}
	if _, last, err := l.Sequence("press"); last != 40 || err != nil {
		t.Errorf("seq %d, %v, want 40", last, err)
	}
	if st := l.Stats(); st.Dropped != 0 || st.Messages != uint64(41-head) || st.Last != 40 || st.Oldest != int64(head) {
		t.Errorf("stats are %+v", st)
	}
}

func TestRetentionByAgeIgnoresTheWallClock(t *testing.T) {
	l := storetest.Open(t, func(o *store.Options) { o.RetentionAge = 1 })
	// Stamped in 1970 and in 2200: only the time that the log was open counts.
	old, future := noise(1, 40<<10), noise(2, 40<<10)
	future.Time = 7258118400000
	l.Append(old)
	l.Append(future)
	l.Append(noise(3, 40<<10))
	eventually(t, "all but the last block expire", func() bool { return l.Head() == 3 })

	patient := storetest.Open(t, func(o *store.Options) { o.RetentionAge = 1 << 62 })
	patient.Append(old)
	patient.Append(future)
	patient.Append(noise(3, 40<<10))
	patient.Reopen()
	if patient.Head() != 1 {
		t.Errorf("the head is %d, nothing is old enough", patient.Head())
	}
}

// fillUp appends until something else than room is the answer, or n are in.
func fillUp(t *testing.T, l *storetest.Log, n int, acked *atomic.Uint64) (taken int, err error) {
	t.Helper()
	ack := message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) {
		if err != nil {
			t.Errorf("message %d: %v", at, err)
		}
		acked.Store(uint64(at))
	})
	first, _ := l.Tail()
	for i := range n {
		m := noise(int(first)+i+1, 30<<10)
		if err := l.Store.Append(t.Context(), &m, ack, 0); err != nil {
			return i, err
		}
	}
	return n, nil
}

const limit = 12 << 20

func TestFullLogRefusesAndRecovers(t *testing.T) {
	l := storetest.Open(t, func(o *store.Options) { o.Limit = limit })
	c := open(t, l, "uplink", 1)
	saved(t, c)
	var acked atomic.Uint64
	taken, err := fillUp(t, l, 2000, &acked)
	if err != message.ErrFull {
		t.Fatalf("%d messages were taken, then %v, want %v", taken, err, message.ErrFull)
	}
	eventually(t, "what was taken is acknowledged", func() bool { return acked.Load() == uint64(taken) })
	if st := l.Stats(); st.Health != store.Full || st.Error == "" || st.Bytes > limit {
		t.Errorf("stats are %+v", st)
	}
	l.Reopen() // also full when it starts, after the few for which it may have made room as it closed
	more, err := fillUp(t, l, 2000, &acked)
	if taken += more; err != message.ErrFull {
		t.Fatalf("after a restart %d messages were taken, then %v, want %v", more, err, message.ErrFull)
	}
	eventually(t, "it is full", func() bool { return l.Stats().Health == store.Full && l.Stats().Last == message.Position(taken) })
	c = open(t, l, "uplink", 1)
	if records, err := l.Read(nil, 1, 1); err != nil || len(records) != 1 {
		t.Errorf("a full log reads %d records, %v", len(records), err)
	}
	c.Move(message.Position(taken)) // the cloud took all of it
	saved(t, c)
	eventually(t, "there is space again", func() bool { return l.Stats().Health == store.OK })
	l.Append(noise(taken+1, 100))
}

func TestDropOldestKeepsTheNewest(t *testing.T) {
	var lost, gaps atomic.Uint64
	var end atomic.Uint64
	l := storetest.Open(t, func(o *store.Options) {
		o.Limit, o.DropOldest = limit, true
		o.OnGap = func(g store.Gap) {
			if len(g.Devices) != 1 || g.Devices[0].From != end.Load()+1 || g.Devices[0].From != uint64(g.From) ||
				g.Devices[0].To != uint64(g.To) || g.Messages != uint64(g.To-g.From+1) {
				t.Errorf("after %d: gap %+v", end.Load(), g)
			}
			end.Store(uint64(g.To))
			lost.Add(g.Messages)
			gaps.Add(1)
		}
	})
	c := open(t, l, "uplink", 1)
	saved(t, c)
	var acked atomic.Uint64
	const n = 600 // 18 MB into 12
	for taken := 0; taken < n; {
		more, err := fillUp(t, l, n-taken, &acked)
		if taken += more; err != nil {
			if err != message.ErrFull {
				t.Fatal(err)
			}
			eventually(t, "dropping makes room", func() bool { return l.Stats().Health == store.OK })
		}
		eventually(t, "all is durable", func() bool { return l.Stats().Last == message.Position(taken) })
	}
	st := l.Stats()
	if gaps.Load() == 0 || lost.Load() != st.Dropped || st.First != message.Position(lost.Load())+1 || c.Position() != st.First-1 || c.Durable() != st.First-1 {
		t.Errorf("%d messages lost in %d gaps, stats %+v, cursor at %d", lost.Load(), gaps.Load(), st, c.Position())
	}
	if st.Bytes > limit {
		t.Errorf("%d bytes on disk, the limit is %d", st.Bytes, limit)
	}
	if st.Messages < 50 {
		t.Errorf("only %d messages are left: too much was dropped", st.Messages)
	}
	l.Reopen()
	// On a slow machine dropping may not have come to its end before the restart.
	eventually(t, "the count of what was dropped outlives a restart", func() bool {
		return l.Stats().Dropped == lost.Load() && lost.Load() >= st.Dropped
	})
}

// tmpfs mounts a small file system for the test.
func tmpfs(t *testing.T, size string) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a tmpfs")
	}
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a tmpfs: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// TestFullFileSystem fills a small file system under the log from outside.
func TestFullFileSystem(t *testing.T) {
	dir := tmpfs(t, "24m")
	log := filepath.Join(dir, "log")
	l := storetest.Open(t, storetest.In(log))
	c := open(t, l, "uplink", 1)
	saved(t, c)
	l.Append(noise(1, 100))

	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	eventually(t, "it is full", func() bool { return l.Stats().Health == store.Full })
	m := noise(2, 100)
	if err := l.Store.Append(t.Context(), &m, nil, 0); err != message.ErrFull {
		t.Errorf("append gives %v, want %v", err, message.ErrFull)
	}
	if records, err := l.Read(nil, 1, 1); err != nil || len(records) != 1 {
		t.Errorf("a full disk reads %d records, %v", len(records), err)
	}
	c.Move(1) // waits for space
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	saved(t, c)
	eventually(t, "there is space again", func() bool { return l.Stats().Health == store.OK })

	var acked atomic.Uint64
	taken, err := fillUp(t, l, 2000, &acked)
	if err != message.ErrFull {
		t.Errorf("%d messages were taken, then %v, want %v", taken, err, message.ErrFull)
	}
	eventually(t, "what was taken is acknowledged", func() bool { return acked.Load() == uint64(taken+1) })
	c.Move(message.Position(taken + 1))
	saved(t, c)
	eventually(t, "there is space again", func() bool { return l.Stats().Health == store.OK })

	l.Reopen()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// A full disk does not keep the log from starting: it has a ballast of its own to throw off. Once
	// somebody has taken that space too, it says why it cannot.
	fill(t, ballast)
	s, err := store.Open(store.Options{Dir: log, FileSize: 1 << 20})
	if err != nil {
		t.Fatalf("open on a full disk: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close on a full disk: %v", err)
	}
	if err := os.Remove(filepath.Join(log, "ballast")); err != nil {
		t.Fatal(err)
	}
	fill(t, ballast)
	_, err = store.Open(store.Options{Dir: log, FileSize: 1 << 20})
	if want := fmt.Sprintf("open the log in %s: no space left", log); err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
		t.Errorf("open on a full disk gives %v, want %q", err, want)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 64<<10); ; {
		if _, err := f.Write(chunk); err != nil {
			return
		}
	}
}
