package diagnosis

import (
	"math"
	"testing"
)

func TestValuesWithSwappedWordsAreKnown(t *testing.T) {
	swap := func(v float32) float64 {
		bits := math.Float32bits(v)
		return float64(math.Float32frombits(bits<<16 | bits>>16))
	}
	for _, v := range []float32{230.1, -19.95, 50.02, 0.98, 400.3} {
		if !WordsSwapped(swap(v)) {
			t.Errorf("%v with its words swapped, %g, is taken for a value", v, swap(v))
		}
		if WordsSwapped(float64(v)) {
			t.Errorf("%v looks swapped", v)
		}
	}
	for _, v := range []float64{0, 1e-25, 6.02214076e23, math.NaN(), math.Inf(1), 23.5 / 10} {
		if WordsSwapped(v) {
			t.Errorf("%v looks swapped", v)
		}
	}
}
