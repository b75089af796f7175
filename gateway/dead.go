package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/bridge"
	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/web"
)

// How much of what was set aside for uplinks is counted; with more the answer says that there is more.
const (
	deadCounted = 10_000
	deadWork    = 500 * time.Millisecond
)

// Dead implements web.Messages.
func (m messages) Dead(ctx context.Context) (found web.DeadPlaces, err error) {
	for _, topic := range m.queues.Topics() {
		group, dead := strings.CutPrefix(topic.Name, queue.DeadPrefix)
		if !dead {
			continue
		}
		queues, err := m.QueuesOf(topic.Name)
		if err != nil {
			return found, err
		}
		place := web.DeadPlace{Kind: "group", Name: group, Topic: topic.Name}
		for _, q := range queues {
			place.Messages += q.Next - q.First
		}
		if place.Messages == 0 {
			continue
		}
		last, err := m.Newest(ctx, web.Search{Topic: topic.Name, Limit: 1}, 0)
		if err != nil {
			return found, err
		}
		if len(last) > 0 {
			place.Newest = &last[0].Stored
		}
		found.Items = append(found.Items, place)
	}
	return found, m.countAside(ctx, &found)
}

// countAside counts what was set aside for uplinks, also for those that are not configured any more: the
// topics say whose it was.
func (m messages) countAside(ctx context.Context, found *web.DeadPlaces) error {
	begun, counted := time.Now(), 0
	tail, _ := m.log.Tail()
	var records []message.Record
	for at := m.log.Head(); at <= tail; {
		if counted >= deadCounted || time.Since(begun) > deadWork {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if records, at, err = m.log.ReadMatching(records[:0], at, historyRecords, []string{"$dead/#"}); err != nil {
			return fmt.Errorf("count what was set aside: %w", err)
		}
		for i := range records {
			uplink, _, aside := bridge.AsideOrigin(records[i].Topic)
			if !aside {
				continue
			}
			counted++
			place := slices.IndexFunc(found.Items, func(p web.DeadPlace) bool { return p.Kind == "uplink" && p.Name == uplink })
			if place < 0 {
				place = len(found.Items)
				found.Items = append(found.Items, web.DeadPlace{Kind: "uplink", Name: uplink, Topic: bridge.AsideTopic(uplink, "#")})
			}
			stored := time.UnixMilli(records[i].Time)
			found.Items[place].Messages++
			found.Items[place].Newest = &stored
		}
	}
	found.Complete = true
	return nil
}
