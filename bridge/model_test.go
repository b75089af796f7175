package bridge

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

var modelSeed = flag.Uint64("model.seed", 0, "seed of the model test; 0: a new one each time")

// TestForwarderAgainstAModel lets a cloud answer in any order, refuse, lose links and come back, and
// holds what the forwarder did against the rules of the delivery contract.
func TestForwarderAgainstAModel(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	for round := range uint64(20) {
		t.Logf("to repeat: -run TestForwarderAgainstAModel -model.seed=%d (round %d)", seed, round)
		synctest.Test(t, func(t *testing.T) { runModel(t, rand.New(rand.NewPCG(seed, round))) })
		if t.Failed() {
			return
		}
	}
}

func runModel(t *testing.T, random *rand.Rand) {
	const routes = 2
	window := 1 + random.IntN(12)
	keys := []string{"readings/line-3/press", "readings/line-3/oven", "readings/line-3/meter"}
	refusals := 0
	cloud := &fakeCloud{hold: true}
	answered := make(map[message.Position]bool) // by done(nil), in the cloud's own book
	var sources []*fakeSource
	for range routes {
		sources = append(sources, newSource(t, "readings/line-3/press", 0, 0, 0))
	}
	next := message.Position(1)
	produce := func() {
		for range random.IntN(8) {
			sources[int(next)%routes].add(keys[random.IntN(len(keys))], next)
			next++
		}
	}
	produce()
	f := forwarder(cloud, window, sources...)
	f.Tries = 1 + random.IntN(3)
	jitter := rand.New(rand.NewPCG(random.Uint64(), 0))
	var mu sync.Mutex // guards jitter: both routes and the forwarder itself draw from it
	f.random = func(ceiling time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(jitter.Int64N(int64(ceiling)))
	}
	start(t, f)
	for range 400 {
		synctest.Wait()
		checkAcked(t, sources, answered)
		switch action := random.IntN(20); {
		case action < 5:
			produce()
		case action < 15:
			answerOne(cloud, answered, random)
		case action < 16:
			if len(cloud.links) > 0 {
				cloud.lose(errors.New("line cut"))
			}
		case action < 17:
			cloud.mu.Lock()
			cloud.downUntil = time.Now().Add(time.Duration(random.IntN(5)) * time.Second)
			cloud.mu.Unlock()
		case action < 18:
			refusals += refuseOne(cloud, random)
		default:
			time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
		}
	}
	for range 2000 { // good days: everything must arrive
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		for answerOne(cloud, answered, random) {
		}
	}
	synctest.Wait()
	checkAcked(t, sources, answered)
	for i, s := range sources {
		if s.rewinds > len(cloud.links)+refusals {
			t.Errorf("route %d began again %d times on %d connections with %d refusals", i, s.rewinds, len(cloud.links), refusals)
		}
		if n := len(s.records); n > 0 && s.Acked() != s.records[n-1].Position {
			t.Errorf("route %d got to %d of %d", i, s.Acked(), s.records[n-1].Position)
		}
	}
	if cloud.maxOut > window {
		t.Errorf("%d messages were in flight, the window is %d", cloud.maxOut, window)
	}
	checkOrder(t, cloud, sources)
}

// answerOne acknowledges a message in flight, any of them, and says whether there was one.
func answerOne(c *fakeCloud, answered map[message.Position]bool, random *rand.Rand) bool {
	m, ok := pick(c, random)
	if ok {
		answered[m.at] = true
		m.done(nil)
	}
	return ok
}

// refuseOne refuses a message in flight, unless the cloud has taken a later one of the same key, and
// holds back what is behind it, as every Link does. It says how many answers made a lane begin again.
func refuseOne(c *fakeCloud, random *rand.Rand) int {
	m, ok := pick(c, random)
	if !ok || m.link.taken[m.key] > m.index {
		return 0
	}
	c.mu.Lock()
	behind := []sentMessage{m}
	for _, later := range c.sent[m.index+1:] {
		if later.link == m.link && later.key == m.key {
			behind = append(behind, later)
		}
	}
	c.mu.Unlock()
	for i, held := range behind {
		if i == 0 {
			held.done(&RefusedError{Reason: "the model says so", Retry: random.IntN(2) == 0})
		} else {
			held.done(ErrHeld)
		}
	}
	return len(behind)
}

func pick(c *fakeCloud, random *rand.Rand) (sentMessage, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.links) == 0 {
		return sentMessage{}, false
	}
	l := c.links[len(c.links)-1]
	select {
	case <-l.lost:
		return sentMessage{}, false
	default:
	}
	var open []int
	for i := range l.out {
		open = append(open, i)
	}
	if len(open) == 0 {
		return sentMessage{}, false
	}
	slices.Sort(open) // map order would make the seed useless
	return c.sent[open[random.IntN(len(open))]], true
}

// checkAcked holds every cursor against the cloud's book: nothing at or before it may be missing.
func checkAcked(t *testing.T, sources []*fakeSource, answered map[message.Position]bool) {
	t.Helper()
	for _, s := range sources {
		acked := s.Acked()
		for _, r := range s.records {
			if r.Position <= acked && !answered[r.Position] && !s.setAside(r.Position) {
				t.Fatalf("the cursor stands at %d, but the cloud never acknowledged %d", acked, r.Position)
			}
		}
	}
}

// setAside says whether the record at that position was kept as a dead letter.
func (s *fakeSource) setAside(at message.Position) bool {
	want := message.Property{Name: AsidePosition, Value: strconv.FormatUint(uint64(at), 10)}
	return slices.ContainsFunc(s.aside, func(m message.Message) bool { return slices.Contains(m.Properties, want) })
}

// checkOrder: of each key of a route every message follows the one before it in the log, or the cloud sees a
// step back to one that it has seen before. So no message is overtaken on its first delivery, except
// behind one that the cloud itself refused, which was delivered before that, too.
func checkOrder(t *testing.T, c *fakeCloud, sources []*fakeSource) {
	t.Helper()
	for i, s := range sources {
		byKey := make(map[string][]message.Record)
		for _, r := range s.records {
			byKey[r.Topic] = append(byKey[r.Topic], r)
		}
		for key, records := range byKey {
			checkOrderOf(t, c, fmt.Sprintf("route %d, %s", i, key), records)
		}
	}
}

func checkOrderOf(t *testing.T, c *fakeCloud, what string, records []message.Record) {
	t.Helper()
	index := make(map[message.Position]int)
	for n, r := range records {
		index[r.Position] = n
	}
	furthest := -1
	previous := -1
	for _, m := range c.messages() {
		n, mine := index[m.at]
		if !mine {
			continue
		}
		if n > furthest+1 {
			t.Fatalf("%s: message %d was sent before the one ahead of it", what, m.at)
		}
		if n > previous+1 {
			t.Fatalf("%s: after a step back message %d came without those ahead of it", what, m.at)
		}
		furthest, previous = max(furthest, n), n
	}
}
