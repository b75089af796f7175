package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/bench/measure"
)

// threads is the processor time of each thread of a process, under its number.
func threads(pid int) map[string]time.Duration {
	all := make(map[string]time.Duration)
	list, _ := os.ReadDir(measure.Proc(pid) + "/task") // a process that is gone has none
	for _, entry := range list {
		if used, err := measure.ProcessorTime(filepath.Join(measure.Proc(pid), "task", entry.Name())); err == nil {
			all[entry.Name()] = used
		}
	}
	return all
}

// busiest names the threads that have used most since before, in parts of one core.
func busiest(pid int, before map[string]time.Duration, since time.Time) string {
	type share struct {
		name string
		part float64
	}
	shares := make(map[string]float64)
	for number, used := range threads(pid) {
		name, err := os.ReadFile(filepath.Join(measure.Proc(pid), "task", number, "comm"))
		if err != nil {
			continue // it has ended
		}
		// The threads of a pool differ in their last figures.
		shares[strings.TrimRight(strings.TrimSpace(string(name)), "0123456789-_#")] += (used - before[number]).Seconds() / time.Since(since).Seconds()
	}
	var list []share
	for name, part := range shares {
		list = append(list, share{name, part})
	}
	slices.SortFunc(list, func(a, b share) int { return cmp.Compare(b.part, a.part) })
	var words []string
	for _, s := range list[:min(4, len(list))] {
		words = append(words, fmt.Sprintf("%s %.0f %%", s.name, 100*s.part))
	}
	return strings.Join(words, ", ")
}
