package collectors

import (
	"context"
	"sync"
	"time"

	"sluice/gateway/message"
)

// maxUnsynced bounds what a device may have between the log's acceptance and its sync. A poller
// that reaches it waits: the disk is behind, and reading on would only grow memory.
const maxUnsynced = 64

// receipts follows accepted messages until the log has told what became of them. It is the
// message.Acknowledger of a Poller: a reading's token is its sequence number, a status has 0.
type receipts struct {
	mu       sync.Mutex // guards what follows
	unsynced int        // readings
	readings uint64     // durable ones
	lastSeq  uint64     // of the last durable one
	failed   error      // the first refusal since reset
	wanted   bool       // somebody waits for unsynced to shrink
	wake     chan struct{}
	status   receipt
}

// receipt is what became of the last status. There is one at a time: only the latest counts.
type receipt byte

const (
	settled receipt = iota
	waiting
	lost
)

// Acknowledge takes the log's word on one message.
func (r *receipts) Acknowledge(token uint64, _ message.Position, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if token == 0 {
		r.status = settled
		if err != nil {
			r.status = lost
		}
		return
	}
	r.unsynced--
	switch {
	case err == nil:
		r.readings++
		r.lastSeq = token
	case r.failed == nil:
		r.failed = err
		r.wakeLocked()
	}
	if r.wanted {
		r.wakeLocked()
	}
}

func (r *receipts) ofStatus() receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *receipts) setStatus(to receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = to
}

// expect must come before Publish: the log may acknowledge before Publish returns.
func (r *receipts) expect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsynced++
}

// refused takes expect back after a Publish that failed.
func (r *receipts) refused() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsynced--
}

// reset begins a new count from seq once nothing is on its way any more.
func (r *receipts) reset(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = nil
	r.lastSeq = seq
}

func (r *receipts) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *receipts) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unsynced
}

// woken is sent to when a reading failed, and when one settled while await runs.
func (r *receipts) woken() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wakeChannelLocked()
}

// await waits until at most want readings are without a receipt, for as long as patience when that
// is not 0.
func (r *receipts) await(ctx context.Context, want int, patience time.Duration) bool {
	var late <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	defer r.want(false)
	for {
		wake := r.want(true)
		if r.count() <= want {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-late:
			return false
		case <-wake:
		}
	}
}

func (r *receipts) want(wanted bool) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = wanted
	return r.wakeChannelLocked()
}

func (r *receipts) wakeLocked() {
	select {
	case r.wakeChannelLocked() <- struct{}{}:
	default: // it is awake already
	}
}

func (r *receipts) wakeChannelLocked() chan struct{} {
	if r.wake == nil {
		r.wake = make(chan struct{}, 1)
	}
	return r.wake
}
