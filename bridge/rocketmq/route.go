package rocketmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/bridge"
	"sluice/gateway/remoting"
)

const (
	templateTopic = "TBW102" // what brokers that make topics make them like
	newQueues     = 4        // of a topic that a broker makes for us, at each broker
)

// queue is one queue of a topic.
type queue struct {
	broker string
	id     int
}

// route are the queues of a topic that can be written to: those of the masters that we have a connection
// to. It stays as it is as long as the link lives, for a key keeps its order only as long as it keeps its
// queue.
type route struct {
	queues []queue
	groups []string // of each queue: the name under which messages for it share a batch
}

// makeRoute picks the writable queues of those brokers that are connected.
func makeRoute(topic string, from []remoting.RouteQueues, most int, connected func(broker string) bool) *route {
	r := &route{}
	for _, some := range from {
		if some.Permission&remoting.MayWrite == 0 || !connected(some.Broker) {
			continue
		}
		for id := range min(some.Write, most) {
			r.queues = append(r.queues, queue{some.Broker, id})
		}
	}
	slices.SortFunc(r.queues, func(a, b queue) int {
		return cmp.Or(cmp.Compare(a.broker, b.broker), cmp.Compare(a.id, b.id))
	})
	for _, q := range r.queues {
		r.groups = append(r.groups, strings.Join([]string{topic, q.broker, strconv.Itoa(q.id)}, "\x00"))
	}
	return r
}

// group is where the messages of a key go. It is FNV-1a, as in the shards of a batch.Batcher: as long as
// one number divides the other, a shard's messages for one topic share a queue, and so a request.
func (r *route) group(key string) string {
	hash := uint32(2166136261)
	for i := range len(key) {
		hash = (hash ^ uint32(key[i])) * 16777619
	}
	return r.groups[hash%uint32(len(r.groups))]
}

// parseGroup takes the name of a group apart.
func parseGroup(group string) (topic string, q queue) {
	topic, rest, _ := strings.Cut(group, "\x00")
	broker, id, _ := strings.Cut(rest, "\x00")
	q.broker = broker
	q.id, _ = strconv.Atoi(id)
	return topic, q
}

// mostQueues bounds what a name server may claim.
const mostQueues = 1 << 12

// lookUp asks for a topic's route and connects to its brokers. A broker that cannot be reached is left
// out, unless there is no other. The error is a *bridge.RefusedError when it is about the topic alone.
func (l *link) lookUp(ctx context.Context, topic string) (*route, error) {
	found, err := l.names.route(ctx, topic)
	most := mostQueues
	if errors.Is(err, errNoTopic) {
		most = newQueues
		if found, err = l.names.route(ctx, templateTopic); errors.Is(err, errNoTopic) {
			return nil, &bridge.RefusedError{Retry: true, Reason: fmt.Sprintf("the cluster has no topic %s; %s", topic, verdicts[remoting.TopicNotExist].hint)}
		}
	}
	if err != nil {
		return nil, err
	}
	writable := make(map[string]bool)
	for _, some := range found.Queues {
		writable[some.Broker] = writable[some.Broker] || some.Permission&remoting.MayWrite != 0 && some.Write > 0
	}
	var unreachable []error
	for _, b := range found.Brokers {
		if b.Addresses[0] == "" || !writable[b.Name] { // brokers without a master take nothing
			continue
		}
		if err := l.reach(ctx, b.Name, b.Addresses[0]); err != nil {
			unreachable = append(unreachable, err)
		}
	}
	r := makeRoute(topic, found.Queues, most, l.reaches)
	switch {
	case len(r.queues) > 0:
		return r, nil
	case len(unreachable) > 0:
		return nil, errors.Join(unreachable...)
	}
	return nil, &bridge.RefusedError{Retry: true, Reason: fmt.Sprintf("no broker lets anybody write to %s: it has no master, or no permission", topic)}
}
