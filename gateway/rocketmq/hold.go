package rocketmq

import "time"

// hold is a request that waits for messages: a timer and a place among those who wait, no goroutine.
type hold struct {
	conn  *conn
	until time.Time
	// wait begins to wait, again looks once more and answers; without an answer the waiting goes on,
	// unless it was the last time.
	wait  func(wake func()) (waiter, error)
	again func(last bool) (done bool)

	// guarded by the connection's mutex
	waits waiter
	timer *time.Timer
}

// waiter is what the engine gives those who wait.
type waiter interface{ Stop() bool }

// hold lets a request wait; false says that too many do, or the connection is ending.
func (c *conn) hold(long time.Duration, wait func(wake func()) (waiter, error), again func(last bool) bool) bool {
	h := &hold{conn: c, until: time.Now().Add(long), wait: wait, again: again}
	return h.begin()
}

func (h *hold) begin() bool {
	c := h.conn
	c.mu.Lock()
	if len(c.held) >= maxHeld || c.ctx.Err() != nil {
		c.mu.Unlock()
		return false
	}
	c.held[h] = struct{}{}
	c.server.stats.held.Add(1)
	h.timer = time.AfterFunc(max(time.Until(h.until), 0), func() { h.wake(true) })
	c.mu.Unlock()
	w, err := h.wait(func() { h.wake(false) })
	if err != nil {
		h.wake(true) // what is wrong shows when it looks again
		return true
	}
	c.mu.Lock()
	_, waits := c.held[h]
	if waits {
		h.waits = w
	}
	c.mu.Unlock()
	if !waits { // it has been woken already
		w.Stop()
	}
	return true
}

// wake takes the request out of those that wait and looks again from a goroutine of its own. It does not
// block.
func (h *hold) wake(last bool) {
	c := h.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.held[h]; !waits || c.ctx.Err() != nil {
		return
	}
	h.endLocked()
	c.work.Go(func() {
		if !h.again(last) && !h.begin() {
			h.again(true)
		}
	})
}

// endLocked ends the waiting.
func (h *hold) endLocked() {
	delete(h.conn.held, h)
	h.conn.server.stats.held.Add(-1)
	h.timer.Stop()
	if h.waits != nil {
		h.waits.Stop()
		h.waits = nil
	}
}

// wakeHeld answers all requests that wait, with what there is.
func (c *conn) wakeHeld() {
	c.mu.Lock()
	all := make([]*hold, 0, len(c.held))
	for h := range c.held {
		all = append(all, h)
	}
	c.mu.Unlock()
	for _, h := range all {
		h.wake(true)
	}
}

// letGo ends the waiting of all requests, unanswered.
func (c *conn) letGo() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for h := range c.held {
		h.endLocked()
	}
}
