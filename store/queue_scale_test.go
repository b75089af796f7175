package store

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sort"
	"testing"
	"time"

	"sluice/gateway/message"
)

// TestQueuesAtScale appends SLUICE_QUEUES messages over one topic and over 10,000, evenly over 4
// queues each, and compares throughput and memory; then it reads at random offsets, and reopens the
// log as a kill would have left it.
func TestQueuesAtScale(t *testing.T) {
	n := scale(t, "SLUICE_QUEUES")
	const rounds = 2
	counts := []int{1, 10000}
	var best [2]time.Duration
	for round := range rounds { // in turns, so that a slow minute of the machine hits both
		for which, topics := range counts {
			s, stop, took := fillQueues(t, n, topics)
			if best[which] == 0 || took < best[which] {
				best[which] = took
			}
			if round == rounds-1 {
				measureQueues(t, s, n, topics)
			}
			stop()
			if round == rounds-1 {
				reopenQueues(t, s.opts.Dir, topics)
			}
		}
	}
	t.Logf("%d messages: %v over one topic, %v over 10,000 with 4 queues each: throughput %.2f of one topic",
		n, best[0], best[1], best[0].Seconds()/best[1].Seconds())
}

func queueNames(topics int) []string {
	names := make([]string, topics)
	for i := range names {
		names[i] = fmt.Sprintf("plant-topic-%05d", i)
	}
	return names
}

func fillQueues(t *testing.T, n, topics int) (s *Store, stop func(), took time.Duration) {
	names := queueNames(topics)
	payloads := make([][]byte, 1000)
	for i := range payloads {
		payloads[i] = reading(i).Payload
	}
	s, stop = running(t, Options{Dir: filepath.Join(t.TempDir(), "log")})
	began := time.Now()
	for i := range n {
		m := message.Message{Topic: names[i%topics], Queue: byte(i / topics % 4), Payload: payloads[i%1000], Time: int64(i)}
		if err := s.Append(t.Context(), &m, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	for tail, grown := s.Tail(); int(tail) < n; tail, grown = s.Tail() {
		<-grown
	}
	return s, stop, time.Since(began)
}

func measureQueues(t *testing.T, s *Store, n, topics int) {
	caught := time.Now()
	for s.covered() < message.Position(n)*9/10 && time.Since(caught) < time.Minute {
		time.Sleep(100 * time.Millisecond)
	}
	behind := time.Since(caught)
	var with runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&with)
	s.queues.mu.RLock()
	table := s.queues.memory
	s.queues.mu.RUnlock()
	s.postings.mu.RLock()
	pages, pending := uint64(0), 0
	for _, r := range s.postings.runs {
		pages += r.bytes
	}
	if s.postings.pending != nil {
		pending = s.postings.pending.memory
	}
	runs := len(s.postings.runs)
	s.postings.mu.RUnlock()
	stored, _ := s.index.size()

	names := queueNames(topics)
	var took []time.Duration
	for range 300 {
		queue, topic := rand.IntN(4), names[rand.IntN(topics)]
		_, next, err := s.QueueRange(topic, queue)
		if err != nil || next == 0 {
			t.Fatalf("queue %d of %s ends at %d, %v", queue, topic, next, err)
		}
		offset := rand.Uint64N(next)
		began := time.Now()
		records, _, err := s.ReadQueue(nil, topic, queue, offset, 1)
		took = append(took, time.Since(began))
		if err != nil || len(records) != 1 || records[0].QueueOffset != offset || records[0].Topic != topic {
			t.Fatalf("offset %d of queue %d of %s gives %d records, %v", offset, queue, topic, len(records), err)
		}
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })

	began := time.Now()
	s.queues.snapshot()
	snapshot := time.Since(began)
	t.Logf("%d topics: %d bytes stored; the index followed within %v in %d runs of %d bytes, %d KiB pending; the table counts %d bytes for %d topics (%d a queue), a snapshot takes %v; heap %d KiB with the cache; one message by offset: median %v, 99th of 100 %v",
		topics, stored, behind.Round(time.Millisecond), runs, pages, pending>>10, table, topics, table/4/topics, snapshot, with.HeapAlloc>>10, took[150], took[297])
}

// covered is the last position up to which the index knows everything.
func (s *Store) covered() message.Position {
	s.postings.mu.RLock()
	end := s.postings.pending.end()
	s.postings.mu.RUnlock()
	head, _ := s.index.ends()
	first, _ := s.postings.uncovered(head)
	return max(end, first-1)
}

func reopenQueues(t *testing.T, dir string, topics int) {
	began := time.Now()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	opened := time.Since(began)
	// What the table takes in memory is what it adds to an empty one.
	f := newFound()
	if err := f.load(s.db); err != nil {
		t.Fatal(err)
	}
	*s.queues = queueTable{bound: queueMemory, topics: make(map[string]*queueTopic)}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began = time.Now()
	s.loadQueues(&f)
	loaded := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d topics: opened in %v, of which the queues %v; the table takes %d bytes, %d a queue", topics, opened, loaded, grown, grown/int64(4*topics))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkAssign is what a message's place in its queue costs while it is appended.
func BenchmarkAssign(b *testing.B) {
	for _, topics := range []int{1, 10000} {
		b.Run(fmt.Sprint(topics), func(b *testing.B) {
			q, g := newQueueTable(queueMemory), &group{first: 1}
			names := queueNames(topics)
			at := message.Position(1)
			b.ReportAllocs()
			for b.Loop() {
				m := message.Message{Topic: names[int(at)%topics], Queue: byte(int(at) / topics % 4)}
				if at%4000 == 0 { // as many as a group has
					g = &group{first: at, touched: make([]touched, 0, len(g.touched))}
				}
				q.assign(&m, g, at)
				at++
			}
		})
	}
}
