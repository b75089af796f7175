package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"sluice/gateway/message"
	"sluice/web"
)

// Publish implements web.Messages.
func (m messages) Publish(ctx context.Context, wanted web.NewMessage) (web.Resent, error) {
	if first := message.QueueTopic(wanted.Topic); isMachinery(first) {
		return web.Resent{}, &web.FieldError{Field: "topic", Text: fmt.Sprintf("the topic %s is the gateway's own", first)}
	}
	made := message.Message{Topic: wanted.Topic, Payload: wanted.Payload, QoS: wanted.QoS, Retain: wanted.Retain}
	if wanted.Expiry > 0 {
		made.Properties = append(made.Properties, message.Property{Name: message.Expiry, Value: strconv.FormatUint(uint64(wanted.Expiry), 10)})
	}
	for _, p := range wanted.Properties {
		made.Properties = append(made.Properties, message.Property{Name: p.Name, Value: p.Value})
	}
	return m.store(ctx, &made)
}

// store publishes a message and waits until it is durable.
func (m messages) store(ctx context.Context, made *message.Message) (web.Resent, error) {
	type outcome struct {
		at  message.Position
		err error
	}
	heard := make(chan outcome, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) { heard <- outcome{at, err} })
	if err := m.broker.Publish(ctx, made, ack, 0); err != nil {
		return web.Resent{}, err
	}
	select {
	case o := <-heard:
		if o.err != nil {
			return web.Resent{}, o.err
		}
		return m.resent(o.at)
	case <-ctx.Done():
		return web.Resent{}, errors.Join(ctx.Err(), errors.New("the log was still busy: the message may be there later"))
	}
}
