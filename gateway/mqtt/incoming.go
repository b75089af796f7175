package mqtt

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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
	aliases           []string          // by alias [MQTT-3.3.2-12]
	taken             map[uint16]uint64 // QoS 2 identifiers that were not released, with the number of their PUBREC
	received, dropped uint64            // since the last count
	pace              pace
}

// pace keeps a client to a rate by not reading it: MQTT has no other way that loses nothing.
type pace struct{ free time.Time }

// wait returns when the next message may be taken; what was not taken in the last second does not add up.
func (p *pace) wait(ctx context.Context, rate int) error {
	if rate == 0 {
		return nil
	}
	now := time.Now()
	if earliest := now.Add(-time.Second); p.free.Before(earliest) {
		p.free = earliest
	}
	p.free = p.free.Add(time.Second / time.Duration(rate))
	if p.free.Before(now) {
		return nil
	}
	select {
	case <-time.After(p.free.Sub(now)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
// time for PUBACK or PUBREC: that comes with Acknowledge.
func (c *conn) publish(ctx context.Context, frame packet.Frame) error {
	in := &c.incoming
	if err := in.packet.Decode(frame, c.version); err != nil {
		return err
	}
	in.received++
	if err := in.pace.wait(ctx, c.server.options.MaxRate); err != nil {
		return err
	}
	topic, err := in.topic(c.server.options.MaxLevels)
	if err != nil {
		return err
	}
	if in.packet.QoS > 0 && c.version >= packet.V5 && !c.peer.lenient && c.answers.owed() >= receiveMaximum {
		return &packet.Error{Code: packet.ReceiveMaximumExceeded, Clause: "MQTT-3.3.4-7", Text: "more than the receive maximum is under way"}
	}
	in.message = message.Message{
		Topic:   topic,
		Payload: in.packet.Payload,
		QoS:     in.packet.QoS,
		Retain:  in.packet.Retain,
		Client:  c.clientID,
	}
	if len(in.packet.Properties) > 0 {
		if in.message.Properties, err = messageProperties(in.packet.Properties, true); err != nil {
			return err
		}
	}
	if c.session != nil && len(in.message.Properties) == 0 {
		in.message.Properties = persistent // whoever appends to it gets a copy
	} else if c.session != nil {
		in.message.Properties = append(in.message.Properties, persistent...)
	}
	allowed := c.mayPublish(topic)
	switch in.packet.QoS {
	case 0:
		if !allowed {
			in.dropped++
			return nil
		}
		return c.publishOnce(ctx)
	case 1:
		token, ok := c.answers.reserve(ctx, packet.PUBACK, in.packet.ID, len(in.packet.Payload))
		if !ok {
			return context.Cause(ctx)
		}
		if !allowed {
			c.forbidden(token)
			return nil
		}
		return c.publishDurably(ctx, token)
	}
	return c.publishExactly(ctx, allowed)
}

// persistent says of a message that its client's session outlives the connection.
var persistent = []message.Property{{Name: message.Persistent, Value: "1"}}

// publishExactly takes a QoS 2 message once [MQTT-4.3.3-9, MQTT-4.3.3-10]: its identifier is durable
// with it, so that a repeat is recognised after a kill too.
func (c *conn) publishExactly(ctx context.Context, allowed bool) error {
	in := &c.incoming
	id := in.packet.ID
	_, again := in.taken[id]
	if !again && c.session != nil {
		again = c.session.Received(id)
	}
	if !again && len(in.taken) >= receiveMaximum {
		return protocolError("MQTT-3.3.4-7", "more QoS 2 messages than can be remembered were not released")
	}
	token, ok := c.answers.reserve(ctx, packet.PUBREC, id, len(in.packet.Payload))
	if !ok {
		return context.Cause(ctx)
	}
	if in.taken == nil {
		in.taken = make(map[uint16]uint64)
	}
	switch {
	case again:
		in.taken[id] = token
		c.answers.repeat(token)
		return nil
	case !allowed:
		if c.version < packet.V5 {
			in.taken[id] = token
		}
		c.forbidden(token)
		return nil
	}
	if c.session != nil {
		in.message.Properties = append(in.message.Properties, message.Property{Name: message.PacketID, Value: strconv.Itoa(int(id))})
	}
	in.taken[id] = token
	return c.publishDurably(ctx, token)
}

// released answers PUBREL once it would survive a power cut that the identifier is free
// [MQTT-4.3.3-11].
func (c *conn) released(ctx context.Context, ack *packet.Ack) error {
	in := &c.incoming
	first, known := in.taken[ack.ID]
	if known && c.answers.waits(first) {
		return protocolError("MQTT-4.3.3-5", "PUBREL before PUBREC")
	}
	if !known && c.session != nil {
		known = c.session.Received(ack.ID)
	}
	delete(in.taken, ack.ID)
	token, ok := c.answers.reserve(ctx, packet.PUBCOMP, ack.ID, 0)
	switch {
	case !ok:
		return context.Cause(ctx)
	case !known:
		c.answers.ready(token, packet.PacketIdentifierNotFound) // success to 3.1.1, as the end of a repeat
	case c.session == nil:
		c.answers.ready(token, packet.Success)
	default:
		c.session.Release(ack.ID, func(err error) { c.answers.durable(token, err) })
	}
	return nil
}

// mayPublish says whether a message goes on. Topics that begin with $ are the gateway's own.
func (c *conn) mayPublish(topic string) bool {
	if topic[0] == '$' {
		return false
	}
	if c.grant.Publish(topic) {
		return true
	}
	c.server.warn("a message was refused: publishing there is not allowed", "client", c.clientID, "topic", topic)
	return false
}

// forbidden answers a publish that is not allowed: with a reason in MQTT 5, before it as if it had been
// taken [MQTT-3.3.5-2].
func (c *conn) forbidden(token uint64) {
	c.incoming.dropped++
	code := packet.NotAuthorized
	if c.version < packet.V5 {
		code = packet.Success
	}
	c.answers.ready(token, code)
}

func (c *conn) publishOnce(ctx context.Context) error {
	in := &c.incoming
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
	return c.unpublished(err)
}

// publishDurably tells an MQTT 5 client that the log is full. Others cannot be told: it asks the log again
// and again and reads nothing meanwhile.
func (c *conn) publishDurably(ctx context.Context, token uint64) error {
	in := &c.incoming
	for {
		err := c.server.backend.Publish(ctx, &in.message, &c.answers, token)
		if err == nil {
			c.server.logIsFull(false)
			return nil
		}
		if !errors.Is(err, message.ErrFull) {
			c.answers.abandon()
			return c.unpublished(err)
		}
		c.server.logIsFull(true)
		if c.version >= packet.V5 {
			in.dropped++
			delete(in.taken, in.packet.ID)
			c.answers.ready(token, packet.QuotaExceeded)
			return nil
		}
		select {
		case <-ctx.Done():
			c.answers.abandon()
			return context.Cause(ctx)
		case <-time.After(fullPause):
		}
	}
}

// unpublished gives the end of a connection whose message the log does not take.
func (c *conn) unpublished(err error) error {
	err = fmt.Errorf("publish on %s: %w", c.incoming.message.Topic, err)
	switch {
	case errors.Is(err, message.ErrTooLarge):
		return &packet.Error{Code: packet.PacketTooLarge, Clause: "MQTT-3.2.2-15", Text: err.Error()}
	case errors.Is(err, message.ErrTopic):
		return &packet.Error{Code: packet.TopicNameInvalid, Clause: "MQTT-3.3.2-2", Text: err.Error()}
	}
	return err
}

// messageProperties turns what came with a PUBLISH or a will into what travels with the message. From a
// client a subscription identifier is a mistake [MQTT-3.3.4-6].
func messageProperties(from packet.Properties, publish bool) ([]message.Property, error) {
	to := make([]message.Property, 0, len(from)+1)
	for i := range from {
		p := &from[i]
		switch p.ID {
		case packet.PayloadFormat:
			if p.Number == 1 {
				to = append(to, message.Property{Name: message.PayloadFormat, Value: "1"})
			}
		case packet.MessageExpiry:
			to = append(to, message.Property{Name: message.Expiry, Value: strconv.FormatUint(uint64(p.Number), 10)})
		case packet.ContentType:
			to = append(to, message.Property{Name: message.ContentType, Value: string(p.Data)})
		case packet.ResponseTopic:
			to = append(to, message.Property{Name: message.ResponseTopic, Value: string(p.Data)})
		case packet.CorrelationData:
			to = append(to, message.Property{Name: message.CorrelationData, Value: string(p.Data)})
		case packet.UserProperty:
			to = append(to, message.Property{Name: string(p.Name), Value: string(p.Data)})
		case packet.SubscriptionIdentifier:
			if publish {
				return nil, protocolError("MQTT-3.3.4-6", "a subscription identifier from a client")
			}
		}
	}
	return to, nil
}

// topic gives the topic of the packet, which may stand for it by its alias.
func (in *incoming) topic(maxLevels int) (string, error) {
	alias, aliased := uint32(0), false
	if len(in.packet.Properties) > 0 {
		alias, aliased = in.packet.Properties.Number(packet.TopicAlias)
	}
	if aliased && alias > maxAliases {
		return "", &packet.Error{Code: packet.TopicAliasInvalid, Clause: "MQTT-3.3.2-9", Text: fmt.Sprintf("topic alias %d, the most is %d", alias, maxAliases)}
	}
	if aliased && len(in.packet.Topic) == 0 {
		if int(alias) >= len(in.aliases) || in.aliases[alias] == "" {
			return "", protocolError("3.3.2.3.4", fmt.Sprintf("topic alias %d was not set", alias))
		}
		return in.aliases[alias], nil
	}
	topic, err := in.topics.find(in.packet.Topic, maxLevels)
	if err == nil && aliased {
		if in.aliases == nil {
			in.aliases = make([]string, maxAliases+1)
		}
		in.aliases[alias] = topic
	}
	return topic, err
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
		return "", &packet.Error{Code: packet.TopicNameInvalid, Clause: "4.7.3", Text: fmt.Sprintf("a topic of %d levels, at most %d are taken", n, maxLevels)}
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
