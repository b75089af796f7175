package web

import (
	"context"
	"crypto/sha256"
	"sync"
)

// requests are those that are being answered, by the hash of the session or API token that they came
// with: what ends that ends them too, however long they would have gone on. Its methods may be called
// from any goroutine.
type requests struct {
	mu      sync.Mutex // guards what follows
	last    uint64
	running map[[sha256.Size]byte]map[uint64]context.CancelFunc
}

func newRequests() *requests {
	return &requests{running: map[[sha256.Size]byte]map[uint64]context.CancelFunc{}}
}

// begin gives a context for a request; done must be called when it has been answered.
func (r *requests) begin(ctx context.Context, holder [sha256.Size]byte) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	number := r.last
	if r.running[holder] == nil {
		r.running[holder] = map[uint64]context.CancelFunc{}
	}
	r.running[holder][number] = cancel
	return ctx, func() {
		cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		if delete(r.running[holder], number); len(r.running[holder]) == 0 {
			delete(r.running, holder)
		}
	}
}

// end cancels all requests of a holder.
func (r *requests) end(holder [sha256.Size]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, cancel := range r.running[holder] {
		cancel()
	}
}

// untilStop gives a context for a request that may take long: it ends when the server stops, too. end ends it
// earlier, as often as one likes, and must be called; nothing is left behind when it returns.
func (s *Server) untilStop(request context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancel(request)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel()
		watching.Wait()
	}
}
