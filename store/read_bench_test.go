package store

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sluice/gateway/message"
)

// BenchmarkReadMatching reads a log of 200,000 readings of 20 devices from end to end: all of them,
// and those of one device among a thousand that are indexed.
func BenchmarkReadMatching(b *testing.B) {
	s, err := Open(Options{Dir: filepath.Join(b.TempDir(), "log")})
	if err != nil {
		b.Fatal(err)
	}
	const n = 200000
	for i := range n {
		m := reading(i)
		m.Topic = fmt.Sprintf("readings/line-3/press-%d", i*20/n) // devices that speak one after the other
		if err := s.Append(b.Context(), &m, nil, 0); err != nil {
			b.Fatal(err)
		}
		if i%2000 == 0 {
			for s.commitNext() {
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
	for _, c := range []struct {
		filter string
		want   int
	}{{"readings/#", n}, {"readings/line-3/press-7", n / 20}, {"none", 0}} {
		b.Run(c.filter, func(b *testing.B) {
			b.ReportAllocs()
			var records []message.Record
			began := time.Now()
			for b.Loop() {
				found := 0
				for next := message.Position(1); next <= n; {
					records, next, err = s.ReadMatching(records[:0], next, 1000, []string{c.filter})
					if err != nil {
						b.Fatal(err)
					}
					found += len(records)
				}
				if found != c.want {
					b.Fatalf("%d records, want %d", found, c.want)
				}
			}
			b.ReportMetric(float64(b.N*n)/time.Since(began).Seconds(), "positions/s")
		})
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
