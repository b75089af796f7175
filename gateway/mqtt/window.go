package mqtt

import "sync"

// window holds the packet identifiers of QoS 1 messages on their way to a client: 1 to its size,
// each in use by one message at a time [MQTT-2.3.1-4, MQTT-4.3.2-1]. When all are, delivery waits.
type window struct {
	mu     sync.Mutex // guards what follows
	freed  sync.Cond
	free   []uint16 // a ring of those not in use; the longest unused goes first
	first  int
	count  int
	inUse  []bool // by identifier
	closed bool
}

func newWindow(size int) *window {
	w := &window{free: make([]uint16, size), count: size, inUse: make([]bool, size+1)}
	w.freed.L = &w.mu
	for i := range w.free {
		w.free[i] = uint16(i + 1)
	}
	return w
}

// take gives an identifier. Before it waits for one it lets out what is to be written, which may be
// what the client has to acknowledge. It reports false once the window is closed.
func (w *window) take(out *writer) (id uint16, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 {
		out.signal()
	}
	for w.count == 0 && !w.closed {
		w.freed.Wait()
	}
	if w.closed {
		return 0, false
	}
	id = w.free[w.first]
	w.first = (w.first + 1) % len(w.free)
	w.count--
	w.inUse[id] = true
	return id, true
}

// release takes back what a PUBACK names. One that names nothing does nothing: a client may repeat
// itself.
func (w *window) release(id uint16) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if int(id) >= len(w.inUse) || !w.inUse[id] {
		return
	}
	w.inUse[id] = false
	w.free[(w.first+w.count)%len(w.free)] = id
	w.count++
	w.freed.Signal()
}

func (w *window) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.freed.Broadcast()
}
