package diagnosis

import "math"

// WordsSwapped says that a value makes sense only with its two words in the other order. It judges those
// alone that a device sends as 32 bits and nobody has scaled: 230.1 V is 1.8e-36 or the like then.
func WordsSwapped(v float64) bool {
	single := float32(v)
	if v == 0 || float64(single) != v || plausible(math.Abs(v), 1e-6, 1e9) {
		return false
	}
	bits := math.Float32bits(single)
	return plausible(math.Abs(float64(math.Float32frombits(bits<<16|bits>>16))), 1e-3, 1e8)
}

func plausible(v, least, most float64) bool { return v >= least && v <= most }
