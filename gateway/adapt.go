package gateway

import (
	"context"

	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/gateway/mqtt"
	"sluice/store"
)

// durableLog lets the store be the broker's log: they may not know each other's types.
type durableLog struct{ *store.Store }

func (l durableLog) OpenCursor(name string, done message.Position) (broker.Cursor, error) {
	return l.Store.OpenCursor(name, done+1)
}

// backend lets the broker be the MQTT listener's.
type backend struct{ *broker.Broker }

func (b backend) Subscribe() (mqtt.Subscription, error) {
	return subscription{b.Broker.Subscribe(broker.FromNow)}, nil
}

type subscription struct{ *broker.Subscription }

func (s subscription) Add(filter string) { s.Subscription.Add(filter) }

func (s subscription) Next(ctx context.Context, dst []message.Record, most int) ([]message.Record, error) {
	deliveries, err := s.Subscription.Next(ctx, nil, most)
	for i := range deliveries {
		dst = append(dst, deliveries[i].Record)
	}
	return dst, err
}
