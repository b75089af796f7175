package bus

import (
	"bytes"
	"sync"
	"time"
)

// Frame is what went over a line in one piece: a request, or all that was heard until an answer was
// complete or the wait for it ended.
type Frame struct {
	Seq       uint64 // counts the frames of the line from 1
	At        time.Time
	Direction Direction
	Bytes     []byte
	Cut       int // bytes at its end that the monitor had no room for
	Device    string
	Protocol  string
	Verdict   string // why it was no answer, or what the driver found wrong with it; empty: nothing
}

// The bounds of what a line's monitor keeps. A device with a TCP connection of its own gets less than
// a bus that many share, because there may be a thousand of them.
const (
	busFrames, busBytes   = 512, 128 << 10
	linkFrames, linkBytes = 64, 16 << 10
)

// ring keeps the last frames of a line, in memory that is taken once.
type ring struct {
	maxFrames, maxBytes int

	mu      sync.Mutex // guards what follows
	entries []entry    // made at the first frame
	first   int        // index of the oldest
	count   int
	last    uint64 // Seq of the newest
	data    []byte
	free    int // where in data the next frame goes
	watches []*Watch
}

type entry struct {
	at                        int64
	dir                       Direction
	offset, length, cut       int
	device, protocol, verdict string
}

func newRing(frames, bytes int) *ring { return &ring{maxFrames: frames, maxBytes: bytes} }

// put keeps a frame and gives its number.
func (r *ring) put(at time.Time, dir Direction, b []byte, device, protocol, verdict string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries == nil {
		r.entries, r.data = make([]entry, r.maxFrames), make([]byte, r.maxBytes)
	}
	cut := max(0, len(b)-r.maxBytes/4)
	b = b[:len(b)-cut]
	offset := r.room(len(b))
	copy(r.data[offset:], b)
	r.entries[(r.first+r.count)%len(r.entries)] = entry{
		at: at.UnixNano(), dir: dir, offset: offset, length: len(b), cut: cut,
		device: device, protocol: protocol, verdict: verdict,
	}
	r.count++
	r.last++
	r.wake()
	return r.last
}

// room makes place for n bytes in one piece and for their entry; the oldest frames go.
func (r *ring) room(n int) (offset int) {
	if r.count == len(r.entries) {
		r.drop()
	}
	if r.free+n > len(r.data) {
		// Frames lie in the order of their age, so those behind free are the oldest.
		for r.count > 0 && r.entries[r.first].offset >= r.free {
			r.drop()
		}
		r.free = 0
	}
	offset = r.free
	for r.count > 0 {
		oldest := &r.entries[r.first]
		if oldest.offset >= offset+n || oldest.offset+oldest.length <= offset {
			break
		}
		r.drop()
	}
	r.free += n
	return offset
}

func (r *ring) drop() {
	r.entries[r.first] = entry{}
	r.first = (r.first + 1) % len(r.entries)
	r.count--
}

// find gives the entry of a frame that is still there.
func (r *ring) find(seq uint64) *entry {
	oldest := r.last - uint64(r.count) + 1
	if seq < oldest || seq > r.last {
		return nil
	}
	return &r.entries[(r.first+int(seq-oldest))%len(r.entries)]
}

func (r *ring) frame(seq uint64, e *entry) Frame {
	return Frame{
		Seq: seq, At: time.Unix(0, e.at), Direction: e.dir, Bytes: bytes.Clone(r.data[e.offset : e.offset+e.length]), Cut: e.cut,
		Device: e.device, Protocol: e.protocol, Verdict: e.verdict,
	}
}

// judge gives a frame its verdict, unless it has gone.
func (r *ring) judge(seq uint64, verdict string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.find(seq)
	if e == nil || e.verdict == verdict {
		return
	}
	e.verdict = verdict
	for _, w := range r.watches {
		if seq < w.next {
			w.repeat(seq)
		}
	}
	r.wake()
}

// recent gives the frames after seq that are still there, the oldest first.
func (r *ring) recent(after uint64) []Frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := max(after+1, r.last-uint64(r.count)+1)
	if from > r.last {
		return nil
	}
	frames := make([]Frame, 0, r.last-from+1)
	for seq := from; seq <= r.last; seq++ {
		frames = append(frames, r.frame(seq, r.find(seq)))
	}
	return frames
}
