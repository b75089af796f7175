//go:build linux

package nighttest

import (
	"fmt"
	"testing"
	"time"
)

// night keeps the list of what was done to the gateway, for the judge.
type night struct {
	record  *record
	window  int
	kills   int
	outages []*spell
}

// spell is one outage with the times that tell which deliveries it may have affected.
type spell struct {
	outage
	begin, end time.Time
}

// The contract's bounds. Whoever is cut off repeats what was in flight; a gateway that is killed
// also what was acknowledged since its cursor last became durable, 200 ms before or, at the most,
// as long as the disk of a busy machine takes to sync.
const (
	cursorFlush   = 200 * time.Millisecond
	syncAllowance = 2 * time.Second
	cursorAcks    = 1000
	subscriberLag = 20               // mosquitto's own max_inflight_messages towards its subscriber
	aftermath     = 45 * time.Second // within this an outage shows its repeats, or had none
)

// begins notes an outage before it happens and gives the function to call once it is over.
func (n *night) begins(name string, rewinds, repeats int) (over func()) {
	s := &spell{outage: outage{name: name, after: n.record.count(), rewinds: rewinds, repeats: repeats}, begin: time.Now()}
	n.outages = append(n.outages, s)
	return func() { s.end = time.Now() }
}

// killGateway kills the gateway and starts it again after a while.
func (n *night) killGateway(t *testing.T, g *gateway, rest time.Duration) {
	t.Helper()
	n.kills++
	over := n.begins(fmt.Sprintf("gateway kill %d", n.kills), 1, 0)
	s := n.outages[len(n.outages)-1]
	g.kill(t)
	recent := n.record.count() - n.record.countAt(s.begin.Add(-cursorFlush-syncAllowance))
	s.repeats = n.window + min(cursorAcks, recent)
	time.Sleep(rest)
	g.start(t)
	over()
}

// judge compares the record with what happened in the night.
func (n *night) judge(t *testing.T) *verdict {
	t.Helper()
	var outages []outage
	for _, s := range n.outages {
		s.until = n.record.countAt(s.end.Add(aftermath))
		if time.Since(s.end) < aftermath {
			s.until = n.record.count()
		}
		outages = append(outages, s.outage)
	}
	return judge(n.record.deliveries(t), outages)
}

func (v *verdict) report(t *testing.T) {
	t.Helper()
	for _, problem := range v.problems {
		t.Error(problem)
	}
	if v.withheld > 0 {
		t.Errorf("and %d problems more", v.withheld)
	}
}
