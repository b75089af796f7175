package gateway

import (
	"slices"
	"sort"
	"strings"

	"sluice/web"
)

// around is how many lines that are the same are shown on either side of a change.
const around = 3

// diffLines compares two texts by their lines, as people read it: what is the same far from any change is
// a gap.
func diffLines(old, now string) []web.DiffLine {
	a, b := linesIn(old), linesIn(now)
	d := differ{a: a, b: b, pairs: make([]int, len(a))}
	for i := range d.pairs {
		d.pairs[i] = -1
	}
	d.match(0, len(a), 0, len(b))
	var all []web.DiffLine
	j := 0
	for i, line := range a {
		at := d.pairs[i]
		if at < 0 {
			all = append(all, web.DiffLine{Kind: "remove", Text: line, Old: i + 1})
			continue
		}
		for ; j < at; j++ {
			all = append(all, web.DiffLine{Kind: "add", Text: b[j], New: j + 1})
		}
		all = append(all, web.DiffLine{Kind: "same", Text: line, Old: i + 1, New: j + 1})
		j++
	}
	for ; j < len(b); j++ {
		all = append(all, web.DiffLine{Kind: "add", Text: b[j], New: j + 1})
	}
	return nearChanges(all)
}

func linesIn(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
}

func nearChanges(all []web.DiffLine) []web.DiffLine {
	near := make([]bool, len(all))
	for i, line := range all {
		if line.Kind != "same" {
			for j := max(0, i-around); j < min(len(all), i+around+1); j++ {
				near[j] = true
			}
		}
	}
	shown, gap := []web.DiffLine{}, false
	for i, line := range all {
		if !near[i] {
			gap = true
			continue
		}
		if gap && len(shown) > 0 {
			shown = append(shown, web.DiffLine{Kind: "gap"})
		}
		shown, gap = append(shown, line), false
	}
	return shown
}

// differ finds which lines of a stay, and as which of b. Lines that stand once in both are the fixed
// points (patience diff); between those a table decides, where it is small enough.
type differ struct {
	a, b  []string
	pairs []int
}

const largestTable = 1 << 20

func (d *differ) match(a0, a1, b0, b1 int) {
	for a0 < a1 && b0 < b1 && d.a[a0] == d.b[b0] {
		d.pairs[a0] = b0
		a0, b0 = a0+1, b0+1
	}
	for a0 < a1 && b0 < b1 && d.a[a1-1] == d.b[b1-1] {
		a1, b1 = a1-1, b1-1
		d.pairs[a1] = b1
	}
	if a0 == a1 || b0 == b1 {
		return
	}
	fixed := d.fixed(a0, a1, b0, b1)
	if len(fixed) == 0 {
		if (a1-a0)*(b1-b0) <= largestTable {
			d.table(a0, a1, b0, b1)
		}
		return
	}
	for _, at := range fixed {
		d.match(a0, at[0], b0, at[1])
		d.pairs[at[0]] = at[1]
		a0, b0 = at[0]+1, at[1]+1
	}
	d.match(a0, a1, b0, b1)
}

// fixed gives the longest ascending run of lines that stand exactly once on either side.
func (d *differ) fixed(a0, a1, b0, b1 int) [][2]int {
	type count struct{ inA, inB, at int }
	counts := map[string]*count{}
	for i := a0; i < a1; i++ {
		c := counts[d.a[i]]
		if c == nil {
			c = &count{}
			counts[d.a[i]] = c
		}
		c.inA++
	}
	for j := b0; j < b1; j++ {
		if c := counts[d.b[j]]; c != nil {
			c.inB++
			c.at = j
		}
	}
	var once [][2]int
	for i := a0; i < a1; i++ {
		if c := counts[d.a[i]]; c.inA == 1 && c.inB == 1 {
			once = append(once, [2]int{i, c.at})
		}
	}
	var tails []int
	before := make([]int, len(once))
	for i, pair := range once {
		length := sort.Search(len(tails), func(n int) bool { return once[tails[n]][1] > pair[1] })
		before[i] = -1
		if length > 0 {
			before[i] = tails[length-1]
		}
		if length == len(tails) {
			tails = append(tails, i)
		} else {
			tails[length] = i
		}
	}
	if len(tails) == 0 {
		return nil
	}
	var run [][2]int
	for i := tails[len(tails)-1]; i >= 0; i = before[i] {
		run = append(run, once[i])
	}
	slices.Reverse(run)
	return run
}

// table finds the longest common subsequence.
func (d *differ) table(a0, a1, b0, b1 int) {
	width := b1 - b0 + 1
	best := make([]int32, (a1-a0+1)*width)
	for i := a1 - 1; i >= a0; i-- {
		for j := b1 - 1; j >= b0; j-- {
			at := (i-a0)*width + j - b0
			if d.a[i] == d.b[j] {
				best[at] = best[at+width+1] + 1
			} else {
				best[at] = max(best[at+width], best[at+1])
			}
		}
	}
	for i, j := a0, b0; i < a1 && j < b1; {
		at := (i-a0)*width + j - b0
		switch {
		case d.a[i] == d.b[j]:
			d.pairs[i] = j
			i, j = i+1, j+1
		case best[at+width] >= best[at+1]:
			i++
		default:
			j++
		}
	}
}
