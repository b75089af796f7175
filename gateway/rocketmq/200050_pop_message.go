package rocketmq

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 200050 POP_MESSAGE, 200054 NOTIFICATION, 200055 POLLING_INFO
//
// Supported: one queue or any, retries among them; tags and SQL92; waiting without a goroutine; ordered
// popping with attempts.
// Left out: 200052 PEEK_MESSAGE and 200056 POP_ROLLBACK; the revive queue is always 0, since nothing is written
// for a pop.
func (s *Server) popMessage(r *request) (answer, error) {
	p, wait, err := s.readPop(r)
	if err != nil {
		return answer{}, err
	}
	a, err := s.popOnce(r.conn, p)
	if err != nil {
		return answer{}, err
	}
	if a.code == remoting.PullNotFound && wait > 0 {
		c, reply := r.conn, r.reply
		again := func(last bool) bool {
			a, err := s.popOnce(c, p)
			switch {
			case err != nil:
				reply.fail(err)
			case a.code != remoting.PullNotFound:
				reply.send(a)
			case last:
				reply.send(answer{code: remoting.PollingTimeout, remark: "the polling is timeout", fields: a.fields})
			default:
				return false
			}
			return true
		}
		if !c.hold(wait, func(wake func()) (waiter, error) { return s.queues.WaitPop(p, wake) }, again) {
			return answer{code: remoting.PollingFull, remark: "too many requests wait", fields: a.fields}, nil
		}
		return answer{}, errLater
	}
	return a, nil
}

// readPop reads what pops and notifications have in common.
func (s *Server) readPop(r *request) (p queue.PopRequest, wait time.Duration, err error) {
	if p.Group, err = r.text("consumerGroup"); err != nil {
		return p, 0, err
	}
	if p.Topic, p.Queue, err = r.queue(); err != nil {
		return p, 0, err
	}
	if !r.account.MaySubscribe(p.Topic) || !r.account.MayUse(p.Group) {
		return p, 0, fmt.Errorf("%w: %s consuming %s", queue.ErrForbidden, p.Group, p.Topic)
	}
	group, known := s.queues.Group(p.Group)
	if !known {
		if group, err = s.queues.UseGroup(r.ctx, p.Group); err != nil {
			return p, 0, err
		}
	}
	if group.ConsumeDisabled {
		return p, 0, fmt.Errorf("%w: the group %s may not consume", queue.ErrForbidden, p.Group)
	}
	ext := r.frame.Ext
	if p.Most = int(r.numberOr("maxMsgNums", 1)); p.Most > mostMessages {
		return p, 0, refuse(remoting.InvalidParameter, "a pop gives at most %d messages, not %d", mostMessages, p.Most)
	}
	p.Invisible = time.Duration(r.numberOr("invisibleTime", 60_000)) * time.Millisecond
	p.FromLast = r.numberOr("initMode", 0) == 1
	p.Ordered = r.flag("order")
	p.AttemptID = ext.Get("attemptId")
	kept, err := newSubscription(subscriptionData{Topic: p.Topic, Expression: ext.Get("exp"), Type: ext.Get("expType")})
	if err != nil {
		return p, 0, err
	}
	p.Filter = kept.filter
	wait = min(time.Duration(r.numberOr("pollTime", 0))*time.Millisecond, longestWait)
	return p, wait, nil
}

func (s *Server) popOnce(c *conn, p queue.PopRequest) (a answer, err error) {
	got, err := s.queues.Pop(p)
	if err != nil {
		return a, err
	}
	revive := queue.Handle{Ordered: got.Ordered}.Revive()
	a.fields = remoting.Fields{
		field("popTime", got.Time), field("invisibleTime", got.Invisible.Milliseconds()), field("reviveQid", revive), field("restNum", got.Rest),
	}
	if len(got.Batches) == 0 {
		a.code, a.remark = remoting.PullNotFound, "NO_MESSAGE_IN_QUEUE"
		return a, nil
	}
	var starts, offsets, orders []string
	for _, batch := range got.Batches {
		mark := strconv.Itoa(queue.Handle{Retry: batch.Retry}.Flag())
		queueID := strconv.Itoa(batch.Queue)
		starts = append(starts, fmt.Sprintf("%s %s %d", mark, queueID, batch.Start))
		list := make([]string, len(batch.Records))
		for i := range batch.Records {
			m := queue.FromRecord(&batch.Records[i])
			list[i] = strconv.FormatUint(m.Offset, 10)
			if got.Ordered {
				orders = append(orders, fmt.Sprintf("%s qo%s%%%d %d", mark, queueID, m.Offset, batch.Times[i]))
			}
			if batch.Retry { // consumers ask for their topic, not for its retries
				m.Topic = p.Topic
				m.Set("POP_CK", got.HandleOf(&batch, s.options.Name, m.Offset).String())
			}
			if a.body, err = s.appendMessage(a.body, c, m); err != nil {
				return a, err
			}
		}
		offsets = append(offsets, fmt.Sprintf("%s %s %s", mark, queueID, strings.Join(list, ",")))
		s.stats.delivered.Add(uint64(len(batch.Records)))
		s.stats.flows.group(p.Topic, p.Group).put(len(batch.Records), len(a.body))
	}
	a.remark = "FOUND"
	a.fields = append(a.fields,
		remoting.Field{Name: "startOffsetInfo", Value: strings.Join(starts, ";")},
		remoting.Field{Name: "msgOffsetInfo", Value: strings.Join(offsets, ";")},
		remoting.Field{Name: "orderCountInfo", Value: strings.Join(orders, ";")})
	return a, nil
}

// notification says when a pop would find something.
func (s *Server) notification(r *request) (answer, error) {
	p, wait, err := s.readPop(r)
	if err != nil {
		return answer{}, err
	}
	has := func(yes bool) answer {
		return answer{fields: remoting.Fields{{Name: "hasMsg", Value: strconv.FormatBool(yes)}, {Name: "pollingFull", Value: "false"}}}
	}
	ready, err := s.queues.PopReady(p)
	if err != nil || ready || wait <= 0 {
		return has(ready), err
	}
	reply := r.reply
	again := func(last bool) bool {
		ready, err := s.queues.PopReady(p)
		switch {
		case err != nil:
			reply.fail(err)
		case ready || last:
			reply.send(has(ready))
		default:
			return false
		}
		return true
	}
	if !r.conn.hold(wait, func(wake func()) (waiter, error) { return s.queues.WaitPop(p, wake) }, again) {
		return answer{fields: remoting.Fields{{Name: "hasMsg", Value: "false"}, {Name: "pollingFull", Value: "true"}}}, nil
	}
	return answer{}, errLater
}

func (s *Server) pollingInfo(*request) (answer, error) {
	return answer{fields: remoting.Fields{field("pollingNum", s.stats.held.Load())}}, nil
}
