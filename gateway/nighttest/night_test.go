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

// spell is one outage with its times. end is set only where until follows from it.
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
	subscriberLag = 20 // mosquitto's own max_inflight_messages towards its subscriber
	// aftermath is how long after a cut line the connection may still turn out to be lost.
	aftermath = 45 * time.Second
)

// begins notes an outage before it happens.
func (n *night) begins(name string, rewinds, repeats int) *spell {
	s := &spell{outage: outage{name: name, after: n.record.count(), rewinds: rewinds, repeats: repeats}, begin: time.Now()}
	n.outages = append(n.outages, s)
	return s
}

// silent waits, once one side is gone, until the other has recorded what was under way. The step
// back comes with the new connection, so nothing but what its receiver holds back may precede it.
func (n *night) silent(s *spell) {
	for last := -1; last != n.record.count(); time.Sleep(200 * time.Millisecond) {
		last = n.record.count()
	}
	s.until = n.record.count() + n.window + 2*subscriberLag
}

// over ends an outage after which the connection need not be lost, or may be later.
func (s *spell) over() { s.end = time.Now() }

// killGateway kills the gateway and starts it again.
func (n *night) killGateway(t *testing.T, g *gateway) {
	t.Helper()
	n.kills++
	s := n.begins(fmt.Sprintf("gateway kill %d", n.kills), 1, 0)
	g.kill(t)
	n.silent(s)
	recent := n.record.count() - n.record.countAt(s.begin.Add(-cursorFlush-syncAllowance))
	s.repeats = n.window + min(cursorAcks, recent)
	g.start(t)
}

// judge compares the record with what happened in the night.
func (n *night) judge(t *testing.T) *verdict {
	t.Helper()
	var outages []outage
	for _, s := range n.outages {
		o := s.outage
		if !s.end.IsZero() {
			o.until = n.record.countAt(s.end.Add(aftermath))
		}
		outages = append(outages, o)
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
