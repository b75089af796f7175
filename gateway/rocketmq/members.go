package rocketmq

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"sluice/gateway/remoting"
)

// memberTimeout is how long a client is a member without a heartbeat.
const memberTimeout = 120 * time.Second

// most groups and subscriptions that clients may name at a time.
const (
	maxMemberGroups  = 10_000
	maxSubscriptions = 1_000 // of one group
)

// members are the clients that have said who they are, by consumer and producer group.
type members struct {
	mu        sync.RWMutex // guards what follows
	consumers map[string]*consumers
	producers map[string]map[string]*member // group, client
}

// consumers are a consumer group's clients and what they have subscribed to.
type consumers struct {
	members       map[string]*member // by client
	subscriptions map[string]*subscription
	consumeType   string
	model         string
	from          string
}

// member is one client in one group.
type member struct {
	conn   *conn
	client string
	peer   peer
	seen   time.Time
}

func (m *members) init() {
	m.consumers = make(map[string]*consumers)
	m.producers = make(map[string]map[string]*member)
}

// joined is what a consumer said of itself in a heartbeat.
type joined struct {
	group, consumeType, model, from string
	subscriptions                   []*subscription
	keep                            bool // it did not repeat its subscriptions
}

// consume notes a client of a consumer group. changed says that others want to hear of it.
func (m *members) consume(c *conn, client string, j joined, now time.Time) (changed bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.consumers[j.group]
	if g == nil {
		if len(m.consumers) >= maxMemberGroups {
			return false, refuse(remoting.SystemBusy, "broker busy: %d consumer groups are connected", maxMemberGroups)
		}
		g = &consumers{members: make(map[string]*member), subscriptions: make(map[string]*subscription)}
		m.consumers[j.group] = g
	}
	known := g.members[client]
	if known == nil || known.conn != c {
		g.members[client] = &member{conn: c, client: client, peer: c.peer, seen: now}
		changed = known == nil
	} else {
		known.seen = now
	}
	g.consumeType, g.model, g.from = j.consumeType, j.model, j.from
	if j.keep {
		return changed, nil
	}
	wanted := make(map[string]bool, len(j.subscriptions))
	for _, next := range j.subscriptions {
		wanted[next.data.Topic] = true
		old := g.subscriptions[next.data.Topic]
		switch {
		case old == nil:
			if len(g.subscriptions) >= maxSubscriptions {
				return changed, refuse(remoting.SystemBusy, "broker busy: the group %s has %d subscriptions", j.group, maxSubscriptions)
			}
			g.subscriptions[next.data.Topic] = next
			changed = true
		case next.data.Version > old.data.Version:
			g.subscriptions[next.data.Topic] = next
			changed = changed || next.data.Expression != old.data.Expression
		}
	}
	for topic := range g.subscriptions {
		if !wanted[topic] {
			delete(g.subscriptions, topic)
			changed = true
		}
	}
	return changed, nil
}

// produce notes a client of a producer group. came says that it was not there before, on this connection.
func (m *members) produce(c *conn, client, group string, now time.Time) (came bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.producers[group]
	if g == nil {
		if len(m.producers) >= maxMemberGroups {
			return false, refuse(remoting.SystemBusy, "broker busy: %d producer groups are connected", maxMemberGroups)
		}
		g = make(map[string]*member)
		m.producers[group] = g
	}
	known := g[client]
	g[client] = &member{conn: c, client: client, peer: c.peer, seen: now}
	return known == nil || known.conn != c, nil
}

// subscription gives what a group has subscribed to a topic with.
func (m *members) subscription(group, topic string, version int64) (*subscription, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	g := m.consumers[group]
	if g == nil {
		return nil, refuse(remoting.SubscriptionNotExist, "the consumer's group info not exist: %s", group)
	}
	kept := g.subscriptions[topic]
	if kept == nil {
		return nil, refuse(remoting.SubscriptionNotExist, "the consumer's subscription not exist: %s %s", group, topic)
	}
	if kept.data.Version < version {
		return nil, refuse(remoting.SubscriptionNotLatest, "the consumer's subscription not latest: %s %s", group, topic)
	}
	return kept, nil
}

// clients lists the members of a consumer group by client.
func (m *members) clients(group string) []*member {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if g := m.consumers[group]; g != nil {
		return sorted(g.members)
	}
	return nil
}

// producing lists the members of a producer group by client.
func (m *members) producing(group string) []*member {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return sorted(m.producers[group])
}

// connection finds where a client is, in whatever group.
func (m *members) connection(client string) *conn {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, g := range m.producers {
		if one := g[client]; one != nil {
			return one.conn
		}
	}
	for _, g := range m.consumers {
		if one := g.members[client]; one != nil {
			return one.conn
		}
	}
	return nil
}

func sorted(all map[string]*member) []*member {
	return slices.SortedFunc(maps.Values(all), func(a, b *member) int { return cmp.Compare(a.client, b.client) })
}

// leave takes a client out of a group.
func (m *members) leave(client, producer, consumer string) (changed []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.producers[producer]; g != nil {
		delete(g, client)
		if len(g) == 0 {
			delete(m.producers, producer)
		}
	}
	if g := m.consumers[consumer]; g != nil && g.members[client] != nil {
		m.dropLocked(consumer, g, client)
		changed = append(changed, consumer)
	}
	return changed
}

// gone takes everybody out who came over a connection.
func (m *members) gone(c *conn) (changed []string) {
	return m.dropAll(func(one *member) bool { return one.conn == c })
}

// expire takes everybody out who was not heard of for too long.
func (m *members) expire(now time.Time) (changed []string) {
	return m.dropAll(func(one *member) bool { return now.Sub(one.seen) > memberTimeout })
}

func (m *members) dropAll(which func(*member) bool) (changed []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for group, g := range m.producers {
		maps.DeleteFunc(g, func(_ string, one *member) bool { return which(one) })
		if len(g) == 0 {
			delete(m.producers, group)
		}
	}
	for group, g := range m.consumers {
		before := len(g.members)
		for client, one := range g.members {
			if which(one) {
				m.dropLocked(group, g, client)
			}
		}
		if len(g.members) < before {
			changed = append(changed, group)
		}
	}
	return changed
}

func (m *members) dropLocked(group string, g *consumers, client string) {
	delete(g.members, client)
	if len(g.members) == 0 {
		delete(m.consumers, group)
	}
}

func (m *members) count() (consumers, producers int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.consumers), len(m.producers)
}

// notify tells the members of groups that they should share the queues anew.
func (s *Server) notify(groups []string) {
	for _, group := range groups {
		for _, one := range s.members.clients(group) {
			one.conn.tell(remoting.NotifyConsumerIDsChanged, remoting.Fields{{Name: "consumerGroup", Value: group}}, nil)
		}
	}
}
