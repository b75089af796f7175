package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a configuration file: where it stands, and what would be right.
type Problem struct {
	File         string
	Line, Column int    // both count from 1
	Path         string // for example devices[0].points[3].type; empty for the file as a whole
	Message      string
	Warning      bool // the file can be used all the same
}

// String gives the problem as one line: file.yaml:12:7: devices[0].interval: what is wrong.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(oneLine(p.Path))
		b.WriteString(": ")
	}
	b.WriteString(oneLine(p.Message))
	return b.String()
}

// Problems is everything that is wrong with a file, in the order of its lines. As an error it holds
// at least one Problem that is not a warning.
type Problems []Problem

// Error gives one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// serious says whether anything in ps is more than a warning.
func (ps Problems) serious() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return !p.Warning })
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
}

// oneLine keeps text from a file from breaking the one-line form, or the terminal that shows it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !visible(r) {
			return '�'
		}
		return r
	}, s)
}
