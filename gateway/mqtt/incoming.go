package mqtt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// incoming is the way of a client's messages into the log. Everything in it is used again for the
// next message.
type incoming struct {
	packet            packet.Publish
	message           message.Message
	topics            topics
	toldRetain        bool
	received, dropped uint64 // since the last count
}

// count adds to the server's counters what came since it was last called: once for many messages,
// because all connections share them.
func (in *incoming) count(s *Server) {
	if in.received > 0 {
		s.received.Add(in.received)
		in.received = 0
	}
	if in.dropped > 0 {
		s.dropped.Add(in.dropped)
		in.dropped = 0
	}
}

// publish hands a message to the log. It returns once the log has taken it, which is not yet the
// time for PUBACK: that comes with Acknowledge.
func (c *conn) publish(ctx context.Context, frame packet.Frame) error {
	in := &c.incoming
	if err := in.packet.Decode(frame, c.version); err != nil {
		return err
	}
	if in.packet.QoS == 2 {
		return fmt.Errorf("PUBLISH: %w", errQoS2)
	}
	in.received++
	topic, err := in.topics.find(in.packet.Topic, c.server.options.MaxLevels)
	if err != nil {
		return err
	}
	if in.packet.Retain && !in.toldRetain {
		in.toldRetain = true
		c.server.warn("a client retains messages, which are not kept yet: they go to present subscribers only", "client", c.clientID, "topic", topic)
	}
	in.message = message.Message{
		Topic:   topic,
		Payload: in.packet.Payload,
		QoS:     in.packet.QoS,
		Retain:  in.packet.Retain,
	}
	if in.packet.QoS == 0 {
		return c.publishOnce(ctx)
	}
	token, ok := c.answers.reserve(ctx, in.packet.ID)
	if !ok {
		return context.Cause(ctx)
	}
	if topic[0] == '$' {
		c.answers.local(token) // dropped, and answered as if not [MQTT-3.3.5-2]
		return nil
	}
	return c.publishDurably(ctx, token)
}

func (c *conn) publishOnce(ctx context.Context) error {
	in := &c.incoming
	if in.message.Topic[0] == '$' {
		return nil // the gateway's own topics, not a client's
	}
	err := c.server.backend.Publish(ctx, &in.message, nil, 0)
	switch {
	case err == nil:
		c.server.logIsFull(false)
		return nil
	case errors.Is(err, message.ErrFull):
		c.server.logIsFull(true)
		in.dropped++
		return nil
	}
	return fmt.Errorf("publish on %s: %w", in.message.Topic, err)
}

// publishDurably asks a full log again and again and reads nothing meanwhile: 3.1.1 has no other way
// to tell a publisher to wait.
func (c *conn) publishDurably(ctx context.Context, token uint64) error {
	in := &c.incoming
	for {
		err := c.server.backend.Publish(ctx, &in.message, c.answers, token)
		if err == nil {
			c.server.logIsFull(false)
			return nil
		}
		if !errors.Is(err, message.ErrFull) {
			return fmt.Errorf("publish on %s: %w", in.message.Topic, err)
		}
		c.server.logIsFull(true)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(fullPause):
		}
	}
}

const (
	maxTopics     = 256 // topics that a connection remembers
	maxTopicBytes = 256 // longer ones are not remembered
)

// topics remembers the topics that a client publishes on, so that a message on one of them costs no
// new string.
type topics struct {
	known map[string]string
	last  string
}

// find gives topic as a string, and refuses one with too many levels.
func (t *topics) find(topic []byte, maxLevels int) (string, error) {
	if string(topic) == t.last { // compares without a copy
		return t.last, nil
	}
	known, ok := t.known[string(topic)]
	if ok {
		t.last = known
		return known, nil
	}
	if n := levels(topic); n > maxLevels {
		return "", fmt.Errorf("a topic of %d levels, at most %d are taken", n, maxLevels)
	}
	made := string(topic)
	if len(made) > maxTopicBytes {
		return made, nil
	}
	if t.known == nil || len(t.known) == maxTopics {
		t.known = make(map[string]string)
	}
	t.known[made], t.last = made, made
	return made, nil
}
