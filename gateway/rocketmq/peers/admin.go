package main

import (
	"context"
	"slices"
	"time"

	"github.com/apache/rocketmq-client-go/v2/admin"
)

// administer makes topics, changes one, and deletes it.
func administer(p *play) {
	a := p.admin()
	topic := p.own("topic")
	p.create(a, p.broker(), topic, 2)
	p.saw("listed", p.listed(a, topic))
	p.saw("queues", len(p.route(a, topic)))

	p.must(a.CreateTopic(background, admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(p.broker()),
		admin.WithReadQueueNums(6), admin.WithWriteQueueNums(6)), "change a topic")
	widened := false
	for deadline := time.Now().Add(10 * time.Second); !widened && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		widened = len(p.route(p.admin(), topic)) == 6
	}
	p.saw("queues after a change", len(p.route(p.admin(), topic)))

	group := p.own("consumers")
	b := newInbox()
	p.push(group, topic, everything, into(b))
	groups := func() []string {
		ctx, cancel := context.WithTimeout(background, 10*time.Second)
		defer cancel()
		all, err := a.GetAllSubscriptionGroup(ctx, p.broker(), 5*time.Second)
		p.must(err, "list groups")
		var ours []string
		for name, c := range all.SubscriptionGroupTable {
			if name == group {
				ours = append(ours, name)
				p.saw("group", map[string]any{"enabled": c.ConsumeEnable, "from min": c.ConsumeFromMinEnable, "broadcast": c.ConsumeBroadcastEnable,
					"retry queues": c.RetryQueueNums, "most retries": c.RetryMaxTimes, "notified": c.NotifyConsumerIdsChangedEnable})
			}
		}
		return ours
	}
	p.saw("groups", groups())
	p.saw("retry topic listed", p.listed(a, "%RETRY%"+group))

	p.must(a.DeleteTopic(background, admin.WithTopicDelete(topic), admin.WithBrokerAddrDelete(p.broker())), "delete a topic")
	gone := false
	for deadline := time.Now().Add(10 * time.Second); !gone && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		gone = !p.listed(a, topic)
	}
	p.saw("deleted", gone)
	_, err := p.admin().FetchPublishMessageQueues(background, topic)
	p.saw("no route to what is deleted", err != nil)
}

func (p *play) listed(a admin.Admin, topic string) bool {
	all, err := a.FetchAllTopicList(background)
	p.must(err, "list topics")
	return slices.Contains(all.TopicList, topic)
}
