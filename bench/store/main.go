// Command store measures the log beside its peers: a plain segment file with the same blocks and the
// same group commit, which is the ceiling, and the same blocks in bbolt and in pebble. Every
// contestant runs in a process of its own, in turns, and what counts are the ratios of one round.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
)

func main() {
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "rounds; in each every contestant runs once")
	flag.Float64Var(&p.seconds, "seconds", 2, "length of one run with waiting appenders")
	flag.Float64Var(&p.sustained, "sustained", 6, "length of one pipelined run")
	flag.IntVar(&p.messages, "messages", 10_000_000, "messages in the log that is opened, and in the one whose keys are looked up")
	flag.IntVar(&p.read, "read", 1_000_000, "messages that are read back")
	flag.IntVar(&p.backlog, "backlog", 1_000_000, "messages that a first-in-first-out run keeps")
	flag.Float64Var(&p.churn, "churn", 20, "length of one first-in-first-out run")
	flag.Float64Var(&p.trickle, "trickle", 60, "length of the runs with ten readings a second")
	flag.IntVar(&p.month, "month", 259_200, "readings that are appended one by one; a month at ten a second are 25,920,000")
	flag.StringVar(&p.only, "only", "", "run only the cases whose name has this in it")
	flag.StringVar(&p.dir, "dir", "", "directory on the disk to measure; default: the temporary one")
	profile := flag.String("profile", "", "with -one: write a CPU profile of it to this file")
	memory := flag.String("memprofile", "", "with -one: write a heap profile at its end to this file")
	one := flag.String("one", "", "run one contestant, described in JSON, and print its result (used inside)")
	flag.Parse()
	if *one != "" {
		var j job
		err := json.Unmarshal([]byte(*one), &j)
		if err == nil && *profile != "" {
			var file *os.File
			if file, err = os.Create(*profile); err == nil {
				defer file.Close()
				err = pprof.StartCPUProfile(file)
			}
		}
		if err == nil {
			var r result
			if r, err = j.run(); err == nil {
				err = json.NewEncoder(os.Stdout).Encode(r)
			}
			pprof.StopCPUProfile()
			if file, err := os.Create(*memory); err == nil {
				defer file.Close()
				pprof.Lookup("allocs").WriteTo(file, 0)
			}
		}
		exit(err)
		return
	}
	exit(p.run(os.Stdout))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "store benchmark:", err)
		os.Exit(1)
	}
}
