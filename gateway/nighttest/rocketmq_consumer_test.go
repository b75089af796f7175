//go:build linux

package nighttest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"sluice/gateway/remoting"
)

// consumeClustered consumes places as a stock client does: pulls that wait, offsets committed one-way by the
// first member and with the pulls by the second. deal may give messages back; it is false when the
// connection has ended.
func (g *rocketGroup) consumeClustered(c *rocketConn, member int, places []rocketPlace, deal func(*remoting.Stored, rocketPlace) bool) {
	defer c.close()
	topics := []string{rocketTopic}
	if deal != nil {
		topics = append(topics, "%RETRY%"+g.name)
	}
	if !c.heartbeat(fmt.Sprintf("%s-%d", g.name, member), "", g.name, topics...) {
		return
	}
	var all sync.WaitGroup
	for _, at := range places {
		all.Go(func() { g.consumeQueue(c, at, member%2 == 0, deal) })
	}
	all.Wait()
}

const (
	pullCommits  = 1
	pullSuspends = 2
)

func (g *rocketGroup) consumeQueue(c *rocketConn, at rocketPlace, oneway bool, deal func(*remoting.Stored, rocketPlace) bool) {
	next, ok := c.offset(g.name, at)
	if !ok {
		return
	}
	g.begin(at, next)
	commit, committed := int64(-1), int64(-1)
	for {
		flags := pullSuspends
		if commit >= 0 && !oneway {
			flags |= pullCommits
		}
		if commit > committed {
			g.commits(at, commit)
			if oneway {
				c.send(remoting.UpdateConsumerOffset, g.commitFields(at, commit), nil, nil)
			}
		}
		list, after, answer := c.pull(g.name, at, next, flags, 1000, commit)
		if answer == nil {
			return
		}
		switch answer.Code {
		case remoting.Success:
		case remoting.PullNotFound:
			list, after = nil, next
		case remoting.SubscriptionNotExist, remoting.SubscriptionNotLatest, remoting.TopicNotExist:
			time.Sleep(5 * time.Millisecond)
			continue // the heartbeat of another connection is over, or nobody has sent yet
		default:
			g.model.fault("group %s pulling %v from %d: code %d, %s", g.name, at, next, answer.Code, answer.Remark)
			return
		}
		if commit > committed { // requests of a connection are taken in turn
			g.committed(at, commit)
			committed = commit
		}
		g.deliver(at, next, after, list)
		for i := range list {
			if deal != nil && !deal(&list[i], at) {
				return
			}
		}
		next = after
		if len(list) > 0 {
			commit = next
		}
	}
}

func (g *rocketGroup) commitFields(at rocketPlace, next int64) remoting.Fields {
	return rocketFields("consumerGroup", g.name, "topic", at.topic, "queueId", at.queue, "commitOffset", next)
}

// deliver notes what a pull gave.
func (g *rocketGroup) deliver(at rocketPlace, from, next int64, list []remoting.Stored) {
	offsets := make([]int64, len(list))
	for i := range list {
		offsets[i] = list[i].QueueOffset
		g.model.shown(at, offsets[i], string(list[i].Body))
	}
	g.got(at, from, next, offsets)
}

// consumeOrdered consumes what it can lock, commits before it unlocks, and lets the others have their turn.
func (g *rocketGroup) consumeOrdered(c *rocketConn, member int, begun *sync.Map) {
	defer c.close()
	client := fmt.Sprintf("%s-%d", g.name, member)
	if !c.heartbeat(client, "", g.name, rocketTopic) {
		return
	}
	type queue struct {
		Topic  string `json:"topic"`
		Broker string `json:"brokerName"`
		Queue  int    `json:"queueId"`
	}
	type locking struct {
		Group  string  `json:"consumerGroup"`
		Client string  `json:"clientId"`
		Queues []queue `json:"mqSet"`
	}
	for {
		first := rand.N(rocketQueues)
		wanted := []queue{{rocketTopic, "killed", first}, {rocketTopic, "killed", (first + 1) % rocketQueues}}
		answer := c.call(remoting.LockBatchMQ, nil, rocketJSON(locking{g.name, client, wanted}))
		if answer == nil {
			return
		}
		var locked struct {
			OK []queue `json:"lockOKMQSet"`
		}
		if err := json.Unmarshal(answer.Body, &locked); err != nil {
			g.model.fault("locking: code %d, %s: %v", answer.Code, answer.Remark, err)
			return
		}
		for _, q := range locked.OK {
			at := rocketPlace{q.Topic, q.Queue}
			if !g.takes(at, client) {
				g.model.fault("%v is locked for %s while another has it", at, client)
			}
			if !g.consumeLocked(c, at, begun) {
				return
			}
			g.leaves(at)
		}
		if c.call(remoting.UnlockBatchMQ, nil, rocketJSON(locking{g.name, client, wanted})) == nil {
			return
		}
		time.Sleep(rand.N(10 * time.Millisecond))
	}
}

// consumeLocked pulls some times and commits each. Whoever comes next goes on exactly there.
func (g *rocketGroup) consumeLocked(c *rocketConn, at rocketPlace, begun *sync.Map) bool {
	next, ok := c.offset(g.name, at)
	if !ok {
		return false
	}
	if _, before := begun.LoadOrStore(at, true); !before {
		g.begin(at, next)
	} else if last, known := g.last(at); known && last != next {
		g.model.fault("group %s goes on at %d in %v, where %d was committed", g.name, next, at, last)
	}
	for range 4 {
		list, after, answer := c.pull(g.name, at, next, 0, 0, 0)
		switch {
		case answer == nil:
			return false
		case answer.Code != remoting.Success:
			return true
		}
		g.deliver(at, next, after, list)
		g.commits(at, after)
		answer = c.call(remoting.UpdateConsumerOffset, g.commitFields(at, after), nil)
		if answer == nil {
			return false
		}
		if answer.Code != remoting.Success {
			g.model.fault("group %s committing %d in %v: code %d, %s", g.name, after, at, answer.Code, answer.Remark)
		}
		g.committed(at, after)
		next = after
	}
	return true
}

// rocketReturns is what a group has given back.
type rocketReturns struct {
	group *rocketGroup

	mu    sync.Mutex       // guards what follows
	first map[string]int64 // when that was first tried, in Unix milliseconds
	back  map[string]bool  // acknowledged: it comes again
	dead  map[string]bool  // acknowledged: it is a dead letter
	seen  map[string]bool  // came again
}

func newRocketReturns(group *rocketGroup) *rocketReturns {
	return &rocketReturns{group: group, first: make(map[string]int64), back: make(map[string]bool), dead: make(map[string]bool), seen: make(map[string]bool)}
}

// deal gives some messages back for a second, and some that come again for good: as their level says, or
// since it was often enough.
func (r *rocketReturns) deal(c *rocketConn, m *remoting.Stored, at rocketPlace) bool {
	body := readRocketBody(string(m.Body))
	level, most, text := 1, 16, string(m.Body)
	if at.topic == rocketTopic {
		if body.number%25 != 0 {
			return true
		}
	} else {
		r.came(m, text)
		switch body.number / 25 % 3 {
		case 0:
			level = -1
		case 1:
			most = 1
		default:
			return true
		}
	}
	began := time.Now()
	r.mu.Lock()
	if _, before := r.first[text]; !before {
		r.first[text] = began.UnixMilli()
	}
	r.mu.Unlock()
	answer := c.call(remoting.ConsumerSendMsgBack, rocketFields("group", r.group.name, "offset", strconv.FormatInt(m.PhysicalOffset, 10),
		"delayLevel", level, "originTopic", at.topic, "maxReconsumeTimes", most), nil)
	if answer == nil {
		return false
	}
	if answer.Code != remoting.Success {
		r.group.model.fault("giving %q back: code %d, %s", text, answer.Code, answer.Remark)
		return true
	}
	r.group.model.proved(began)
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.topic != rocketTopic {
		r.dead[text] = true
	} else {
		r.back[text] = true
	}
	return true
}

func (r *rocketReturns) came(m *remoting.Stored, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[text] = true
	switch first, tried := r.first[text]; {
	case !tried:
		r.group.model.fault("%q comes again, and was never given back", text)
	case m.Reconsumed != 1:
		r.group.model.fault("%q comes again for the time %d", text, m.Reconsumed)
	case m.StoreTime < first+1000:
		r.group.model.fault("%q comes again %d ms too early", text, first+1000-m.StoreTime)
	}
}

// buried lists the dead letters of which there is no trace.
func (r *rocketReturns) buried(there map[string]bool) (missing []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for text := range r.dead {
		if !there[text] {
			missing = append(missing, text)
		}
	}
	return missing
}

// unseen lists what was given back and did not come again.
func (r *rocketReturns) unseen() (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for text := range r.back {
		if !r.seen[text] {
			list = append(list, text)
		}
	}
	return list
}
