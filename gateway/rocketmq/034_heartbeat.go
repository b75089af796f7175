package rocketmq

import (
	"fmt"
	"strings"
	"time"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 034 HEART_BEAT
//
// Supported: producer and consumer groups of one process; making the group and the topic of its retries;
// telling the others when somebody came or subscribed otherwise.
// Left out: the second version with fingerprints, which clients are told not to use.
func (s *Server) heartbeat(r *request) (answer, error) {
	var beat struct {
		Client    string `json:"clientID"`
		Producers []struct {
			Group string `json:"groupName"`
		} `json:"producerDataSet"`
		Consumers []struct {
			Group         string             `json:"groupName"`
			Type          string             `json:"consumeType"`
			Model         string             `json:"messageModel"`
			From          string             `json:"consumeFromWhere"`
			Subscriptions []subscriptionData `json:"subscriptionDataSet"`
		} `json:"consumerDataSet"`
		WithoutSubscriptions bool `json:"withoutSub"`
	}
	if err := r.decode(&beat); err != nil {
		return answer{}, err
	}
	if beat.Client == "" {
		return answer{}, refuse(remoting.InvalidParameter, "a heartbeat without clientID")
	}
	now := time.Now()
	changed := false
	for _, c := range beat.Consumers {
		if !r.account.MayUse(c.Group) {
			return answer{}, fmt.Errorf("%w: consuming with the group %s", queue.ErrForbidden, c.Group)
		}
		if _, err := s.queues.UseGroup(r.ctx, c.Group); err != nil {
			return answer{}, err
		}
		j := joined{group: c.Group, consumeType: c.Type, model: c.Model, from: c.From, keep: beat.WithoutSubscriptions}
		for _, data := range c.Subscriptions {
			if !r.account.MaySubscribe(data.Topic) && !strings.HasPrefix(data.Topic, queue.RetryPrefix) {
				return answer{}, fmt.Errorf("%w: subscribing to %s", queue.ErrForbidden, data.Topic)
			}
			next, err := newSubscription(data)
			if err != nil { // as the real one: the others of the group go on
				s.log.Warn("a subscription cannot be read", "client", r.remote.String(), "group", c.Group, "topic", data.Topic, "err", err)
				continue
			}
			j.subscriptions = append(j.subscriptions, next)
		}
		others, err := s.members.consume(r.conn, beat.Client, j, now)
		if err != nil {
			return answer{}, err
		}
		if others {
			changed = true
			s.notify([]string{c.Group})
		}
	}
	for _, p := range beat.Producers {
		came, err := s.members.produce(r.conn, beat.Client, p.Group, now)
		if err != nil {
			return answer{}, err
		}
		if came {
			s.queues.ProducerCame(p.Group)
		}
	}
	return answer{fields: remoting.Fields{
		{Name: "IS_SUPPORT_HEART_BEAT_V2", Value: "false"},
		{Name: "IS_SUB_CHANGE", Value: fmt.Sprint(changed)},
	}}, nil
}
