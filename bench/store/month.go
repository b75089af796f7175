package main

import (
	"fmt"
	"io"
	"os"

	"sluice/store"
)

// months compares what a long trickle leaves with the same readings in full blocks. Nobody waits for the
// clock or for a disk: it runs in memory, where syncs cost nothing, and every reading is a commit.
func (p plan) months(w io.Writer) error {
	fmt.Fprintf(w, "| %d readings | disk MB | ratio | opening ms | anon MB after it |\n|---|---|---|---|---|\n", p.month)
	var full float64
	for _, c := range []struct{ name, run string }{{"as fast as they are taken", "fill"}, {"one by one", "month"}} {
		dir, err := os.MkdirTemp("/dev/shm", "store-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if _, err := (job{Case: c.run, Engine: ours, Dir: dir, N: p.month}).child(); err != nil {
			return err
		}
		r, err := (job{Case: "open", Engine: ours, Dir: dir, N: p.month}).child()
		if err != nil {
			return err
		}
		used := onDisk(dir)
		disk := float64(used) / mb
		if full == 0 {
			full = disk
		}
		fmt.Fprintf(w, "| %s | %.1f | %.2f | %.0f | %.1f |\n", c.name, disk, disk/full, r.Open, r.Anon)
		os.RemoveAll(dir)
	}
	return nil
}

// oneByOne appends n readings, each a commit of its own.
func (j job) oneByOne() (result, error) {
	l, err := openOurs(store.Options{Dir: j.Dir})
	if err != nil {
		return result{}, err
	}
	list, w := readings(true), newWindow(1)
	for n := range j.N {
		if err := w.take(1); err != nil {
			return result{}, err
		}
		m := &list[n%len(list)]
		m.Seq = uint64(n + 1)
		if err := l.Append(m, w, 0); err != nil {
			return result{}, err
		}
	}
	if err := w.wait(); err != nil {
		return result{}, err
	}
	return result{Messages: j.N}, l.Close()
}
