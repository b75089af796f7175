package dial

import (
	"context"
	"errors"
	"sync"
)

// Turn remembers which of several addresses was the last good one. Its zero value begins with the
// first. There is no way back to an address that works worse or costs more: the first is tried again
// only when the good one fails.
type Turn struct {
	mu   sync.Mutex // guards what follows
	next int
}

// Try calls attempt for one of n addresses after the other, beginning with the last good one, until
// one succeeds or ctx ends. The error is that of all that were tried.
func (t *Turn) Try(ctx context.Context, n int, attempt func(ctx context.Context, i int) error) error {
	var failed []error
	first := t.good(n)
	for k := range n {
		i := (first + k) % n
		err := attempt(ctx, i)
		if err == nil {
			t.set(i)
			return nil
		}
		if ctx.Err() != nil {
			return err // those before are not to blame
		}
		failed = append(failed, err)
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return &exhausted{failed}
}

// Avoid lets the next Try begin behind i, one of n, unless another is the good one by now: i took the
// connection, but turned out to be of no use.
func (t *Turn) Avoid(i, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next == i && n > 0 {
		t.next = (i + 1) % n
	}
}

func (t *Turn) good(n int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next >= n {
		return 0
	}
	return t.next
}

func (t *Turn) set(i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = i
}

// exhausted is that no address was good. It reads as one line, unlike errors.Join.
type exhausted struct{ failed []error }

func (e *exhausted) Error() string {
	text := "no address works: "
	for i, err := range e.failed {
		if i > 0 {
			text += "; "
		}
		text += err.Error()
	}
	return text
}

func (e *exhausted) Unwrap() error { return errors.Join(e.failed...) }
