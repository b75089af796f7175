package main

import (
	"fmt"
	"slices"
)

// figure is one number of an outcome.
type figure func(outcome) float64

// good leaves out what failed.
func good(of []outcome) []outcome {
	return slices.DeleteFunc(slices.Clone(of), func(o outcome) bool { return o.wrong != nil })
}

func values(of []outcome, what figure) []float64 {
	var list []float64
	for _, o := range good(of) {
		list = append(list, what(o))
	}
	slices.Sort(list)
	return list
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// ratios are taken round by round: what else the machine did in a round hit both.
func ratios(of, to []outcome, what figure) (list []float64) {
	for i := range min(len(of), len(to)) {
		if of[i].wrong == nil && to[i].wrong == nil && what(to[i]) > 0 {
			list = append(list, what(of[i])/what(to[i]))
		}
	}
	slices.Sort(list)
	return list
}

// spread writes median (smallest to largest), and how many failed.
func spread(of []outcome, what figure, format func(float64) string) string {
	list := values(of, what)
	text := spreadOf(list, format)
	if failed := len(of) - len(list); failed > 0 {
		text += fmt.Sprintf(", %d of %d failed", failed, len(of))
	}
	return text
}

func spreadOf(list []float64, format func(float64) string) string {
	switch len(list) {
	case 0:
		return "–"
	case 1:
		return format(list[0])
	}
	return fmt.Sprintf("%s (%s to %s)", format(median(list)), format(list[0]), format(list[len(list)-1]))
}

// short writes a number with three digits.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return digits(v/1e6) + " M"
	case v >= 1e4:
		return digits(v/1e3) + " k"
	}
	return digits(v)
}

func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
