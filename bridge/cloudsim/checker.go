package cloudsim

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
)

// What a Checker remembers is bounded, whatever it is fed.
const (
	maxStreams   = 10_000 // devices times epochs
	maxIntervals = 1024   // of one stream; beyond that its oldest gap is final
)

// Checker holds a stream of readings against the promise: each (gateway, device, epoch) has every
// seq, in order, and repetitions only in runs after a step back. The zero Checker is ready; it may
// be used from several goroutines.
type Checker struct {
	mu      sync.Mutex // guards what follows
	streams map[streamKey]*stream
	other   uint64
	run     uint64
	longest uint64
}

type streamKey struct {
	gateway, device string
	epoch           uint64
}

type stream struct {
	seen      []interval // sorted, none touching the next
	previous  uint64     // the seq that came last
	run       uint64     // repetitions since the last step back
	forgotten uint64     // missing seqs in gaps that are no longer remembered
	StreamReport
}

type interval struct{ from, to uint64 }

// Report is what a Checker found.
type Report struct {
	Received      uint64 // readings, repetitions included
	Other         uint64 // payloads that are no readings
	Gaps          uint64 // seqs that never came, between the first and the last of their stream
	Duplicates    uint64
	Reordered     uint64 // first deliveries behind a later seq
	LongestRepeat uint64 // the most repetitions in a row, over all streams
	Streams       []StreamReport
}

// StreamReport is about one device of one gateway within one epoch.
type StreamReport struct {
	Gateway, Device string
	Epoch           uint64
	Received        uint64 // repetitions included
	First, Last     uint64 // the lowest and the highest seq
	Gaps            uint64
	Duplicates      uint64
	Reordered       uint64
	StepsBack       uint64 // how often a seq came that was not above the one before it
	LongestRepeat   uint64 // the most repetitions in a row after one step back
}

// Add takes the next payload of the stream.
func (c *Checker) Add(payload []byte) {
	var r struct {
		Gateway, Device string
		Epoch, Seq      *uint64
	}
	isReading := json.Unmarshal(payload, &r) == nil && r.Epoch != nil && r.Seq != nil && r.Device != ""
	c.mu.Lock()
	defer c.mu.Unlock()
	if !isReading {
		c.other++
		return
	}
	key := streamKey{r.Gateway, r.Device, *r.Epoch}
	s := c.streams[key]
	if s == nil {
		if len(c.streams) >= maxStreams {
			c.other++
			return
		}
		if c.streams == nil {
			c.streams = make(map[streamKey]*stream)
		}
		s = &stream{StreamReport: StreamReport{Gateway: r.Gateway, Device: r.Device, Epoch: *r.Epoch}}
		c.streams[key] = s
	}
	if s.add(*r.Seq) {
		c.run = 0
	} else {
		c.run++
		c.longest = max(c.longest, c.run)
	}
}

// add says whether seq is new.
func (s *stream) add(seq uint64) (isNew bool) {
	s.Received++
	if s.Received > 1 && seq <= s.previous {
		s.StepsBack++
		s.run = 0
	}
	s.previous = seq
	isNew = s.insert(seq)
	if !isNew {
		s.Duplicates++
		s.run++
		s.LongestRepeat = max(s.LongestRepeat, s.run)
		return false
	}
	s.run = 0
	if s.Received > 1 && seq < s.Last {
		s.Reordered++
	}
	s.Last = max(s.Last, seq)
	if s.Received == 1 || seq < s.First {
		s.First = seq
	}
	return true
}

func (s *stream) insert(seq uint64) (isNew bool) {
	if n := len(s.seen); n > 0 && seq > 0 && s.seen[n-1].to == seq-1 { // nearly always
		s.seen[n-1].to = seq
		return true
	}
	i, _ := slices.BinarySearchFunc(s.seen, seq, func(v interval, seq uint64) int { return cmp.Compare(v.to, seq) })
	if i < len(s.seen) && s.seen[i].from <= seq {
		return false
	}
	touchesLeft := i > 0 && seq > 0 && s.seen[i-1].to == seq-1
	touchesRight := i < len(s.seen) && s.seen[i].from-1 == seq
	switch {
	case touchesLeft && touchesRight:
		s.seen[i-1].to = s.seen[i].to
		s.seen = slices.Delete(s.seen, i, i+1)
	case touchesLeft:
		s.seen[i-1].to = seq
	case touchesRight:
		s.seen[i].from = seq
	default:
		s.seen = slices.Insert(s.seen, i, interval{seq, seq})
	}
	if len(s.seen) > maxIntervals {
		s.forgotten += s.seen[1].from - s.seen[0].to - 1
		s.seen[1].from = s.seen[0].from
		s.seen = slices.Delete(s.seen, 0, 1)
	}
	return true
}

func (s *stream) gaps() uint64 {
	missing := s.forgotten
	for i := 1; i < len(s.seen); i++ {
		missing += s.seen[i].from - s.seen[i-1].to - 1
	}
	return missing
}

// Report sums up what was seen so far, sorted by gateway, device and epoch.
func (c *Checker) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Report{Other: c.other, LongestRepeat: c.longest}
	for _, s := range c.streams {
		one := s.StreamReport
		one.Gaps = s.gaps()
		r.Received += one.Received
		r.Gaps += one.Gaps
		r.Duplicates += one.Duplicates
		r.Reordered += one.Reordered
		r.Streams = append(r.Streams, one)
	}
	slices.SortFunc(r.Streams, func(a, b StreamReport) int {
		return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Epoch, b.Epoch))
	})
	return r
}
