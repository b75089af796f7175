package rocketmq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"sluice/bridge"
	"sluice/bridge/batch"
	"sluice/bridge/dial"
	"sluice/gateway/message"
	"sluice/gateway/remoting"
)

const (
	// refreshEvery is how often routes are asked for, as stock clients do, and brokers hear from us:
	// they close connections that were silent for two minutes.
	refreshEvery = 30 * time.Second
	// mostTopics bounds the routes that a link keeps.
	mostTopics = 1024
	// A broker that is busy is asked again after firstPause, then after twice as long each time, busyTries
	// times in all.
	firstPause = 100 * time.Millisecond
	busyTries  = 6
)

// link is a connection to one name server and to those brokers that the topics in use are at. When one of
// them goes, or the route of a topic changes, it is lost, and the next one begins with what is there then.
type link struct {
	uplink  *Uplink
	options *Options
	account account
	names   *names
	batches *batch.Batcher
	stop    context.CancelFunc
	workers sync.WaitGroup

	routing sync.Mutex // held while a route is looked up

	mu      sync.Mutex // guards what follows
	closed  bool
	conns   []*conn // all that were ever opened and have not ended
	brokers map[string]*broker
	routes  map[string]*route
	groups  []consumer // of Receive
}

// consumer is a group that receives, as a heartbeat says it.
type consumer struct {
	Group         string         `json:"groupName"`
	Type          string         `json:"consumeType"`
	Model         string         `json:"messageModel"`
	From          string         `json:"consumeFromWhere"`
	Subscriptions []subscription `json:"subscriptionDataSet"`
	Unit          bool           `json:"unitMode"`
}

type subscription struct {
	Topic   string   `json:"topic"`
	Text    string   `json:"subString"`
	Tags    []string `json:"tagsSet"`
	Codes   []int    `json:"codeSet"`
	Version int64    `json:"subVersion"`
	Type    string   `json:"expressionType"`
}

// broker is a connection to one of the cluster's brokers.
type broker struct {
	*conn
	address string
}

// newLink starts what a link consists of; it has no connection yet.
func newLink(u *Uplink, as account) *link {
	ctx, stop := context.WithCancel(context.Background())
	l := &link{uplink: u, options: &u.options, account: as, stop: stop, brokers: make(map[string]*broker), routes: make(map[string]*route)}
	l.names = &names{options: &u.options, turn: &u.turn, open: l.open}
	b := u.options.Batch
	l.batches = batch.New(batch.Options{Count: b.Count, Bytes: b.Bytes, Linger: b.Linger, Shards: b.Parallel, Behind: 2, Group: l.group}, l.post)
	l.workers.Go(func() { l.batches.Run(ctx) }) //nolint:errcheck // the reason is asked for with Err
	l.workers.Go(func() { l.refresh(ctx) })
	return l
}

// open makes a connection that ends with the link.
func (l *link) open(ctx context.Context, address, name string) (*conn, error) {
	c, err := l.options.open(ctx, address, name, l.account)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.end(errClosed)
		return nil, errClosed
	}
	l.conns = append(l.conns, c)
	l.workers.Go(func() {
		c.read()
		l.forget(c)
	})
	return c, nil
}

// forget drops a connection that has ended. Without a broker that it had, the link is lost.
func (l *link) forget(c *conn) {
	l.mu.Lock()
	l.conns = slices.DeleteFunc(l.conns, func(one *conn) bool { return one == c })
	lost := false
	for name, b := range l.brokers {
		if b.conn == c {
			delete(l.brokers, name)
			lost = true
		}
	}
	l.mu.Unlock()
	if lost {
		l.batches.Fail(c.reason())
	}
}

// reach makes sure that there is a connection to a broker, over which it knows us.
func (l *link) reach(ctx context.Context, name, address string) error {
	l.mu.Lock()
	known := l.brokers[name]
	l.mu.Unlock()
	if known != nil && known.address == address {
		return nil
	}
	if known != nil {
		known.end(fmt.Errorf("broker %s has moved to %s", name, address))
		return known.reason()
	}
	c, err := l.open(ctx, address, "broker "+name+" at "+address)
	if err != nil {
		return err
	}
	err = dial.Take(ctx, bridge.LoggedIn, func() (string, error) { return "broker " + name, l.greet(ctx, c) })
	if err != nil {
		c.end(errClosed)
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := c.reason(); err != nil {
		return err // before anybody could be told
	}
	l.brokers[name] = &broker{c, address}
	return nil
}

func (l *link) reaches(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.brokers[name] != nil
}

// greet sends the heartbeat with which clients make themselves known, and brokers make their groups.
func (l *link) greet(ctx context.Context, c *conn) error {
	type group struct {
		Name string `json:"groupName"`
	}
	l.mu.Lock()
	consumers := append([]consumer{}, l.groups...) // not null
	l.mu.Unlock()
	body, err := json.Marshal(map[string]any{
		"clientID": l.uplink.clientID, "producerDataSet": []group{{l.uplink.group}}, "consumerDataSet": consumers,
	})
	if err != nil {
		return err
	}
	answer, err := c.call(ctx, &remoting.Command{Code: remoting.HeartBeat, Body: body}, l.options.SendTimeout)
	if err != nil {
		return err
	}
	if answer.Code != remoting.Success {
		return &dial.Error{Text: c.name + " answers " + describe(&answer) + " to our heartbeat", Hint: keyHint(answer.Code)}
	}
	return nil
}

// group names the queue that a message belongs to. Send has made sure that there is a route.
func (l *link) group(o *bridge.Outgoing) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.routes[topicOf(o.Topic)].group(o.Key)
}

// Send puts a message in the batch of its queue.
func (l *link) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	if err := message.CheckTopic(o.Topic); err != nil {
		return &bridge.RefusedError{Reason: err.Error()}
	}
	topic := topicOf(o.Topic)
	if topic == "" || len(topic) > longestTopic {
		return &bridge.RefusedError{Reason: fmt.Sprintf("%q cannot be a topic of RocketMQ: the first level of %s needs 1 to %d characters", topic, o.Topic, longestTopic)}
	}
	if err := l.ensure(ctx, topic); err != nil {
		return err
	}
	return l.batches.Send(ctx, o, done)
}

// ensure makes sure that the route of a topic is known.
func (l *link) ensure(ctx context.Context, topic string) error {
	known := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.routes[topic] != nil
	}
	if err := l.Err(); err != nil || known() {
		return err
	}
	l.routing.Lock()
	defer l.routing.Unlock()
	if known() {
		return nil
	}
	r, err := l.lookUp(ctx, topic)
	if _, refused := errors.AsType[*bridge.RefusedError](err); err != nil && !refused && ctx.Err() == nil {
		l.batches.Fail(err)
		return l.Err()
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.routes) == mostTopics {
		return &bridge.RefusedError{Retry: true, Reason: fmt.Sprintf("there are messages for more than %d topics of RocketMQ, which are the first levels of topics", mostTopics)}
	}
	l.routes[topic] = r
	l.uplink.remember(topic)
	return nil
}

// post sends a batch to its queue and waits for the broker's answer.
func (l *link) post(ctx context.Context, _ int, items []batch.Item) error {
	topic, to := parseGroup(items[0].Group)
	request, err := l.request(topic, to, items)
	if err != nil { // one of them cannot be sent: the Batcher finds it
		return &bridge.RefusedError{Reason: "it cannot be sent over RocketMQ: " + err.Error()}
	}
	pause := firstPause
	for try := 1; ; try++ {
		l.mu.Lock()
		b := l.brokers[to.broker]
		l.mu.Unlock()
		if b == nil {
			return fmt.Errorf("broker %s is gone", to.broker)
		}
		answer, err := b.call(ctx, request, l.options.SendTimeout)
		if err != nil {
			return err
		}
		again, err := judge(&answer, to.broker, topic)
		if err == nil && answer.Code != remoting.Success {
			l.uplink.noteReplicas(to.broker, answer.Code)
		}
		if !again || try == busyTries {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause *= 2
	}
}

// request makes a SEND_MESSAGE_V2 of one message and a SEND_BATCH_MESSAGE of several.
func (l *link) request(topic string, to queue, items []batch.Item) (*remoting.Command, error) {
	c := &remoting.Command{Code: remoting.SendBatchMessage}
	var properties string
	var flag int32
	for i := range items {
		p, err := part(&items[i].Outgoing)
		if err != nil {
			return nil, err
		}
		if len(items) == 1 {
			c.Code, c.Body, properties, flag = remoting.SendMessageV2, p.Body, p.Properties, p.Flag
			break
		}
		if c.Body, err = remoting.AppendPart(c.Body, p); err != nil {
			return nil, err
		}
	}
	c.Ext = remoting.Fields{
		{Name: "a", Value: l.uplink.group}, {Name: "b", Value: topic}, {Name: "c", Value: templateTopic},
		{Name: "d", Value: strconv.Itoa(newQueues)}, {Name: "e", Value: strconv.Itoa(to.id)}, {Name: "f", Value: "0"},
		{Name: "g", Value: strconv.FormatInt(items[0].Record.Time, 10)}, {Name: "h", Value: strconv.Itoa(int(flag))},
		{Name: "i", Value: properties}, {Name: "j", Value: "0"}, {Name: "k", Value: "false"}, {Name: "l", Value: "0"},
		{Name: "m", Value: strconv.FormatBool(len(items) > 1)}, {Name: "n", Value: to.broker},
	}
	return c, nil
}

// refresh asks for the routes again, and shows brokers that we are there.
func (l *link) refresh(ctx context.Context) {
	every := time.NewTicker(refreshEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-l.Lost():
			return
		}
		if err := l.lookAgain(ctx); err != nil {
			l.batches.Fail(err) // what is in flight gets its answers: nothing is repeated
			return
		}
		l.greetAll(ctx)
	}
}

// lookAgain says what has changed about the routes in use. A name server that does not answer, or brokers
// that are gone, change nothing: messages will show whether that matters.
func (l *link) lookAgain(ctx context.Context) error {
	for topic, before := range l.snapshot() {
		now, err := l.lookUp(ctx, topic)
		if err == nil && !slices.Equal(now.queues, before.queues) {
			return fmt.Errorf("%s has %d queues now, not %d, or others; starting anew", topic, len(now.queues), len(before.queues))
		}
	}
	return nil
}

func (l *link) greetAll(ctx context.Context) {
	l.mu.Lock()
	brokers := slices.Collect(maps.Values(l.brokers))
	l.mu.Unlock()
	for _, b := range brokers {
		if err := l.greet(ctx, b.conn); err != nil {
			b.end(err)
		}
	}
}

func (l *link) snapshot() map[string]*route {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.routes)
}

// Lost is closed when nothing can be sent any more.
func (l *link) Lost() <-chan struct{} { return l.batches.Lost() }

// Err says why nothing can be sent any more.
func (l *link) Err() error { return l.batches.Err() }

// Moved implements bridge.Mover.
func (l *link) Moved() (written, reached int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		written, reached = written+c.raw.Written(), reached+c.raw.Reached()
	}
	return written, reached
}

// Close ends all connections and waits for what the link started.
func (l *link) Close() error {
	l.batches.Fail(errClosed)
	l.stop()
	l.mu.Lock()
	l.closed = true
	conns := slices.Clone(l.conns)
	l.mu.Unlock()
	for _, c := range conns {
		c.end(errClosed)
	}
	l.workers.Wait()
	return nil
}
