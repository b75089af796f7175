package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"testing"
	"time"

	"sluice/gateway/message"
)

// scale says how large a measurement shall be; 0, when name is not in the environment, skips it.
// TMPDIR on a file system in memory leaves out the cost of syncs.
func scale(t *testing.T, name string) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		t.Skip(name + "=N runs it")
	}
	return n
}

func reading(i int) message.Message {
	return message.Message{
		Topic: fmt.Sprintf("readings/line-3/press-%d", i%20), QoS: 1, Time: 1795345665221 + int64(i)*100, Device: fmt.Sprintf("press-%d", i%20), Seq: uint64(i),
		Payload: fmt.Appendf(nil, `{"gateway":"line-3","device":"press-%d","epoch":1,"seq":%d,"ts":%d,"values":{"counter":%d,"temperature":%.2f,"pressure":%.3f,"speed":%d,"torque":%.1f,"running":true,"mode":"automatic","batch":"A-%06d","energy":%.3f}}`,
			i%20, i, 1795345665221+int64(i)*100, i*7, 20+float64(i%37)/7, 1+float64(i%91)/13, 900+i%50, 40+float64(i%23)/3, i*31%1000000, float64(i)*1.37),
	}
}

// running opens a log and runs it until stop is called, which closes it.
func running(t *testing.T, o Options) (s *Store, stop func()) {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestTrickleAtScale commits SLUICE_TRICKLE messages one by one, and then the same in full blocks,
// and compares keys, disk and the time to open. 25,920,000 are 30 days of 10 a second.
func TestTrickleAtScale(t *testing.T) {
	n := scale(t, "SLUICE_TRICKLE")
	var disk [2]int64
	for round, window := range []int{1, 20000} {
		dir := filepath.Join(t.TempDir(), "log")
		s, stop := running(t, Options{Dir: dir})
		free := make(chan struct{}, window)
		ack := message.AcknowledgeFunc(func(uint64, message.Position, error) { <-free })
		began := time.Now()
		for i := range n {
			free <- struct{}{}
			m := reading(i)
			if err := s.Append(t.Context(), &m, ack, 0); err != nil {
				t.Fatal(err)
			}
		}
		for range window {
			free <- struct{}{} // all are acknowledged
		}
		appended := time.Since(began)
		time.Sleep(15 * time.Second) // the indexer and the collector catch up
		m, err := measure(dir)
		if err != nil {
			t.Fatal(err)
		}
		disk[round] = m.used
		blocks := len(s.index.blocks)
		live, _ := s.index.size()
		stop()
		runtime.GC()
		began = time.Now()
		s, stop = running(t, Options{Dir: dir})
		opened := time.Since(began)
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		t.Logf("%d messages, window %d: appended in %v, %d blocks of %d bytes, disk %d bytes, opened in %v, heap %d KiB, %d runs",
			n, window, appended, blocks, live, m.used, opened, mem.HeapAlloc>>10, len(s.postings.runs))
		stop()
		if window == 1 {
			sound(t, dir)
			if blocks > n/100+pendingMost {
				t.Errorf("%d blocks are left of %d commits", blocks, n)
			}
		}
	}
	t.Logf("disk: %.2f of the same in full blocks", float64(disk[0])/float64(disk[1]))
}

// TestFindByKeyAtScale measures look-ups over SLUICE_KEYS messages with a UNIQ_KEY and a key in
// KEYS each, with nothing in the cache of blocks.
func TestFindByKeyAtScale(t *testing.T) {
	n := scale(t, "SLUICE_KEYS")
	dir := filepath.Join(t.TempDir(), "log")
	s, stop := running(t, Options{Dir: dir})
	unique := func(i int) string { return fmt.Sprintf("7F0000010A2C18B4AAC2%012X", uint64(i)*2654435761) }
	for i := range n {
		m := reading(i)
		m.Properties = []message.Property{{Name: propertyUnique, Value: unique(i)}, {Name: propertyKeys, Value: fmt.Sprint("order-", i)}}
		if err := s.Append(t.Context(), &m, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Second) // the indexer catches up
	for _, when := range []string{"running", "reopened"} {
		var took []time.Duration
		for range 200 {
			s.cache.mu.Lock()
			for s.cache.order.Len() > 0 {
				s.cache.dropLocked(s.cache.order.Back())
			}
			s.cache.mu.Unlock()
			i := rand.IntN(n)
			key, want := unique(i), 1
			switch rand.IntN(3) {
			case 0:
				key = fmt.Sprint("order-", i)
			case 1:
				key, want = fmt.Sprint("absent-", i), 0
			}
			began := time.Now()
			found, err := s.FindByKey(t.Context(), key, time.Time{}, time.Time{}, 32)
			took = append(took, time.Since(began))
			if err != nil || len(found) != want {
				t.Fatalf("key %s: %d records, %v, want %d", key, len(found), err, want)
			}
		}
		sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
		s.postings.mu.RLock()
		var bytes uint64
		for _, r := range s.postings.runs {
			bytes += r.bytes
		}
		runs := len(s.postings.runs)
		s.postings.mu.RUnlock()
		tail, _ := s.Tail()
		t.Logf("%s: %d messages, %d blocks, %d runs of %d bytes: median %v, 99th of 100 %v, longest %v", when, tail, len(s.index.blocks), runs, bytes, took[100], took[198], took[199])
		if took[100] > 50*time.Millisecond {
			t.Errorf("a look-up takes %v", took[100])
		}
		if when == "running" {
			stop()
			s, stop = running(t, Options{Dir: dir})
		}
	}
	stop()
}

// TestTopicsAtScale appends SLUICE_TOPICS messages over one topic, over 10,000 and over 40,000,
// evenly, and compares throughput and memory; then it reads one topic out of all.
func TestTopicsAtScale(t *testing.T) {
	n := scale(t, "SLUICE_TOPICS")
	var one time.Duration
	for _, topics := range []int{1, 10000, 40000} {
		names := make([]string, topics)
		for i := range names {
			names[i] = fmt.Sprintf("readings/line-%d/press-%d", i/100, i)
		}
		payloads := make([][]byte, 1000)
		for i := range payloads {
			payloads[i] = reading(i).Payload
		}
		s, stop := running(t, Options{Dir: filepath.Join(t.TempDir(), "log")})
		var most uint64
		began := time.Now()
		for i := range n {
			m := message.Message{Topic: names[i%topics], Payload: payloads[i%1000], Time: int64(i)}
			if err := s.Append(t.Context(), &m, nil, 0); err != nil {
				t.Fatal(err)
			}
			if i%50000 == 0 {
				var mem runtime.MemStats
				runtime.ReadMemStats(&mem)
				most = max(most, mem.HeapAlloc)
			}
		}
		for tail, grown := s.Tail(); int(tail) < n; tail, grown = s.Tail() {
			<-grown
		}
		took := time.Since(began)
		if one == 0 {
			one = took
		}
		time.Sleep(10 * time.Second) // the indexer catches up
		runtime.GC()
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		s.postings.mu.RLock()
		bytes, pending, covered := uint64(0), 0, message.Position(0)
		for _, r := range s.postings.runs {
			bytes += r.bytes
			covered += r.last - r.first + 1
		}
		if s.postings.pending != nil {
			pending = s.postings.pending.memory
		}
		runs := len(s.postings.runs)
		s.postings.mu.RUnlock()
		began = time.Now()
		found := 0
		for next := message.Position(1); int(next) <= n; {
			records, after, err := s.ReadMatching(nil, next, 1000, []string{names[topics/2]})
			if err != nil {
				t.Fatal(err)
			}
			found, next = found+len(records), after
		}
		t.Logf("%d topics: %d messages in %v (%.2f of one topic), heap at most %d KiB, afterwards %d KiB with the cache, pending %d KiB; %d runs of %d bytes over %d messages; %d of one topic read in %v",
			topics, n, took, one.Seconds()/took.Seconds(), most>>10, mem.HeapAlloc>>10, pending>>10, runs, bytes, covered, found, time.Since(began))
		if want := n / topics; found < want {
			t.Errorf("%d records of one topic, want at least %d", found, want)
		}
		stop()
	}
}
