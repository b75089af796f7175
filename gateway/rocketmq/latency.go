package rocketmq

import (
	"strings"
	"sync/atomic"
	"time"
)

// putLimits are the upper bounds of what the time of a send is counted under; the last has none.
var putLimits = [...]struct {
	below time.Duration
	name  string
}{
	{time.Millisecond, "<=0ms"}, {10 * time.Millisecond, "0~10ms"}, {50 * time.Millisecond, "10~50ms"}, {100 * time.Millisecond, "50~100ms"},
	{200 * time.Millisecond, "100~200ms"}, {500 * time.Millisecond, "200~500ms"}, {time.Second, "500ms~1s"}, {2 * time.Second, "1~2s"},
	{3 * time.Second, "2~3s"}, {4 * time.Second, "3~4s"}, {5 * time.Second, "4~5s"}, {10 * time.Second, "5~10s"}, {1<<63 - 1, "10s~"},
}

// latency counts how long sends took until they were durable.
type latency struct {
	longest atomic.Int64 // milliseconds
	counts  [len(putLimits)]atomic.Uint64
}

func (l *latency) took(d time.Duration) {
	for i := range putLimits {
		if d < putLimits[i].below || i == len(putLimits)-1 {
			l.counts[i].Add(1)
			break
		}
	}
	for ms := d.Milliseconds(); ; {
		longest := l.longest.Load()
		if ms <= longest || l.longest.CompareAndSwap(longest, ms) {
			return
		}
	}
}

// String writes the counts as Java brokers do.
func (l *latency) String() string {
	var b strings.Builder
	for i := range putLimits {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("[" + putLimits[i].name + "]:" + number10(l.counts[i].Load()))
	}
	return b.String()
}

// most is what so many of all sends stayed within, in milliseconds: the bound of their class, or the longest.
func (l *latency) most(part, of uint64) int64 {
	var counts [len(putLimits)]uint64
	total := uint64(0)
	for i := range counts {
		counts[i] = l.counts[i].Load()
		total += counts[i]
	}
	longest, within := l.longest.Load(), uint64(0)
	for i, n := range counts {
		if within += n; within*of >= total*part {
			return min(putLimits[i].below.Milliseconds(), longest)
		}
	}
	return longest
}
