//go:build linux

package nighttest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"sluice/bench/measure/remote"
	"sluice/gateway/remoting"
)

// everything pulls a topic's queues to their ends and gives what they hold in the order in which the broker
// stored it: all queues share one log.
func everything(ctx context.Context, c *remote.Conn, topic string, queues int) (all []remoting.Stored, err error) {
	for queue := range queues {
		if all, err = pullQueue(ctx, c, topic, queue, all); err != nil {
			return nil, fmt.Errorf("queue %d of %s: %w", queue, topic, err)
		}
	}
	slices.SortFunc(all, func(a, b remoting.Stored) int { return cmp.Compare(a.PhysicalOffset, b.PhysicalOffset) })
	return all, nil
}

func pullQueue(ctx context.Context, c *remote.Conn, topic string, queue int, all []remoting.Stored) ([]remoting.Stored, error) {
	for offset := int64(0); ; {
		answer, err := c.Call(ctx, remoting.PullMessage, nil, remoting.Fields{
			{Name: "consumerGroup", Value: "everything"}, {Name: "topic", Value: topic}, {Name: "queueId", Value: strconv.Itoa(queue)},
			{Name: "queueOffset", Value: strconv.FormatInt(offset, 10)}, {Name: "maxMsgNums", Value: "32"},
			{Name: "sysFlag", Value: "4"}, {Name: "subscription", Value: "*"}, {Name: "expressionType", Value: "TAG"}, {Name: "subVersion", Value: "0"},
			{Name: "commitOffset", Value: "0"}, {Name: "suspendTimeoutMillis", Value: "0"},
		})
		if answer != nil && answer.Code == remoting.PullNotFound {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		for rest := answer.Body; len(rest) > 0; offset++ {
			var m remoting.Stored
			if m, rest, err = remoting.ParseStored(rest); err != nil {
				return nil, err
			}
			if m.QueueOffset != offset {
				return nil, fmt.Errorf("offset %d holds message %d", offset, m.QueueOffset)
			}
			all = append(all, m)
		}
	}
}
