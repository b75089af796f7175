package mqtt

import (
	"context"
	"errors"
	"sync"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// answers are the acknowledgements that a connection owes, in the order in which they fell due: PUBACK,
// PUBREC and PUBCOMP for what the client sends, PUBREL for what it was sent [MQTT-4.6.0-2,
// MQTT-4.6.0-3, MQTT-4.6.0-4]. Each takes a slot of a ring, the log says when what it promises is
// durable, and the writer fetches those at the front. When the ring is full the connection is not read.
type answers struct {
	out     *writer
	version byte
	end     context.CancelCauseFunc

	mu   sync.Mutex // guards what follows; held for moments only, since the whole log waits for it
	room sync.Cond
	ring []answer // a power of two long
	// Answers are numbered from 0: those below written have gone out, next gets the next slot.
	written, next uint64
	failed        bool
	draining      bool
	asked         int // publishes that the log has not answered
	bytes         int // of publishes that are not answered
	quota         int // publishes that the client may not yet count as answered [MQTT-4.9.0-1]
}

// answer is one packet that is owed.
type answer struct {
	kind  packet.Type
	id    uint16
	code  packet.Reason
	ready bool
	size  int32 // bytes of the publish that it answers
}

const leastRing = 16

func (a *answers) init(end context.CancelCauseFunc, version byte) {
	a.end, a.version = end, version
	a.room.L = &a.mu
}

// reserve takes the slot of an answer, whose number is the token for the log. It waits while the
// ring is full and reports false when the connection ends.
func (a *answers) reserve(ctx context.Context, kind packet.Type, id uint16, size int) (token uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if (int(a.next-a.written) == len(a.ring) || a.tooMuchLocked(size)) && !a.roomLocked(ctx, size) {
		return 0, false
	}
	a.bytes += size
	if kind == packet.PUBACK || kind == packet.PUBREC {
		a.quota++
		a.asked++
	}
	token = a.next
	a.next++
	a.ring[token&uint64(len(a.ring)-1)] = answer{kind: kind, id: id, size: int32(size)}
	return token, true
}

// tooMuchLocked says whether a publish of that size must wait for those before it: one client shall not
// fill what the log takes at a time.
func (a *answers) tooMuchLocked(size int) bool {
	return a.bytes > 0 && size > 0 && a.bytes+size > maxUnansweredBytes
}

// roomLocked makes the ring larger, or waits once it, or what it answers, is as large as it may be.
func (a *answers) roomLocked(ctx context.Context, size int) bool {
	if len(a.ring) < maxUnanswered && int(a.next-a.written) == len(a.ring) {
		ring := make([]answer, max(leastRing, 2*len(a.ring)))
		for i := a.written; i < a.next; i++ {
			ring[i&uint64(len(ring)-1)] = a.ring[i&uint64(len(a.ring)-1)]
		}
		a.ring = ring
	}
	if a.next-a.written < maxUnanswered && !a.tooMuchLocked(size) {
		return true
	}
	stop := context.AfterFunc(ctx, a.wakeReader)
	defer stop()
	for (a.next-a.written == maxUnanswered || a.tooMuchLocked(size)) && ctx.Err() == nil {
		a.room.Wait()
	}
	return ctx.Err() == nil
}

func (a *answers) wakeReader() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.room.Broadcast()
}

// ready lets an answer out that needs no log.
func (a *answers) ready(token uint64, code packet.Reason) {
	a.mu.Lock()
	slot := &a.ring[token&uint64(len(a.ring)-1)]
	slot.ready, slot.code = true, code
	if slot.kind == packet.PUBACK || slot.kind == packet.PUBREC {
		a.asked--
	}
	a.mu.Unlock()
	a.out.signal()
}

// repeat answers a publish that came before: it counts once.
func (a *answers) repeat(token uint64) {
	a.mu.Lock()
	a.quota--
	a.mu.Unlock()
	a.ready(token, packet.Success)
}

// settled waits, but not for ever, until the log has answered every publish, or fails: whoever goes on
// with the session must know what it has.
func (a *answers) settled(most time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	defer context.AfterFunc(ctx, a.wakeReader)()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.draining = true
	for a.asked > 0 && !a.failed && ctx.Err() == nil {
		a.room.Wait()
	}
}

// abandon is for a publish that the log did not take, at the end of the connection.
func (a *answers) abandon() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked--
}

// Acknowledge implements message.Acknowledger.
func (a *answers) Acknowledge(token uint64, _ message.Position, err error) { a.settle(token, 1, err) }

var errOrder = errors.New("bug: the log acknowledged what it was not given")

// durable lets an answer out whose promise is kept. After an error nothing is answered any more.
func (a *answers) durable(token uint64, err error) { a.settle(token, 0, err) }

func (a *answers) settle(token uint64, asked int, err error) {
	a.mu.Lock()
	a.asked -= asked
	if err == nil && (token < a.written || token >= a.next) {
		err = errOrder
	}
	if a.failed || err != nil {
		first := !a.failed
		a.failed = true
		a.room.Broadcast()
		a.mu.Unlock()
		if first {
			a.end(err)
		}
		return
	}
	a.ring[token&uint64(len(a.ring)-1)].ready = true
	first := token == a.written // else the one before it will signal
	if a.draining {
		a.room.Broadcast()
	}
	a.mu.Unlock()
	if first {
		a.out.signal()
	}
}

// waits says whether the answer with this number has not gone out.
func (a *answers) waits(token uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return token >= a.written
}

// owed is how many publishes of the client are not answered to their end.
func (a *answers) owed() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.quota
}

// append writes the answers that are due and frees their slots.
func (a *answers) append(b []byte) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.written == a.next || a.failed {
		return b
	}
	before := a.written
	var ack packet.Ack
	for mask := uint64(len(a.ring) - 1); a.written < a.next; a.written++ {
		slot := &a.ring[a.written&mask]
		if !slot.ready {
			break
		}
		ack.Type, ack.ID, ack.Code = slot.kind, slot.id, slot.code
		a.bytes -= int(slot.size)
		b = ack.Append(b, a.version)
		// A QoS 2 message counts until PUBCOMP, or a PUBREC that refuses it [MQTT-4.9.0-2].
		if slot.kind == packet.PUBACK || slot.kind == packet.PUBREC && slot.code >= packet.UnspecifiedError ||
			slot.kind == packet.PUBCOMP && slot.code == packet.Success {
			a.quota = max(0, a.quota-1) // what an earlier connection left may be released here
		}
	}
	if a.written != before {
		a.room.Broadcast()
	}
	return b
}
