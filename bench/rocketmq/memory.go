package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sluice/bench/measure"
)

// heaps are the smallest with which Apache's servers carry the load, in MB; 0: none of those tried did.
type heaps struct {
	broker, nameServer int
	tried              []string // what became of each
}

// nameServerHeaps are tried from small to large.
var nameServerHeaps = []int{8, 12, 16, 24, 32, 64}

// memory finds the smallest heaps, and measures what servers hold at the load of the case both.
func (p *plan) memory(ctx context.Context, all results) (found heaps) {
	if p.measures(syncFlush) {
		found = p.smallestHeaps(ctx)
	}
	for round := range min(3, p.rounds) {
		for _, c := range p.measured {
			switch {
			case c.name == syncFlush && found.broker > 0 && found.nameServer > 0:
				c = p.apache(syncFlush, small(found.broker, found.nameServer))
			case c.name != ours:
				continue
			}
			all.add(caseMemory, c.name, p.fresh(ctx, c, p.bothWarm))
			p.tell(fmt.Sprintf("%s, round %d, %s", caseMemory, round+1, c.name), all[caseMemory][c.name])
		}
	}
	return found
}

// small is the machines with given heaps, and with the collector that needs least beside them. The
// broker refuses delays and large messages with less direct memory, most of which it never touches.
func small(broker, nameServer int) jvm {
	sized := func(mb int, more ...string) []string {
		return append([]string{fmt.Sprintf("-Xms%dm", mb), fmt.Sprintf("-Xmx%dm", mb), fmt.Sprintf("-Xmn%dm", mb/2), "-XX:+UseSerialGC"}, more...)
	}
	return jvm{broker: sized(broker, "-XX:MaxDirectMemorySize=1g"), nameServer: sized(nameServer, "-XX:MaxDirectMemorySize=64m")}
}

func (p *plan) bothWarm(ctx context.Context, s *server) (outcome, error) {
	if err := p.warmUp(ctx, s); err != nil {
		return outcome{}, err
	}
	return p.both(ctx, s)
}

// smallestHeaps looks for the first that gives nine tenths of the rate of a large one, with no send
// failed: the name server's beside a large broker, then the broker's beside that.
func (p *plan) smallestHeaps(ctx context.Context) (found heaps) {
	large := p.fresh(ctx, p.apache(syncFlush, p.generous()), p.bothWarm)
	if large.wrong != nil {
		found.tried = append(found.tried, fmt.Sprintf("broker %s: %v", p.heap, large.wrong))
		return found
	}
	wanted := 0.9 * throughput(large)
	try := func(name string, mb int, options jvm) bool {
		if ctx.Err() != nil {
			return false
		}
		o := p.fresh(ctx, p.apache(syncFlush, options), func(ctx context.Context, s *server) (outcome, error) {
			o, err := p.bothWarm(ctx, s)
			return o, errors.Join(err, s.alive())
		})
		carries := o.wrong == nil && o.failed == 0 && throughput(o) >= wanted
		said := fmt.Sprintf("%s %d MB: %s/s, %d failed", name, mb, measure.Short(throughput(o)), o.failed)
		if o.wrong != nil {
			text, _, _ := strings.Cut(o.wrong.Error(), "\n")
			said = fmt.Sprintf("%s %d MB: %s", name, mb, text)
		}
		found.tried = append(found.tried, said)
		measure.Say("heaps: %s; wanted %s/s: %t", said, measure.Short(wanted), carries)
		return carries
	}
	for _, mb := range nameServerHeaps {
		options := p.generous()
		options.nameServer = small(mb, mb).nameServer
		if try("name server", mb, options) {
			found.nameServer = mb
			break
		}
	}
	if found.nameServer == 0 {
		return found
	}
	for word := range strings.SplitSeq(p.heaps, ",") {
		var mb int
		if _, err := fmt.Sscan(word, &mb); err != nil || mb < 2 {
			found.tried = append(found.tried, fmt.Sprintf("-heaps: %q is no size", word))
			return found
		}
		if try("broker", mb, small(mb, found.nameServer)) {
			found.broker = mb
			break
		}
	}
	return found
}
