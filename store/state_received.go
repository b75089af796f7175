package store

import (
	"encoding/binary"
	"fmt"
	"slices"

	"sluice/gateway/message"
)

// MaxReceived is how many messages of QoS 2 a session remembers that its client has not released. The
// listener must not let a client have more under way: beyond them a repeat is not recognised.
const MaxReceived = 1024

// received are the packet ids of QoS 2 that a client has sent and not released. An id becomes durable
// with its message, since the message names session and id (Options.Inbound): after a kill the log is
// read again behind asOf. So only a release is written, and a message costs no second sync.
type received struct {
	tracked
	of   *Session
	size int
	asOf message.Position // ids of messages up to it are in ids, or released
	ids  []uint16         // ascending
}

type receivedValue struct {
	number uint64
	asOf   message.Position
	ids    []uint16
}

// Received says whether a message with this packet id came from the client and is durable, or is in
// the transaction that is being written, and was not released: it must not be published again.
func (x *Session) Received(id uint16) bool {
	x.set.small.mu.Lock()
	defer x.set.small.mu.Unlock()
	_, known := slices.BinarySearch(x.received.ids, id)
	return known
}

// ReceivedIDs lists the packet ids that were not released, ascending.
func (x *Session) ReceivedIDs() []uint16 {
	x.set.small.mu.Lock()
	defer x.set.small.mu.Unlock()
	return slices.Clone(x.received.ids)
}

// Release forgets a packet id, known or not. durable, unless nil, is called once that would survive a
// power cut: only then may the release be confirmed. It runs on the committing goroutine, or at once,
// and must not block.
func (x *Session) Release(id uint16, durable func(error)) {
	m := x.set.small
	m.mu.Lock()
	r := &x.received
	if at, known := slices.BinarySearch(r.ids, id); known && !x.gone {
		r.ids = slices.Delete(r.ids, at, at+1)
		if len(r.ids) == 0 {
			r.ids = nil
		}
		r.sizeLocked(2*len(r.ids) + 20)
		m.soilLocked(&r.tracked)
	}
	m.mu.Unlock()
	if durable != nil {
		m.afterwards(durable, &r.tracked)
	}
}

// noteLocked takes the id of a message that is durable now.
func (r *received) noteLocked(id uint16, at message.Position) bool {
	if at <= r.asOf {
		return false // it was here before, and may have been released
	}
	r.asOf = at
	place, known := slices.BinarySearch(r.ids, id)
	if !known && len(r.ids) < MaxReceived {
		r.ids = slices.Insert(r.ids, place, id)
		r.sizeLocked(2*len(r.ids) + 20)
	}
	return true
}

func (r *received) sizeLocked(size int) {
	r.of.set.small.bytes += size - r.size
	r.size = size
}

func (r *received) entriesLocked() ([]entry, func()) {
	if r.of.gone {
		return nil, nil // its slot may have another session already
	}
	key := smallKey(smallReceived, r.of.slot)
	return []entry{{key, sealSmall(key, present, receivedValue{r.of.number, r.asOf, r.ids}.append(nil))}}, nil
}

// append writes neighbouring ids as one span: its distance to the one before, and its length less one.
func (v receivedValue) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, v.number)
	b = appendPosition(b, v.asOf)
	for next, i := 0, 0; i < len(v.ids); {
		n := 1
		for i+n < len(v.ids) && int(v.ids[i+n]) == int(v.ids[i])+n {
			n++
		}
		b = binary.AppendUvarint(b, uint64(int(v.ids[i])-next))
		b = binary.AppendUvarint(b, uint64(n-1))
		next = int(v.ids[i]) + n
		i += n
	}
	return b
}

func decodeReceived(body []byte) (v receivedValue, err error) {
	in := input{rest: body}
	v.number, v.asOf = in.number(), position(&in)
	for next := uint64(0); len(in.rest) > 0 && !in.short; {
		step, more := in.uvarint(), in.uvarint()
		if step >= 1<<16 || more >= MaxReceived || next+step+more >= 1<<16 || uint64(len(v.ids))+more >= MaxReceived {
			in.short = true
			break
		}
		for i := range more + 1 {
			v.ids = append(v.ids, uint16(next+step+i))
		}
		next += step + more + 1
	}
	if in.short {
		return receivedValue{}, fmt.Errorf("%w: received packet ids", errValue)
	}
	return v, nil
}
