package store

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sluice/gateway/message"
)

// processorTime is what this process has used: on a machine that does other things too it says more than
// the time that passed.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// benchQueues makes a log of n messages of 256 bytes as RocketMQ producers send them, over topics of so
// many queues in turn, all of it indexed.
func benchQueues(b *testing.B, n, topics, queues int) *Store {
	b.Helper()
	s, err := Open(Options{Dir: filepath.Join(b.TempDir(), "log")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	names := queueNames(topics)
	for i := range n {
		m := message.Message{
			Topic: names[i/queues%topics], Queue: byte(i % queues), QoS: 1, Time: 1795345665221 + int64(i), Payload: reading(i).Payload,
			Properties: []message.Property{
				{Name: "KEYS", Value: fmt.Sprint("order-", i)}, {Name: "TAGS", Value: "press"}, {Name: "UNIQ_KEY", Value: fmt.Sprintf("7F0000010000%020X", i)},
				{Name: "WAIT", Value: "true"}, {Name: "\x00rocketmq", Value: fmt.Sprintf("0 0 %d 0 0 127.0.0.1:40512", 1795345665221+int64(i))},
			},
		}
		if err := s.Append(b.Context(), &m, nil, 0); err != nil {
			b.Fatal(err)
		}
		if i%4000 == 0 {
			for s.commitNext() {
			}
			if _, err := s.tend(); err != nil {
				b.Fatal(err)
			}
		}
	}
	for s.commitNext() {
	}
	for more := true; more; {
		if more, err = s.tend(); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkReadQueue consumes a backlog: 32 messages of each queue in turn.
func BenchmarkReadQueue(b *testing.B) {
	const n = 96_000
	for _, c := range []struct{ topics, queues int }{{1, 8}, {100, 4}} {
		b.Run(fmt.Sprintf("%dx%d", c.topics, c.queues), func(b *testing.B) {
			s := benchQueues(b, n, c.topics, c.queues)
			names := queueNames(c.topics)
			var records []message.Record
			read := 0
			b.ReportAllocs()
			began := processorTime(b)
			for b.Loop() {
				for offset := uint64(0); offset < uint64(n/c.topics/c.queues); offset += 32 {
					for i := range c.topics * c.queues {
						var err error
						records, _, err = s.ReadQueue(records[:0], names[i/c.queues], i%c.queues, offset, 32)
						if err != nil || len(records) == 0 {
							b.Fatalf("%d messages from %d on, %v", len(records), offset, err)
						}
						read += len(records)
					}
				}
			}
			if read != b.N*n {
				b.Fatalf("%d messages in %d passes over %d", read, b.N, n)
			}
			b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/float64(read), "cpu-ns/message")
		})
	}
}

// BenchmarkQueueRange asks for the ranges of 10,000 topics of 4 queues, in the order of their names and
// after the head has moved.
func BenchmarkQueueRange(b *testing.B) {
	const topics, queues = 10_000, 4
	s := benchQueues(b, 3*topics*queues, topics, queues)
	names := queueNames(topics)
	b.ReportAllocs()
	began := processorTime(b)
	for b.Loop() {
		s.queues.firsts = queueFirsts{}
		for i := range topics * queues {
			if low, next, err := s.QueueRange(names[i/queues], i%queues); err != nil || low != 0 || next != 3 {
				b.Fatalf("from %d to %d, %v", low, next, err)
			}
		}
	}
	b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/float64(b.N*topics*queues), "cpu-ns/queue")
}
