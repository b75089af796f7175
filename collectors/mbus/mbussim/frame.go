package mbussim

// The simulator has a codec of its own, so that a mistake in the driver's does not agree with
// itself.

// request is one frame from the gateway.
type request struct {
	control byte
	address byte
	ci      byte   // of a long frame; 0 else
	data    []byte // of a long frame
	raw     []byte
}

func (q request) fcb() bool { return q.control&0x20 != 0 }

// next takes the first whole request from b. damaged counts the bytes that belonged to none.
func next(b []byte) (q request, rest []byte, damaged int, ok bool) {
	for len(b) > 0 {
		n, whole, valid := measure(b)
		switch {
		case !whole:
			return request{}, b, damaged, false
		case !valid:
			b = b[1:]
			damaged++
			continue
		}
		q.raw = append([]byte(nil), b[:n]...)
		if b[0] == 0x10 {
			q.control, q.address = b[1], b[2]
		} else {
			q.control, q.address, q.ci, q.data = q.raw[4], q.raw[5], q.raw[6], q.raw[7:n-2]
		}
		return q, b[n:], damaged, true
	}
	return request{}, nil, damaged, false
}

// measure says how long the frame is that b starts with, whether all of it is there, and whether it
// is one.
func measure(b []byte) (n int, whole, valid bool) {
	switch {
	case b[0] == 0x10:
		if len(b) < 5 {
			return 0, false, false
		}
		return 5, true, b[3] == b[1]+b[2] && b[4] == 0x16
	case b[0] != 0x68, len(b) > 2 && b[2] != b[1], len(b) > 3 && b[3] != 0x68, len(b) > 1 && b[1] < 3:
		return 0, true, false
	case len(b) < 4:
		return 0, false, false
	}
	n = int(b[1]) + 6
	if len(b) < n {
		return n, false, false
	}
	return n, true, b[n-2] == checksum(b[4:n-2]) && b[n-1] == 0x16
}

// build makes a long frame of an answer.
func build(address, ci byte, data []byte) []byte {
	n := byte(len(data) + 3)
	b := append([]byte{0x68, n, n, 0x68, 0x08, address, ci}, data...)
	return append(b, checksum(b[4:]), 0x16)
}

func checksum(b []byte) (sum byte) {
	for _, c := range b {
		sum += c
	}
	return sum
}
