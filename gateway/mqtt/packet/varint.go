package packet

// MaxLength is the largest number that a variable byte integer holds, and so the longest body.
const MaxLength = 268_435_455

func varintSize(n uint32) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}

func appendVarint(b []byte, n uint32) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// varint reads a variable byte integer. size is 0 when b ends too early and -1 when a fifth byte
// would follow.
func varint(b []byte) (n uint32, size int) {
	for i := range 4 {
		if i == len(b) {
			return 0, 0
		}
		n |= uint32(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return n, i + 1
		}
	}
	return 0, -1
}
