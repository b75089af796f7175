package rocketmq

import (
	"errors"
	"fmt"
	"time"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 011 PULL_MESSAGE, 361 LITE_PULL_MESSAGE
//
// Supported: the subscription of the heartbeat or of the request; tags and SQL92; committing on the way;
// waiting for messages without a goroutine; limits by number and bytes.
// Left out: class filters; what a slave would be suggested for.
func (s *Server) pullMessage(r *request) (answer, error) {
	p, err := s.readPull(r)
	if err != nil {
		return answer{}, err
	}
	if a, moved, err := s.moved(&p); moved || err != nil {
		return a, err
	}
	if p.commit >= 0 {
		if err := s.queues.Commit(p.group, p.topic, p.queue, p.commit); err != nil {
			return answer{}, err
		}
	}
	a, waits, err := s.pullOnce(r.conn, &p)
	if err != nil {
		return answer{}, err
	}
	if waits && p.suspend > 0 {
		c := r.conn
		wait := func(wake func()) (waiter, error) {
			return s.queues.Wait(p.topic, p.queue, uint64(max(p.offset, 0)), wake), nil
		}
		if c.hold(p.suspend, wait, func(last bool) bool { return p.again(c, last) }) {
			return answer{}, errLater
		}
	}
	return a, nil
}

// Bits of a pull's sysFlag.
const (
	pullCommits    = 1
	pullSuspends   = 2
	pullSubscribes = 4
)

const (
	mostMessages = 32        // of one answer, as of the stock broker
	mostBytes    = 256 << 10 // of one answer, unless one message is larger
	longestWait  = 60 * time.Second
)

// pull is a consumer's request for messages.
type pull struct {
	group, topic string
	queue        int
	offset       int64
	most, bytes  int
	commit       int64 // less than 0: nothing
	suspend      time.Duration
	filter       queue.Filter
	reply        reply
}

func (s *Server) readPull(r *request) (p pull, err error) {
	p = pull{reply: r.reply, commit: -1}
	if p.group, err = r.text("consumerGroup"); err != nil {
		return p, err
	}
	if p.topic, p.queue, err = r.queue(); err != nil {
		return p, err
	}
	if p.offset, err = r.number("queueOffset"); err != nil {
		return p, err
	}
	if !r.account.MaySubscribe(p.topic) || !r.account.MayUse(p.group) {
		return p, fmt.Errorf("%w: %s consuming %s", queue.ErrForbidden, p.group, p.topic)
	}
	most, err := r.optional("maxMsgNums", 32)
	if err != nil {
		return p, err
	}
	p.most = min(max(int(most), 1), mostMessages)
	p.bytes = min(max(int(r.numberOr("maxMsgBytes", mostBytes)), 1), mostBytes)
	flags := r.numberOr("sysFlag", 0)
	if flags&pullCommits != 0 {
		p.commit = r.numberOr("commitOffset", -1)
	}
	if flags&pullSuspends != 0 {
		p.suspend = min(time.Duration(r.numberOr("suspendTimeoutMillis", 0))*time.Millisecond, longestWait)
	}
	group, known := s.queues.Group(p.group)
	if !known {
		if group, err = s.queues.UseGroup(r.ctx, p.group); err != nil {
			return p, noGroup(err)
		}
	}
	if group.ConsumeDisabled {
		return p, fmt.Errorf("%w: the group %s may not consume", queue.ErrForbidden, p.group)
	}
	if s.queues.IsForbidden(p.group, p.topic) {
		return p, fmt.Errorf("%w: the group %s may not read %s", queue.ErrForbidden, p.group, p.topic)
	}
	if flags&pullSubscribes != 0 {
		kept, err := newSubscription(subscriptionData{Topic: p.topic, Expression: r.frame.Ext.Get("subscription"), Type: r.frame.Ext.Get("expressionType")})
		if err != nil {
			return p, err
		}
		p.filter = kept.filter
		return p, nil
	}
	kept, err := s.members.subscription(p.group, p.topic, r.numberOr("subVersion", 0))
	if err != nil {
		return p, err
	}
	p.filter = kept.filter
	return p, nil
}

// noGroup is what a group is to a consumer that cannot be.
func noGroup(err error) error {
	if errors.Is(err, queue.ErrName) {
		return fmt.Errorf("%w: %w", queue.ErrNoGroup, err)
	}
	return err
}

// pullOnce looks once. waits says that it is worth waiting: the end of the queue is reached.
func (s *Server) pullOnce(c *conn, p *pull) (a answer, waits bool, err error) {
	got, err := s.queues.Pull(p.topic, p.queue, uint64(max(p.offset, 0)), p.most, p.bytes, p.filter)
	if err != nil {
		return answer{}, false, err
	}
	if p.offset < 0 {
		got = queue.Pulled{Outcome: queue.Moved, Next: got.Min, Min: got.Min, Max: got.Max}
	}
	a.fields = remoting.Fields{
		{Name: "suggestWhichBrokerId", Value: "0"},
		field("nextBeginOffset", got.Next), field("minOffset", got.Min), field("maxOffset", got.Max),
		{Name: "topicSysFlag", Value: "0"}, {Name: "groupSysFlag", Value: "0"},
	}
	if got.Outcome != queue.Found {
		s.stats.flows.missed.put(0, 0)
	}
	switch got.Outcome {
	case queue.Found:
		a.remark = "FOUND"
		a.lent = s.bodies.lend()
		if a.body, err = s.encode((*a.lent)[:0], c, got.Records); err != nil {
			return answer{}, false, err
		}
		*a.lent = a.body
		s.stats.delivered.Add(uint64(len(got.Records)))
		s.stats.flows.group(p.topic, p.group).put(len(got.Records), len(a.body))
	case queue.NoMatch:
		a.code, a.remark = remoting.PullRetryImmediately, "NO_MATCHED_MESSAGE"
		if got.Next == got.Max { // everything is looked through: wait for more
			p.offset = int64(got.Next)
			waits = true
		}
	case queue.NoNew:
		a.code, a.remark, waits = remoting.PullNotFound, "OFFSET_OVERFLOW_ONE", true
	case queue.Moved:
		a.code, a.remark = remoting.PullOffsetMoved, "OFFSET_TOO_SMALL"
	}
	return a, waits, nil
}

// again is pullOnce for a request that was held.
func (p *pull) again(c *conn, last bool) (done bool) {
	a, waits, err := c.server.pullOnce(c, p)
	switch {
	case err != nil && errors.Is(err, c.ctx.Err()):
		return true
	case err != nil:
		p.reply.fail(err)
	case waits && !last:
		return false
	default:
		p.reply.send(a)
	}
	return true
}
