// Package measure is what the benchmarks share: figures by round, what processes use and hold, what the disk does by
// itself, and the goals that a run is held against.
package measure

import (
	"fmt"
	"slices"
)

// Outcome is one measurement of one contestant in one round. Of one that failed no figure counts.
type Outcome interface{ Failed() bool }

// Good leaves out what failed.
func Good[O Outcome](of []O) []O {
	return slices.DeleteFunc(slices.Clone(of), O.Failed)
}

// Values gives one figure of all that did not fail, sorted.
func Values[O Outcome](of []O, what func(O) float64) (list []float64) {
	for _, o := range Good(of) {
		list = append(list, what(o))
	}
	slices.Sort(list)
	return list
}

// Median sorts a list; of none it is 0.
func Median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// MedianOf is that of one figure of all that did not fail.
func MedianOf[O Outcome](of []O, what func(O) float64) float64 { return Median(Values(of, what)) }

// Ratios are taken round by round, and sorted: what else the machine did in a round hit both.
func Ratios[O Outcome](of, to []O, what func(O) float64) (list []float64) {
	for i := range min(len(of), len(to)) {
		if !of[i].Failed() && !to[i].Failed() && what(to[i]) > 0 {
			list = append(list, what(of[i])/what(to[i]))
		}
	}
	slices.Sort(list)
	return list
}

// Spread writes median (smallest to largest), and how many failed.
func Spread[O Outcome](of []O, what func(O) float64, format func(float64) string) string {
	list := Values(of, what)
	text := SpreadOf(list, format)
	if failed := len(of) - len(list); failed > 0 {
		text += fmt.Sprintf(", %d of %d failed", failed, len(of))
	}
	return text
}

// SpreadOf writes median (smallest to largest) of a list, which it sorts.
func SpreadOf(list []float64, format func(float64) string) string {
	switch len(list) {
	case 0:
		return "–"
	case 1:
		return format(list[0])
	}
	return fmt.Sprintf("%s (%s to %s)", format(Median(list)), format(list[0]), format(list[len(list)-1]))
}

// Short writes a number with three digits, thousands and millions as k and M.
func Short(v float64) string {
	switch {
	case v >= 1e6:
		return Digits(v/1e6) + " M"
	case v >= 1e4:
		return Digits(v/1e3) + " k"
	}
	return Digits(v)
}

// Digits writes a number with three digits.
func Digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
