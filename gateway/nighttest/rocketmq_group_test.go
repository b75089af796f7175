//go:build linux

package nighttest

import (
	"sync"
	"testing"
	"time"
)

// A commit that was heard this long before a send began that was acknowledged is durable: 200 ms are the
// contract's, the rest is for the committer to get its turn. What lies between is the bound of what a group
// gets once more after a kill.
const rocketDurable = 300 * time.Millisecond

// rocketGroup is what a consumer group was given and what it has committed, in all lives.
type rocketGroup struct {
	name  string
	model *rocketModel

	mu     sync.Mutex // guards what follows
	places map[rocketPlace]*rocketProgress
	twice  int // messages that came again after a kill
}

// rocketProgress is a group's in one queue.
type rocketProgress struct {
	given   int64 // behind the last message that was delivered
	sent    int64 // the highest offset whose commit was sent
	promise int64 // the group never goes on before this
	heard   []rocketCommit
	holder  string // who has the queue to itself, of an ordered group
}

// rocketCommit is an offset that the gateway has taken, and when that was known.
type rocketCommit struct {
	at   time.Time
	next int64
}

func newRocketGroup(name string, model *rocketModel) *rocketGroup {
	return &rocketGroup{name: name, model: model, places: make(map[rocketPlace]*rocketProgress)}
}

func (g *rocketGroup) atLocked(at rocketPlace) *rocketProgress {
	p := g.places[at]
	if p == nil {
		p = new(rocketProgress)
		g.places[at] = p
	}
	return p
}

// begin compares where the group goes on after a start with what was promised and with what it was given.
func (g *rocketGroup) begin(at rocketPlace, next int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.atLocked(at)
	switch {
	case next > p.given, next > p.sent:
		g.model.fault("group %s goes on at %d in %v: it was given all below %d and committed %d", g.name, next, at, p.given, p.sent)
	case next < p.promise:
		g.model.fault("group %s goes on at %d in %v: %d was committed and durable", g.name, next, at, p.promise)
	}
	g.twice += int(p.given - next)
	p.promise, p.sent, p.heard = next, next, nil // what is read after a start is durable
}

// got notes messages of a queue, which come without a gap.
func (g *rocketGroup) got(at rocketPlace, from, next int64, offsets []int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.atLocked(at)
	for i, offset := range offsets {
		if offset != from+int64(i) {
			g.model.fault("group %s is given offset %d in %v, behind %d of %d", g.name, offset, at, i, from)
		}
	}
	if from+int64(len(offsets)) != next {
		g.model.fault("group %s is given %d messages from %d on in %v, and is to go on at %d", g.name, len(offsets), from, at, next)
	}
	p.given = max(p.given, next)
}

// commits notes that a commit is about to be sent.
func (g *rocketGroup) commits(at rocketPlace, next int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.atLocked(at)
	p.sent = max(p.sent, next)
}

// committed notes that a commit was taken.
func (g *rocketGroup) committed(at rocketPlace, next int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.atLocked(at)
	p.heard = append(p.heard, rocketCommit{time.Now(), next})
}

// killed finds out what of the commits is promised, and forgets who had what to itself.
func (g *rocketGroup) killed(proof time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.places {
		for _, c := range p.heard {
			if c.at.Add(rocketDurable).Before(proof) {
				p.promise = max(p.promise, c.next)
			}
		}
		p.heard, p.holder = nil, ""
	}
}

// takes notes that a client has a queue to itself, or none; it is false when another has it.
func (g *rocketGroup) takes(at rocketPlace, client string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.atLocked(at)
	free := p.holder == "" || p.holder == client
	p.holder = client
	return free
}

// leaves is the opposite.
func (g *rocketGroup) leaves(at rocketPlace) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.atLocked(at).holder = ""
}

// last is the newest commit of this life that was taken.
func (g *rocketGroup) last(at rocketPlace) (next int64, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	heard := g.atLocked(at).heard
	if len(heard) == 0 {
		return 0, false
	}
	return heard[len(heard)-1].next, true
}

// behind tells whether the group was given less than all of a queue.
func (g *rocketGroup) behind(at rocketPlace, end int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.atLocked(at).given < end
}

// TestRocketGroupSeesBrokenPromises breaks what the groups of TestRocketMQSurvivesKills are held to.
func TestRocketGroupSeesBrokenPromises(t *testing.T) {
	at := rocketPlace{rocketTopic, 0}
	for _, c := range []struct {
		name  string
		fault bool
		next  int64
	}{
		{"where it was", false, 20},
		{"before the promise", true, 9},
		{"between", false, 10},
		{"behind what was committed", true, 21},
		{"behind what was given", true, 31},
	} {
		g := newRocketGroup("group", newRocketModel())
		now := time.Now()
		g.got(at, 0, 30, make30())
		g.commits(at, 20)
		g.places[at].heard = []rocketCommit{{now.Add(-time.Second), 10}, {now, 20}}
		g.killed(now)
		g.begin(at, c.next)
		if faults := g.model.faults; len(faults) > 0 != c.fault {
			t.Errorf("%s: faults %q, want some: %v", c.name, faults, c.fault)
		}
	}
}

func make30() (offsets []int64) {
	for i := range int64(30) {
		offsets = append(offsets, i)
	}
	return offsets
}
