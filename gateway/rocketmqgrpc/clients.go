package rocketmqgrpc

import (
	"sync"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"sluice/gateway/queue"
	"sluice/gateway/rocketmq/acl"
)

const (
	// clientTimeout is how long a client is known without a heartbeat and without a telemetry stream.
	clientTimeout = 120 * time.Second
	// goneAfter is the same for one that has had a stream. Heartbeats come every ten seconds, and the Go client says who it
	// is once more when it has said goodbye.
	goneAfter = 30 * time.Second
	// lostAfter is how long a client may be without a telemetry stream until what it keeps goes to others: so long it
	// takes to come back when the line broke.
	lostAfter = 5 * time.Second

	maxClients   = 10_000
	maxPublished = 1_000 // topics of one client
)

// clients are those who have said who they are. Its methods may be called from any goroutine.
type clients struct {
	mu         sync.Mutex // guards what follows, and what clients have
	all        map[string]*client
	groups     map[string]map[*client]struct{} // consumer groups
	publishers map[string]map[*client]struct{} // topics
}

// client is one of them: a producer or a consumer, under an identifier of its own.
type client struct {
	id        string
	account   *acl.Account // whose it is: nobody else speaks for it
	group     string       // of a consumer
	produces  bool
	topics    map[string]struct{} // that it sends to
	seen      time.Time
	telemetry *telemetry    // its newest stream; nil: none is open
	hungUp    time.Time     // when the last one ended
	holder    *queue.Holder // of what it has received to be kept; nil: nothing yet
}

func (c *clients) init() {
	c.all = make(map[string]*client)
	c.groups = make(map[string]map[*client]struct{})
	c.publishers = make(map[string]map[*client]struct{})
}

// errCrowded is what a client hears that is one too many.
var errCrowded = refuse(v2.Code_TOO_MANY_REQUESTS, "%d clients are connected", maxClients)

// errForeign is what a client hears under the identifier of another account's.
var errForeign = refuse(v2.Code_FORBIDDEN, "another account has a client of this identifier")

// knownLocked gives the client of an identifier; nil: it is not known to this account.
func (c *clients) knownLocked(who caller) *client {
	if one := c.all[who.client]; one != nil && one.account == who.account {
		return one
	}
	return nil
}

// enterLocked gives the client of an identifier, which is new if need be.
func (c *clients) enterLocked(who caller, now time.Time) (*client, error) {
	one := c.all[who.client]
	switch {
	case one == nil && len(c.all) >= maxClients:
		return nil, errCrowded
	case one == nil:
		one = &client{id: who.client, account: who.account, topics: make(map[string]struct{})}
		c.all[who.client] = one
	case one.account != who.account:
		return nil, errForeign
	}
	one.seen = now
	return one, nil
}

// beat notes that a client is there, and the group that it consumes with, if it does.
func (c *clients) beat(who caller, group string, produces bool, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, err := c.enterLocked(who, now)
	if err != nil {
		return err
	}
	one.produces = one.produces || produces
	c.joinLocked(one, group)
	return nil
}

func (c *clients) joinLocked(one *client, group string) {
	if group == "" || group == one.group {
		return
	}
	drop(c.groups, one.group, one)
	one.group = group
	put(c.groups, group, one)
}

// settle notes what a client says of itself on its telemetry stream, and which topics it has not sent to before.
func (c *clients) settle(who caller, t *telemetry, group string, topics []string, now time.Time) (fresh []string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, err := c.enterLocked(who, now)
	if err != nil {
		return nil, err
	}
	again := one.telemetry != t // whoever comes back is asked again what it was not asked
	one.telemetry = t
	one.produces = one.produces || group == ""
	c.joinLocked(one, group)
	for _, topic := range topics {
		if _, known := one.topics[topic]; (!known || again) && c.publishLocked(one, topic) {
			fresh = append(fresh, topic)
		}
	}
	return fresh, nil
}

// publishes notes that a client sends half messages to a topic; fresh says that it was not known to.
func (c *clients) publishes(who caller, topic string, now time.Time) (fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, err := c.enterLocked(who, now)
	if err != nil {
		return false
	}
	one.produces = true
	_, known := one.topics[topic]
	return !known && c.publishLocked(one, topic) && one.telemetry != nil
}

func (c *clients) publishLocked(one *client, topic string) bool {
	if _, known := one.topics[topic]; !known && len(one.topics) >= maxPublished {
		return false
	}
	one.topics[topic] = struct{}{}
	put(c.publishers, topic, one)
	return true
}

// leave forgets a client.
func (c *clients) leave(who caller) {
	var left *queue.Holder
	c.mu.Lock()
	if one := c.knownLocked(who); one != nil {
		left = c.dropLocked(one)
	}
	c.mu.Unlock()
	leave(left)
}

func (c *clients) dropLocked(one *client) (left *queue.Holder) {
	delete(c.all, one.id)
	drop(c.groups, one.group, one)
	for topic := range one.topics {
		drop(c.publishers, topic, one)
	}
	left, one.holder = one.holder, nil
	return left
}

// hangUp notes that a telemetry stream has ended.
func (c *clients) hangUp(who caller, t *telemetry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.knownLocked(who); one != nil && one.telemetry == t {
		one.telemetry, one.hungUp = nil, time.Now()
	}
}

// expire forgets those who are gone without a word.
func (c *clients) expire(now time.Time) {
	var left []*queue.Holder
	c.mu.Lock()
	for _, one := range c.all {
		if one.telemetry != nil {
			continue
		}
		if one.holder != nil && now.Sub(one.hungUp) > lostAfter {
			left = append(left, one.holder)
			one.holder = nil
		}
		patience := clientTimeout
		if !one.hungUp.IsZero() {
			patience = goneAfter
		}
		if now.Sub(one.seen) > patience {
			left = append(left, c.dropLocked(one))
		}
	}
	c.mu.Unlock()
	leave(left...)
}

// leave lets go of what clients had that are gone.
func leave(holders ...*queue.Holder) {
	for _, h := range holders {
		if h != nil {
			h.Leave()
		}
	}
}

// holder gives who keeps what a client receives; nil: it has no telemetry stream whose end would tell.
func (c *clients) holder(who caller, engine *queue.Queues) *queue.Holder {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.knownLocked(who)
	if one == nil || one.telemetry == nil {
		return nil
	}
	if one.holder == nil {
		one.holder = engine.NewHolder()
	}
	return one.holder
}

// end forgets everybody.
func (c *clients) end() {
	c.mu.Lock()
	var left []*queue.Holder
	for _, one := range c.all {
		left = append(left, c.dropLocked(one))
	}
	c.mu.Unlock()
	leave(left...)
}

// publishing gives the telemetry stream of a client that sends to a topic, another each time; nil: there is none.
func (c *clients) publishing(topic string) *telemetry {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := range c.publishers[topic] { // the order of a map is another each time
		if one.telemetry != nil {
			return one.telemetry
		}
	}
	return nil
}

// consuming counts the clients of a consumer group.
func (c *clients) consuming(group string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.groups[group])
}

func (c *clients) count() (groups, producers int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.all {
		if one.produces {
			producers++
		}
	}
	return len(c.groups), producers
}

func put(sets map[string]map[*client]struct{}, name string, one *client) {
	set := sets[name]
	if set == nil {
		set = make(map[*client]struct{})
		sets[name] = set
	}
	set[one] = struct{}{}
}

func drop(sets map[string]map[*client]struct{}, name string, one *client) {
	set := sets[name]
	delete(set, one)
	if len(set) == 0 {
		delete(sets, name)
	}
}
