package rocketmq

import (
	"fmt"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// maxEntries is how many messages of a queue one request shows.
const maxEntries = 256

// 321 QUERY_CONSUME_QUEUE
//
// Supported: position, size and hash of the tag of the messages of a queue, and whether a group's subscription lets
// them through.
// Left out: the bit map of a filter that was reckoned before, there is none.
func (s *Server) consumeQueue(r *request) (answer, error) {
	topic, number, err := s.readQueue(r)
	if err != nil {
		return answer{}, err
	}
	first, next, err := s.queues.Range(topic, number)
	if err != nil {
		return answer{}, err
	}
	type entry struct {
		Bits     *string `json:"bitMap"`
		Passes   bool    `json:"eval"`
		Extra    *string `json:"extendDataJson"`
		Note     *string `json:"msg"`
		Position int64   `json:"physicOffset"`
		Size     int     `json:"physicSize"`
		Tags     int64   `json:"tagsCode"`
	}
	shown := struct {
		Filter       *string           `json:"filterData"`
		Max          uint64            `json:"maxQueueIndex"`
		Min          uint64            `json:"minQueueIndex"`
		Queue        []entry           `json:"queueData"`
		Subscription *subscriptionData `json:"subscriptionData"`
	}{Max: next, Min: first, Queue: []entry{}}
	var wanted queue.Filter
	if group := r.frame.Ext.Get("consumerGroup"); group != "" {
		kept, err := s.members.subscription(group, topic, 0)
		if err != nil {
			note := fmt.Sprintf("%s is not online or not subscribed", group)
			shown.Filter = &note
		} else {
			data := kept.data.shown()
			shown.Subscription, wanted = &data, kept.filter
		}
	}
	most := int(min(max(r.numberOr("count", 10), 1), maxEntries))
	from := uint64(max(r.numberOr("index", 0), 0))
	got, err := s.queues.Pull(topic, number, max(from, first), most, mostBytes, nil)
	if err != nil {
		return answer{}, err
	}
	for i := range got.Records {
		one := &got.Records[i]
		e, err := s.sizeOf(r.conn, one)
		if err != nil {
			return answer{}, err
		}
		tags, _ := queue.PropertyOf(one, queue.Tags)
		shown.Queue = append(shown.Queue, entry{
			Passes: wanted != nil && wanted(one), Position: int64(one.Position), Size: e, Tags: int64(remoting.JavaHash(tags)),
		})
	}
	body, err := jsonBody(shown)
	return answer{body: body}, err
}

// sizeOf is how many bytes a message has when it is read.
func (s *Server) sizeOf(c *conn, r *message.Record) (int, error) {
	b, err := s.appendMessage(nil, c, queue.FromRecord(r))
	return len(b), err
}
