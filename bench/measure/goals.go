package measure

import (
	"fmt"
	"io"
	"strings"
)

// Goal is one wish of the project and what became of it in a run.
type Goal struct {
	Name     string // shown
	Case     string // the case that it is about
	Wish     string
	Measured string
	State    State
}

// State says what became of a goal.
type State int

// The zero State is that of a goal of which either side was not measured.
const (
	Unknown State = iota
	Reached
	Missed
)

func (s State) String() string {
	return [...]string{"not measured", "reached", "not reached"}[s]
}

// Judged is the State of a goal that was measured.
func Judged(ok bool) State {
	if ok {
		return Reached
	}
	return Missed
}

// Compare judges the median of a list against a bound, which it must reach, or may not exceed if most is set.
func (g Goal) Compare(list []float64, unit string, bound float64, most bool) Goal {
	if len(list) == 0 {
		return g
	}
	g.Measured = SpreadOf(list, Digits) + " " + unit
	g.State = Judged(Median(list) >= bound && !most || Median(list) <= bound && most)
	return g
}

// Settle takes a goal for missed where every try broke.
func Settle[O Outcome](g Goal, tries []O) Goal {
	if len(tries) > 0 && len(Good(tries)) == 0 {
		g.Measured, g.State = "failed", Missed
	}
	return g
}

// Summary prints the goals that were measured, and how many of them are reached. A goal needs somebody to compare
// with: of those without it says nothing.
func Summary(w io.Writer, goals []Goal) {
	var hit, of int
	var open []string
	var rows strings.Builder
	for _, g := range goals {
		if g.State == Unknown {
			continue
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %s |\n", g.Name, g.Wish, g.Measured, g.State)
		of++
		if g.State == Reached {
			hit++
		} else {
			open = append(open, g.Name+": "+g.Wish)
		}
	}
	if of == 0 {
		return
	}
	fmt.Fprintf(w, "\n| goal | wish | measured | |\n|---|---|---|---|\n%s", rows.String())
	fmt.Fprintf(w, "\nGoals: %d of %d reached", hit, of)
	if len(open) > 0 {
		fmt.Fprintf(w, "; not reached: %s", strings.Join(open, "; "))
	}
	fmt.Fprintln(w, ".")
}
