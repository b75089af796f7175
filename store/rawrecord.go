package store

import (
	"encoding/binary"
	"hash/maphash"
	"math"

	"sluice/gateway/message"
)

// rawRecord says where the parts of a record lie in its chunk. It has no pointers: writing those while
// the garbage collector runs would cost more than everything else here.
type rawRecord struct {
	flags      byte
	time       int64  // difference to the record before
	queue      uint64 // see queueRef
	offset     uint64 // likewise
	topic      part
	device     part
	seq        uint64
	client     part
	properties part // their count and texts
	payload    part
}

type part struct{ from, to int }

func (p part) of(b []byte) []byte { return b[p.from:p.to:p.to] }

const knownFlags = flagQoS | flagRetain | flagDevice | flagProperties | flagQueue | flagClient

// parse reads the record at the front of b and gives its size, 0 when there is no whole one. It is
// where reading spends most of its time beside decompression: lengths of one byte, which nearly all
// names have, are read without a call.
func (r *rawRecord) parse(b []byte) int {
	if len(b) < leastRecord {
		return 0
	}
	flags := b[0]
	difference, at := uint64(b[1]), 2
	if difference >= 0x80 {
		difference, at = uvarintAt(b, 1)
	}
	r.flags, r.time = flags, int64(difference>>1)^-int64(difference&1)
	r.queue, r.offset = 0, 0
	if flags&flagQueue != 0 {
		if r.queue, at = uvarintAt(b, at); r.queue>>queueBits == 0 {
			r.offset, at = uvarintAt(b, at)
		}
	}
	if at < len(b) && b[at] < 0x80 && at+1+int(b[at]) < len(b) {
		r.topic = part{at + 1, at + 1 + int(b[at])}
	} else if r.topic = textAt(b, at); r.topic.to > len(b) {
		return 0
	}
	at = r.topic.to
	r.device, r.seq, r.client, r.properties = part{}, 0, part{}, part{}
	if flags&flagDevice != 0 {
		if at < len(b) && b[at] < 0x80 && at+1+int(b[at]) < len(b) {
			r.device = part{at + 1, at + 1 + int(b[at])}
		} else if r.device = textAt(b, at); r.device.to > len(b) {
			return 0
		}
		r.seq, at = uvarintAt(b, r.device.to)
	}
	if flags&flagClient != 0 {
		if at < len(b) && b[at] < 0x80 && at+1+int(b[at]) < len(b) {
			r.client = part{at + 1, at + 1 + int(b[at])}
		} else if r.client = textAt(b, at); r.client.to > len(b) {
			return 0
		}
		at = r.client.to
	}
	if flags&flagProperties != 0 {
		if r.properties = (part{at, passProperties(b, at)}); r.properties.to > len(b) {
			return 0
		}
		at = r.properties.to
	}
	if r.payload = textAt(b, at); r.payload.to > len(b) {
		return 0
	}
	return r.payload.to
}

// passProperties gives where the properties that begin at at end: behind b when they do not.
func passProperties(b []byte, at int) int {
	n, at := uvarintAt(b, at)
	if at > len(b) || n == 0 || n > uint64(len(b)-at)/2 { // each takes at least its two lengths
		return len(b) + 1
	}
	for range 2 * n {
		if at = textAt(b, at).to; at > len(b) {
			break
		}
	}
	return at
}

// queueNumber is the queue that the record belongs to.
func (r *rawRecord) queueNumber() byte {
	if r.flags&flagQueue == 0 {
		return message.NoQueue
	}
	return byte(r.queue & queueMask)
}

// offsetIn gives the record's offset in its queue, noOffset when it has none, and false when it refers
// to a record that is not there. offsets are those of the records before it in its chunk.
func (r *rawRecord) offsetIn(offsets []uint64) (offset uint64, ok bool) {
	back := r.queue >> queueBits
	switch {
	case r.flags&flagQueue == 0:
		return noOffset, true
	case back == 0:
		return r.offset, true
	case back > uint64(len(offsets)) || offsets[uint64(len(offsets))-back] == noOffset:
		return 0, false
	}
	return offsets[uint64(len(offsets))-back] + 1, true
}

// noOffset is more than any offset: see offsetIn.
const noOffset = math.MaxUint64

// sound says whether a record that could be parsed is one that we write.
func (r *rawRecord) sound() bool {
	return r.flags&^knownFlags == 0 && (r.flags&flagDevice != 0) == (r.device.to > r.device.from) &&
		(r.flags&flagClient != 0) == (r.client.to > r.client.from)
}

// properties makes the list of which b has the bytes. The values are parts of one text, so that they
// do not pin the block.
func (n *nameTable) properties(b []byte) []message.Property {
	count, at := uvarintAt(b, 0)
	text := string(b)
	list := make([]message.Property, count)
	for i := range list {
		name := textAt(b, at)
		value := textAt(b, name.to)
		at = value.to
		list[i].Name, _ = n.text(name.of(b))
		list[i].Value = text[value.from:value.to]
	}
	return list
}

// uvarintAt reads the number at at and gives where it ends: behind b when it does not.
func uvarintAt(b []byte, at int) (v uint64, end int) {
	if at >= len(b) {
		return 0, len(b) + 1
	}
	v, b1 := uint64(b[at]), b[at+1:]
	if v < 0x80 {
		return v, at + 1
	}
	v &= 0x7f
	for i, c := range b1[:min(len(b1), binary.MaxVarintLen64-1)] {
		if c < 0x80 {
			if i == binary.MaxVarintLen64-2 && c > 1 {
				break // it overflows
			}
			return v | uint64(c)<<(7*i+7), at + i + 2
		}
		v |= uint64(c&0x7f) << (7*i + 7)
	}
	return 0, len(b) + 1
}

// textAt reads a length and so many bytes, likewise.
func textAt(b []byte, at int) part {
	n, at := uvarintAt(b, at)
	if at > len(b) || n > uint64(len(b)-at) {
		return part{to: len(b) + 1}
	}
	return part{at, at + int(n)}
}

// nameTable has the texts that a reader met last: a topic or a device's name is made once, not for each
// record. One goroutine at a time uses it.
type nameTable struct {
	slots [nameSlots]string // in sets of nameWays
	after [nameSlots]uint8  // the slot that was wanted after this one: devices speak in turns
	last  uint8
	turn  uint8
}

const (
	nameSlots   = 256
	nameWays    = 4
	longestName = 256 // what is longer is not kept
)

var nameSeed = maphash.MakeSeed()

// text gives b as a string and the slot that keeps it, -1 when none does.
func (n *nameTable) text(b []byte) (text string, slot int) {
	if len(b) > longestName {
		return string(b), -1
	}
	if next := n.after[n.last]; n.slots[next] == string(b) {
		n.last = next
		return n.slots[next], int(next)
	}
	slot = n.find(b)
	n.after[n.last], n.last = uint8(slot), uint8(slot)
	return n.slots[slot], slot
}

// find gives the slot of b, which it takes if there is none.
func (n *nameTable) find(b []byte) int {
	first := int(maphash.Bytes(nameSeed, b)%(nameSlots/nameWays)) * nameWays
	for i := first; i < first+nameWays; i++ {
		if n.slots[i] == string(b) {
			return i
		}
	}
	n.turn++
	slot := first + int(n.turn%nameWays)
	n.slots[slot] = string(b)
	return slot
}
