package modbus

// Order is the order in which the bytes of a value come, A being the most significant. Words of
// four letters go with values of any size; those of two and eight with 16 and 64 bits only.
type Order string

// Modbus sends a register high byte first and says nothing about values of several registers, so
// everything that makers came up with is in use. Each order swaps neighbours: the bytes of every
// register, the registers of every pair, the pairs of a 64-bit value, or any of these together. With
// a bit for each, the byte that belongs at i stands at i XOR swaps, and that undoes itself.
const (
	swapBytes = 1 << iota
	swapRegisters
	swapPairs
)

var orders = map[Order]struct{ letters, swaps int }{
	"AB":       {2, 0},
	"BA":       {2, swapBytes},
	"ABCD":     {4, 0},
	"BADC":     {4, swapBytes},
	"CDAB":     {4, swapRegisters},
	"DCBA":     {4, swapRegisters | swapBytes},
	"ABCDEFGH": {8, 0},
	"BADCFEHG": {8, swapBytes},
	"CDABGHEF": {8, swapRegisters},
	"DCBAHGFE": {8, swapRegisters | swapBytes},
	"EFGHABCD": {8, swapPairs},
	"FEHGBADC": {8, swapPairs | swapBytes},
	"GHEFCDAB": {8, swapPairs | swapRegisters},
	"HGFEDCBA": {8, swapPairs | swapRegisters | swapBytes},
}

const orderForms = "write ABCD, CDAB, BADC or DCBA; AB or BA for 16 bits; ABCDEFGH, GHEFCDAB, BADCFEHG, HGFEDCBA, CDABGHEF, EFGHABCD, DCBAHGFE or FEHGBADC for 64 bits"

// fits says whether the order can be that of a value of so many bytes.
func (o Order) fits(bytes int) bool {
	letters := orders[o].letters
	return o == "" || letters == 4 || letters == max(bytes, 2)
}

// swaps gives what is swapped in a value of so many bytes. Four letters tell of 64 bits what their
// pattern says: CDAB is all registers in reverse, DCBA all bytes.
func (o Order) swaps(bytes int) int {
	known := orders[o]
	if bytes == 8 && known.letters == 4 && known.swaps&swapRegisters != 0 {
		known.swaps |= swapPairs
	}
	return known.swaps & (max(bytes, 2) - 1)
}

// reorder turns bytes from the wire into big endian, or back. A text may be longer than its swaps.
func reorder(b []byte, swaps int) {
	for i := range b {
		if j := i ^ swaps; j > i && j < len(b) {
			b[i], b[j] = b[j], b[i]
		}
	}
}
