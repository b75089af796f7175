package bus

import (
	"context"
	"slices"
)

// maxRepeats bounds the verdicts that a Watch has not yet shown.
const maxRepeats = 64

// Watch shows the frames of a line as they pass. It has no queue of its own: who is slow finds the
// oldest frames gone, and is told how many.
type Watch struct {
	ring   *ring
	signal chan struct{}

	// The ring's lock guards what follows.
	next    uint64 // the Seq to show next
	repeats []uint64
	dropped uint64
	ended   bool
}

// Watch begins to show frames: those of which Seq is greater than after, and are still there, first.
func (p *Port) Watch(after uint64) *Watch {
	w := &Watch{ring: p.frames, signal: make(chan struct{}, 1), next: after + 1}
	p.frames.mu.Lock()
	defer p.frames.mu.Unlock()
	p.frames.watches = append(p.frames.watches, w)
	return w
}

// Recent gives the frames that the monitor still has of which Seq is greater than after.
func (p *Port) Recent(after uint64) []Frame { return p.frames.recent(after) }

// Next waits for the next frame. One that comes again, with the same Seq, has got its verdict
// meanwhile. After Close, or when ctx ends, there is an error.
func (w *Watch) Next(ctx context.Context) (Frame, error) {
	for {
		f, ok, err := w.poll()
		if ok || err != nil {
			return f, err
		}
		select {
		case <-w.signal:
		case <-ctx.Done():
			return Frame{}, ctx.Err()
		}
	}
}

func (w *Watch) poll() (f Frame, ok bool, err error) {
	r := w.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.ended {
		return f, false, ErrClosed
	}
	for len(w.repeats) > 0 {
		seq := w.repeats[0]
		w.repeats = slices.Delete(w.repeats, 0, 1)
		if e := r.find(seq); e != nil {
			return r.frame(seq, e), true, nil
		}
	}
	if oldest := r.last - uint64(r.count) + 1; w.next < oldest {
		w.dropped += oldest - w.next
		w.next = oldest
	}
	if w.next > r.last {
		return f, false, nil
	}
	f = r.frame(w.next, r.find(w.next))
	w.next++
	return f, true, nil
}

// Dropped counts the frames that went unseen.
func (w *Watch) Dropped() uint64 {
	w.ring.mu.Lock()
	defer w.ring.mu.Unlock()
	return w.dropped
}

// Close ends the watch; it may be repeated.
func (w *Watch) Close() {
	r := w.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	w.ended = true
	if i := slices.Index(r.watches, w); i >= 0 {
		r.watches = slices.Delete(r.watches, i, i+1)
	}
	w.notify()
}

// repeat expects the ring's lock.
func (w *Watch) repeat(seq uint64) {
	if slices.Contains(w.repeats, seq) {
		return
	}
	if len(w.repeats) == maxRepeats {
		w.repeats = slices.Delete(w.repeats, 0, 1)
		w.dropped++
	}
	w.repeats = append(w.repeats, seq)
}

func (w *Watch) notify() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// wake tells everybody who watches; it expects the lock.
func (r *ring) wake() {
	for _, w := range r.watches {
		w.notify()
	}
}
