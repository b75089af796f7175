//go:build linux

package nighttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"sluice/gateway/remoting"
)

// rocketClients are all that talk to the gateway, through all of its lives.
type rocketClients struct {
	model     *rocketModel
	producers []*rocketProducer
	clustered *rocketGroup
	ordered   *rocketGroup
	returns   *rocketReturns
	popper    *rocketPopper
	dial      func(asked func(*rocketConn, *remoting.Command)) *rocketConn
}

func newRocketClients(t *testing.T, address string) *rocketClients {
	m := newRocketModel()
	r := &rocketClients{
		model: m, clustered: newRocketGroup("clustered", m), ordered: newRocketGroup("ordered", m),
		returns: newRocketReturns(newRocketGroup("retrier", m)), popper: newRocketPopper(newRocketGroup("popper", m)),
		dial: func(asked func(*rocketConn, *remoting.Command)) *rocketConn {
			socket, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			return newRocketConn(socket, asked)
		},
	}
	for i := range rocketQueues - 1 {
		r.producers = append(r.producers, &rocketProducer{model: m, number: i})
	}
	return r
}

// live lets everybody work until the gateway dies; producers stop sending when quiet is closed. The function
// that it returns waits for them.
func (r *rocketClients) live(t *testing.T, life int, quiet <-chan struct{}) (wait func()) {
	var all sync.WaitGroup
	judge := r.dial(nil)
	if !r.popper.begin(judge) {
		t.Fatal("the offsets of the group that pops cannot be asked for")
	}
	judge.close()
	var begun sync.Map
	places := rocketPlaces(rocketTopic)
	for member := range 2 {
		clustered, ordered, pops := r.dial(nil), r.dial(nil), r.dial(nil)
		first := (member + life) % 2 * 2 // members change places
		all.Go(func() { r.clustered.consumeClustered(clustered, member, places[first:first+2], nil) })
		all.Go(func() { r.ordered.consumeOrdered(ordered, member, &begun) })
		all.Go(func() { r.popper.consume(pops) })
	}
	returns := r.dial(nil)
	deal := func(m *remoting.Stored, at rocketPlace) bool { return r.returns.deal(returns, m, at) }
	all.Go(func() {
		r.returns.group.consumeClustered(returns, life%2, append(places, rocketPlace{"%RETRY%" + r.returns.group.name, 0}), deal)
	})
	for _, p := range r.producers {
		c := r.dial(p.asked)
		all.Go(func() { p.run(c, quiet) })
	}
	return all.Wait
}

// killed tells the groups what is promised by now.
func (r *rocketClients) killed() {
	proof := r.model.killed()
	for _, g := range []*rocketGroup{r.clustered, r.ordered, r.returns.group} {
		g.killed(proof)
	}
	r.popper.killed(proof)
}

// judge looks at all queues of the topic over a connection of its own.
func (r *rocketClients) judge(t *testing.T) {
	t.Helper()
	c := r.dial(nil)
	defer c.close()
	r.model.judge(t, c)
	r.model.check(t)
}

// waiting says what is still to come before everybody has everything.
func (r *rocketClients) waiting() string {
	lists := map[string][]string{
		"acknowledged and missing": r.model.missing(true), "half messages that nobody was asked about": r.model.unasked(),
		"given back": r.returns.unseen(), "never popped and acknowledged": r.popper.behind(r.model.found),
	}
	for what, list := range lists {
		if len(list) > 0 {
			return fmt.Sprintf("%s: %d, such as %q", what, len(list), someOf(list))
		}
	}
	for _, g := range []*rocketGroup{r.clustered, r.ordered, r.returns.group} {
		for at, end := range r.model.next {
			if g.behind(at, end) {
				return fmt.Sprintf("group %s in %v, up to %d", g.name, at, end)
			}
		}
	}
	return ""
}

// TestRocketMQSurvivesKills kills the gateway while producers send, with batches, delays and transactions
// among what they send, and while groups consume in every way. What was acknowledged is where it was said to
// be, in order; groups go on where they must, and get everything.
func TestRocketMQSurvivesKills(t *testing.T) {
	cycles := 6
	if os.Getenv("SLUICE_LONG") == "1" {
		cycles = 50
	}
	web, address := freeAddress(t), freeAddress(t)
	g := newGateway(t, site{}, web, fmt.Sprintf("gateway: {name: killed}\nstore: {dir: \"{dir}/data\"}\nweb: {listen: %q}\nrocketmq: {listen: %q, nameserver: \"\"}\n", web, address))
	r := newRocketClients(t, address)
	for life := range cycles {
		g.start(t)
		if life == 0 {
			r.makeTopic(t)
		}
		r.judge(t)
		if missing := r.model.missing(false); len(missing) > 0 {
			t.Fatalf("after kill %d, %d acknowledged messages are missing, such as %q", life, len(missing), someOf(missing))
		}
		wait := r.live(t, life, nil)
		time.Sleep(200*time.Millisecond + rand.N(time.Second)) // the moment of the kill
		if life%10 == 3 {
			time.Sleep(5500*time.Millisecond + rand.N(time.Second)) // producers are being asked about half messages
		}
		g.kill(t)
		wait()
		r.killed()
		r.model.check(t)
	}
	g.start(t)
	r.judge(t)
	quiet := make(chan struct{})
	wait := r.live(t, cycles, quiet)
	time.Sleep(time.Second)
	close(quiet)
	waiting := ""
	defer func() {
		if t.Failed() && waiting != "" {
			t.Log(waiting)
		}
	}()
	until(t, 2*time.Minute, "everybody to have everything", func() bool {
		g.process.alive(t)
		r.judge(t)
		waiting = r.waiting()
		return waiting == ""
	})
	r.verdict(t, cycles)
	g.stop(t)
	wait()
	r.model.check(t)
}

// makeTopic makes the topic, so that consumers find it before there is anything.
func (r *rocketClients) makeTopic(t *testing.T) {
	c := r.dial(nil)
	defer c.close()
	answer := c.call(remoting.UpdateAndCreateTopic, rocketFields("topic", rocketTopic, "defaultTopic", "TBW102", "readQueueNums", rocketQueues, "writeQueueNums", rocketQueues,
		"perm", 6, "topicFilterType", "SINGLE_TAG", "topicSysFlag", 0, "order", false), nil)
	if answer == nil || answer.Code != remoting.Success {
		t.Fatalf("making the topic: %+v", answer)
	}
}

// verdict reads everything once more, dead letters too, and says what was seen.
func (r *rocketClients) verdict(t *testing.T, cycles int) {
	t.Helper()
	c := r.dial(nil)
	defer c.close()
	all := 0
	for _, at := range rocketPlaces(rocketTopic) {
		end := int64(0)
		readRocketQueue(t, c, at, 0, func(s *remoting.Stored) {
			if s.QueueOffset != end {
				t.Fatalf("%v has offset %d behind %d", at, s.QueueOffset, end-1)
			}
			r.model.shown(at, end, string(s.Body))
			end++
		})
		if end < r.model.next[at] {
			t.Errorf("%v ends at %d, it had %d", at, end, r.model.next[at])
		}
		all += int(end)
	}
	letters := make(map[string]bool)
	readRocketQueue(t, c, rocketPlace{"%DLQ%" + r.returns.group.name, 0}, 0, func(s *remoting.Stored) { letters[string(s.Body)] = true })
	if missing := r.returns.buried(letters); len(missing) > 0 {
		t.Errorf("of %d dead letters %d are missing, such as %q", len(r.returns.dead), len(missing), someOf(missing))
	}
	r.model.check(t)
	twice := 0
	for _, n := range r.model.found {
		twice += n - 1
	}
	t.Logf("%d kills: %d acknowledged of %d messages in %d queues, all there, %d delayed or committed ones twice, %d batches only begun and not acknowledged; "+
		"%d half messages, %d rolled back, %d asked about; %d taken back; %d given back, %d dead letters; %d came by way of the pops' retry topic; "+
		"twice for consumers: %d clustered, %d ordered, %d popping",
		cycles, len(r.model.acked), all, rocketQueues, twice, r.model.partialBatches(), len(r.model.halves), len(r.model.rolled), len(r.model.asked),
		len(r.model.recalls), len(r.returns.back), len(r.returns.dead), len(r.popper.again), r.clustered.twice, r.ordered.twice, r.popper.group.twice)
}
