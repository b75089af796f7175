package dlt645sim

import "slices"

// The simulator has a codec of its own, so that a mistake in the driver's does not agree with
// itself.

// request is one frame from the gateway.
type request struct {
	meter   [6]byte // low byte first, as on the wire
	control byte
	data    []byte
}

// next takes the first whole request from b. damaged counts the bytes that belonged to none.
func next(b []byte) (q request, rest []byte, damaged int, ok bool) {
	for len(b) > 0 {
		if b[0] == 0xFE {
			b = b[1:]
			continue
		}
		n, whole, valid := measure(b)
		if !whole {
			return request{}, b, damaged, false
		}
		if !valid {
			b = b[1:]
			damaged++
			continue
		}
		q.control, q.data = b[8], slices.Clone(b[10:n-2])
		copy(q.meter[:], b[1:7])
		for i := range q.data {
			q.data[i] -= 0x33
		}
		return q, b[n:], damaged, true
	}
	return request{}, nil, damaged, false
}

// measure says how long the frame is that b starts with, whether all of it is there, and whether it
// is one.
func measure(b []byte) (n int, whole, valid bool) {
	if b[0] != 0x68 || len(b) > 7 && b[7] != 0x68 {
		return 0, true, false
	}
	if len(b) < 10 {
		return 0, false, false
	}
	n = 12 + int(b[9])
	if len(b) < n {
		return n, false, false
	}
	return n, true, b[n-2] == checksum(b[:n-2]) && b[n-1] == 0x16
}

// build makes a frame; meter has its low byte first.
func build(meter [6]byte, control byte, data []byte) []byte {
	b := append([]byte{0x68}, meter[:]...)
	b = append(b, 0x68, control, byte(len(data)))
	for _, c := range data {
		b = append(b, c+0x33)
	}
	return append(b, checksum(b), 0x16)
}

func checksum(b []byte) (sum byte) {
	for _, c := range b {
		sum += c
	}
	return sum
}
