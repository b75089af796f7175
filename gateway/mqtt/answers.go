package mqtt

import (
	"context"
	"errors"
	"sync"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// answers are the PUBACKs that a connection owes, a ring in the order of its publishes
// [MQTT-4.6.0-2]. A publish takes a slot, the log says when it is durable, the writer fetches what
// was said and frees the slots. When the ring is full the connection is not read.
type answers struct {
	out *writer
	end context.CancelCauseFunc

	mu   sync.Mutex // guards what follows; held for moments only, since the whole log waits for it
	room sync.Cond
	ring []slot // made for the first QoS 1 publish
	// Publishes are numbered from 0: those below written have their PUBACK, those below durable may
	// have it, next gets the next slot.
	written, durable, next uint64
	failed                 bool
}

type slot struct {
	id    uint16
	local bool // answered without the log
}

var errOrder = errors.New("bug: the log acknowledged out of order")

func newAnswers(end context.CancelCauseFunc) *answers {
	a := &answers{end: end}
	a.room.L = &a.mu
	return a
}

// reserve takes the slot of a publish, whose number is the token for the log. It waits while the
// ring is full and reports false when the connection ends.
func (a *answers) reserve(ctx context.Context, id uint16) (token uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ring == nil {
		a.ring = make([]slot, maxUnacked)
	}
	if a.next-a.written == maxUnacked {
		stop := context.AfterFunc(ctx, a.wakeReader)
		defer stop()
		for a.next-a.written == maxUnacked && ctx.Err() == nil {
			a.room.Wait()
		}
		if ctx.Err() != nil {
			return 0, false
		}
	}
	token = a.next
	a.next++
	a.ring[token%maxUnacked] = slot{id: id}
	return token, true
}

func (a *answers) wakeReader() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.room.Broadcast()
}

// local answers a publish that the log is not asked about, in its turn.
func (a *answers) local(token uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ring[token%maxUnacked].local = true
	a.passLocalLocked()
	a.out.signal()
}

func (a *answers) passLocalLocked() {
	for a.durable < a.next && a.ring[a.durable%maxUnacked].local {
		a.durable++
	}
}

// Acknowledge implements message.Acknowledger.
func (a *answers) Acknowledge(token uint64, _ message.Position, err error) {
	a.mu.Lock()
	if err == nil && token != a.durable {
		err = errOrder
	}
	if a.failed || err != nil {
		first := !a.failed
		a.failed = true // and nothing behind it is answered either
		a.mu.Unlock()
		if first {
			a.end(err)
		}
		return
	}
	a.durable++
	a.passLocalLocked()
	a.mu.Unlock()
	a.out.signal()
}

// append writes the PUBACKs that are due and frees their slots.
func (a *answers) append(b []byte) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.written == a.durable {
		return b
	}
	ack := packet.Ack{Type: packet.PUBACK}
	for ; a.written < a.durable; a.written++ {
		ack.ID = a.ring[a.written%maxUnacked].id // [MQTT-2.3.1-6]
		b = ack.Append(b, packet.V311)
	}
	a.room.Broadcast()
	return b
}
