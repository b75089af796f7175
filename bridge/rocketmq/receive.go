package rocketmq

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/gateway/message"
	"sluice/gateway/remoting"
)

const (
	pullHeld  = 15 * time.Second // how long a broker keeps a question for messages that are not there yet
	pullPause = time.Second      // before the next try, where the last was of no use
	pullMost  = 32
	// The pull's sysFlag: it may be held, and brings its subscription along.
	pullFlags = 2 | 4
)

// puller brings the messages of one queue down.
type puller struct {
	link    *link
	broker  *broker
	group   string
	level   string // the first level of the filter, which the RocketMQ topic stands for
	topic   string
	queue   int
	filter  string
	offset  int64
	deliver func(ctx context.Context, m *bridge.Incoming) error
}

// Receive pulls the topic that the filter's first level names, as a consumer group of the gateway's own
// for each filter: so every gateway gets everything, and what came while it was away. A group begins with
// what is sent after its first Receive.
func (l *link) Receive(ctx context.Context, filter string, deliver func(ctx context.Context, m *bridge.Incoming) error) error {
	level := message.QueueTopic(filter)
	if level == "" || strings.ContainsAny(level, "+#") {
		return fmt.Errorf("%s cannot be received over RocketMQ, which has no wildcards for topics: the first level must be a name", filter)
	}
	topic := topicName(level)
	found, err := l.names.route(ctx, topic)
	if errors.Is(err, errNoTopic) {
		return fmt.Errorf("the cluster has no topic %s; %s", topic, verdicts[remoting.TopicNotExist].hint)
	}
	if err != nil {
		return err
	}
	group := l.join(filter, topic)
	var pullers []*puller
	for _, some := range found.Queues {
		at := slices.IndexFunc(found.Brokers, func(b remoting.RouteBroker) bool { return b.Name == some.Broker })
		if some.Permission&remoting.MayRead == 0 || at < 0 || found.Brokers[at].Addresses[0] == "" {
			continue
		}
		if err := l.reach(ctx, some.Broker, found.Brokers[at].Addresses[0]); err != nil {
			return err
		}
		l.mu.Lock()
		b := l.brokers[some.Broker]
		l.mu.Unlock()
		if b == nil {
			return fmt.Errorf("broker %s is gone", some.Broker)
		}
		if err := l.greet(ctx, b.conn); err != nil { // by which it makes the group
			return err
		}
		for id := range min(some.Read, mostQueues) {
			p := &puller{link: l, broker: b, group: group, level: level, topic: topic, queue: id, filter: filter, deliver: deliver}
			if err := p.begin(ctx); err != nil {
				return err
			}
			pullers = append(pullers, p)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errClosed
	}
	for _, p := range pullers {
		l.workers.Go(p.run)
	}
	return nil
}

// join adds the group of a filter to our heartbeats. A filter that is written otherwise is another group.
func (l *link) join(filter, topic string) string {
	hash := fnv.New32a()
	hash.Write([]byte(filter))
	group := fmt.Sprintf("%s-%08x", l.uplink.group[:min(len(l.uplink.group), longestGroup-9)], hash.Sum32())
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.ContainsFunc(l.groups, func(c consumer) bool { return c.Group == group }) {
		l.groups = append(l.groups, consumer{Group: group, Type: "CONSUME_ACTIVELY", Model: "CLUSTERING", From: "CONSUME_FROM_LAST_OFFSET",
			Subscriptions: []subscription{{Topic: topic, Text: "*", Tags: []string{}, Codes: []int{}, Type: "TAG"}}})
	}
	return group
}

// ask sends a request about the queue.
func (p *puller) ask(ctx context.Context, code int, fields ...remoting.Field) (remoting.Command, error) {
	c := &remoting.Command{Code: code, Ext: append(remoting.Fields{{Name: "consumerGroup", Value: p.group},
		{Name: "topic", Value: p.topic}, {Name: "queueId", Value: strconv.Itoa(p.queue)}}, fields...)}
	return p.broker.call(ctx, c, pullHeld+p.link.options.SendTimeout)
}

// begin finds out where the group is, or lets it begin at the end.
func (p *puller) begin(ctx context.Context) error {
	answer, err := p.ask(ctx, remoting.QueryConsumerOffset, remoting.Field{Name: "setZeroIfNotFound", Value: "false"})
	if err != nil {
		return err
	}
	fresh := answer.Code == remoting.QueryNotFound
	if fresh {
		if answer, err = p.ask(ctx, remoting.GetMaxOffset); err != nil {
			return err
		}
	}
	if answer.Code != remoting.Success {
		return &dial.Error{Text: fmt.Sprintf("%s answers %s to group %s", p.broker.name, describe(&answer), p.group), Hint: keyHint(answer.Code)}
	}
	if p.offset, err = strconv.ParseInt(answer.Ext.Get("offset"), 10, 64); err != nil {
		return fmt.Errorf("%s gives no offset: %w", p.broker.name, err)
	}
	if fresh {
		return p.commit(ctx)
	}
	return nil
}

func (p *puller) commit(ctx context.Context) error {
	answer, err := p.ask(ctx, remoting.UpdateConsumerOffset, remoting.Field{Name: "commitOffset", Value: strconv.FormatInt(p.offset, 10)})
	if err == nil && answer.Code != remoting.Success {
		err = fmt.Errorf("%s answers %s to an offset", p.broker.name, describe(&answer))
	}
	return err
}

// run pulls until the link is lost.
func (p *puller) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p.link.workers.Go(func() { // Add while this one is counted
		<-p.link.Lost()
		cancel()
	})
	for ctx.Err() == nil {
		began := time.Now()
		got, err := p.pull(ctx)
		if got > 0 && err == nil || err == nil && time.Since(began) >= pullPause {
			continue
		}
		select {
		case <-time.After(pullPause): // a broker that answers at once that there is nothing, or a fault
		case <-ctx.Done():
		}
	}
}

// pull asks once and hands over what came, oldest first.
func (p *puller) pull(ctx context.Context) (got int, err error) {
	answer, err := p.ask(ctx, remoting.PullMessage, remoting.Field{Name: "queueOffset", Value: strconv.FormatInt(p.offset, 10)},
		remoting.Field{Name: "maxMsgNums", Value: strconv.Itoa(pullMost)}, remoting.Field{Name: "sysFlag", Value: strconv.Itoa(pullFlags)},
		remoting.Field{Name: "commitOffset", Value: "0"}, remoting.Field{Name: "suspendTimeoutMillis", Value: strconv.FormatInt(pullHeld.Milliseconds(), 10)},
		remoting.Field{Name: "subscription", Value: "*"}, remoting.Field{Name: "subVersion", Value: "0"}, remoting.Field{Name: "expressionType", Value: "TAG"})
	if err != nil {
		return 0, err
	}
	next, err := strconv.ParseInt(answer.Ext.Get("nextBeginOffset"), 10, 64)
	if err != nil && answer.Code != remoting.PullNotFound {
		return 0, fmt.Errorf("%s answers %s to a pull", p.broker.name, describe(&answer))
	}
	switch answer.Code {
	case remoting.PullNotFound:
		return 0, nil
	case remoting.PullRetryImmediately, remoting.PullOffsetMoved:
		p.offset = next
		return 1, nil
	case remoting.Success:
	default:
		return 0, fmt.Errorf("%s answers %s to a pull", p.broker.name, describe(&answer))
	}
	for rest := answer.Body; len(rest) > 0; got++ {
		var m remoting.Stored
		if m, rest, err = remoting.ParseStored(rest); err != nil {
			return got, err
		}
		if err := p.take(ctx, &m); err != nil {
			return got, err
		}
	}
	p.offset = max(p.offset, next)
	return got, p.commit(ctx)
}

// take hands one message over, if the filter wants it, and tells the broker.
func (p *puller) take(ctx context.Context, m *remoting.Stored) error {
	in, err := incoming(m, p.level)
	if err != nil {
		p.link.uplink.log.Warn("a message from the cloud cannot be read", "topic", p.topic, "err", err)
	} else if message.Match(p.filter, in.Topic) {
		if err := p.deliver(ctx, in); err != nil {
			return err // it is pulled again
		}
		p.offset = m.QueueOffset + 1
		return p.commit(ctx)
	}
	p.offset = m.QueueOffset + 1
	return nil
}

// notForUs are properties that say something only to RocketMQ.
var notForUs = append([]string{originTopic, qosName, clientName, cleanName, emptyName, uniqueName, keysName, tagsName, "MIN_OFFSET", "MAX_OFFSET"}, spent...)

// incoming makes of a stored message what it is over MQTT; level is its topic when it names none.
func incoming(m *remoting.Stored, level string) (*bridge.Incoming, error) {
	body, err := remoting.Inflate(m.Body, m.SysFlag, largestBody)
	if err != nil {
		return nil, err
	}
	properties, err := remoting.ParseProperties(m.Properties)
	if err != nil {
		return nil, err
	}
	in := &bridge.Incoming{Topic: level, Payload: body, Repeated: m.Reconsumed > 0}
	for _, p := range properties {
		switch {
		case p.Name == originTopic && message.QueueTopic(p.Value) == level && message.CheckTopic(p.Value) == nil:
			in.Topic = p.Value
		case p.Name == emptyName && p.Value == "true":
			in.Payload = nil
		case p.Name == extraName:
			in.Properties = append(in.Properties, extras(p.Value)...)
		case p.Name[0] != 0 && !slices.Contains(notForUs, p.Name):
			in.Properties = append(in.Properties, message.Property(p))
		}
	}
	return in, nil
}

// extras are the user's properties of a message that came over MQTT; other JSON is left alone.
func extras(text string) (all []message.Property) {
	var extra map[string]string
	if json.Unmarshal([]byte(text), &extra) != nil {
		return nil
	}
	for name, value := range extra {
		if name != "" && name[0] != 0 {
			all = append(all, message.Property{Name: name, Value: value})
		}
	}
	slices.SortFunc(all, func(a, b message.Property) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
