package mqtt

import (
	"context"
	"fmt"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// What Subscribed.Options holds: the options of SUBSCRIBE as MQTT 5 has them (3.8.3.1), and in a bit
// that is reserved there whether the client has not got all retained messages under the filter yet.
const (
	optionQoS          = 0x03
	optionNoLocal      = 0x04
	optionAsPublished  = 0x08
	optionOwesRetained = 0x80
)

// subscribe answers each filter with the QoS that is granted or why not [MQTT-3.8.4-1, MQTT-3.8.4-6],
// in order [MQTT-3.9.3-1]. What a session was promised with it is durable before.
func (c *conn) subscribe(ctx context.Context, frame packet.Frame) error {
	request := &c.requests.subscribe
	if err := request.Decode(frame, c.version); err != nil {
		return err
	}
	for i := range request.Filters { // a bad filter ends the connection and none of them counts
		if err := c.checkFilter(request.Filters[i].Filter); err != nil {
			return err
		}
	}
	if err := c.startDelivery(ctx); err != nil {
		return err
	}
	identifier, _ := request.Properties.Number(packet.SubscriptionIdentifier)
	answer := &c.requests.suback
	answer.ID, answer.Codes = request.ID, answer.Codes[:0] // [MQTT-3.8.4-2]
	var owed []*retainedJob
	for i := range request.Filters {
		code, job := c.grantFilter(&request.Filters[i], identifier)
		if code >= packet.UnspecifiedError && c.version < packet.V5 {
			code = packet.ReturnSubscribeFailed
		}
		answer.Codes = append(answer.Codes, code)
		if job != nil {
			owed = append(owed, job)
		}
	}
	if c.session != nil {
		if err := c.session.Sync(ctx); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	c.out.answer(answer, c.version)
	for _, job := range owed {
		c.delivery.owe(job)
	}
	return nil
}

// checkFilter refuses what is no filter. The clauses of wildcards and shares are message.CheckFilter's
// and splitShare's.
func (c *conn) checkFilter(filter []byte) error {
	invalid := func(clause, text string) error {
		return &packet.Error{Code: packet.TopicFilterInvalid, Clause: clause, Text: text}
	}
	_, inner, ok := splitShare(string(filter))
	if !ok {
		return invalid("MQTT-4.8.2-2", "a shared subscription without a proper group or filter")
	}
	if err := message.CheckFilter(inner); err != nil {
		return invalid("MQTT-4.7.1-1", err.Error())
	}
	if n := levels(filter); n > c.server.options.MaxLevels {
		return invalid("4.7.3", fmt.Sprintf("a filter of %d levels, at most %d are taken", n, c.server.options.MaxLevels))
	}
	return nil
}

// grantFilter subscribes to one filter, or replaces what there is [MQTT-3.8.4-3]. A job says that there
// are retained messages to send [MQTT-3.3.1-9, MQTT-3.3.1-10, MQTT-3.3.1-11].
func (c *conn) grantFilter(asked *packet.Filter, identifier uint32) (packet.Reason, *retainedJob) {
	group, inner, _ := splitShare(string(asked.Filter))
	s := subscribed{
		filter: inner, group: group, qos: asked.QoS, noLocal: asked.NoLocal, asPublished: asked.RetainAsPublished, identifier: identifier,
	}
	before, known := c.filters.get(group, inner)
	switch {
	case !c.grant.Subscribe(inner):
		c.server.warn("a subscription was refused: it is not allowed", "client", c.clientID, "filter", inner)
		// 0x87 would say more, but the Paho suite, by which clients are tested, takes 0x80 alone.
		return packet.UnspecifiedError, nil
	case !known && c.filters.len() >= c.server.options.MaxSubscriptions:
		c.server.warn("a subscription was refused: the client has too many", "client", c.clientID,
			"filter", inner, "max", c.server.options.MaxSubscriptions)
		return packet.QuotaExceeded, nil
	}
	retained := group == "" && (asked.RetainHandling == 0 || asked.RetainHandling == 1 && !known)
	switch {
	case known:
		s.after, s.share = before.after, before.share
	case group != "":
		share, err := c.delivery.subscription.Join(group, inner, c.session != nil)
		if err != nil {
			c.server.warn("a shared subscription failed", "client", c.clientID, "filter", inner, "err", err)
			return packet.QuotaExceeded, nil
		}
		s.share = share
	default:
		s.after = c.delivery.subscription.Add(inner)
	}
	if code := c.remember(&s, string(asked.Filter), retained); code != packet.Success {
		if !known {
			c.drop(s, true)
		}
		return code, nil
	}
	c.filters.put(s)
	if !retained {
		return packet.Reason(s.qos), nil
	}
	job := c.jobFor(s)
	if known {
		job.upTo = Now // all of them again [MQTT-3.8.4-4]
	}
	return packet.Reason(s.qos), job
}

// jobFor makes the job of sending retained messages. Until it is done the session says so: a kill in
// between makes it run again.
func (c *conn) jobFor(s subscribed) *retainedJob {
	job := &retainedJob{subscribed: s, upTo: s.after}
	if c.session != nil {
		job.finished = func() {
			if now, known := c.filters.get(s.group, s.filter); known && now.after == s.after {
				_ = c.remember(&now, s.filter, false) // only a repeat after a kill hangs on it
			}
		}
	}
	return job
}

// remember puts a subscription into the session, if there is one that lasts.
func (c *conn) remember(s *subscribed, asked string, owes bool) packet.Reason {
	if c.session == nil {
		return packet.Success
	}
	err := c.session.Subscribe(Subscribed{Filter: asked, Options: s.options(owes), Identifier: s.identifier, From: s.after + 1})
	if err == nil {
		return packet.Success
	}
	c.server.warn("a subscription could not be kept", "client", c.clientID, "filter", asked, "err", err)
	return packet.QuotaExceeded
}

func (s *subscribed) options(owes bool) byte {
	options := s.qos
	if s.noLocal {
		options |= optionNoLocal
	}
	if s.asPublished {
		options |= optionAsPublished
	}
	if owes {
		options |= optionOwesRetained
	}
	return options
}

// startDelivery makes what hands out messages, for the first subscription.
func (c *conn) startDelivery(ctx context.Context) error {
	if c.delivery != nil {
		return nil
	}
	c.begin(ctx, newDelivery(c, c.server.backend.Subscribe(Now), 0))
	return nil
}

func (c *conn) begin(ctx context.Context, d *delivery) {
	c.server.mu.Lock() // housekeeping may look at it
	c.delivery = d
	c.server.mu.Unlock()
	c.parts.Go(func() {
		if err := d.run(ctx); err != nil {
			c.end(err)
		}
	})
}

// unsubscribe removes the filters that are the same, character by character [MQTT-3.10.4-1].
func (c *conn) unsubscribe(ctx context.Context, frame packet.Frame) error {
	request := &c.requests.unsubscribe
	if err := request.Decode(frame, c.version); err != nil {
		return err
	}
	if c.session != nil && c.delivery != nil { // or the session's place in the log goes with its last filter
		if upTo, under, _ := c.delivery.flights.state(); len(under) > 0 {
			if err := c.session.SaveFlights(upTo, under, nil); err != nil {
				return fmt.Errorf("unsubscribe: %w", err)
			}
		}
	}
	answer := packet.Unsuback{ID: request.ID} // also when there was none of them [MQTT-3.10.4-4, MQTT-3.10.4-5]
	for _, filter := range request.Filters {
		group, inner, ok := splitShare(string(filter))
		code := packet.NoSubscriptionExisted
		if was, known := c.filters.remove(group, inner); ok && known {
			code = packet.Success
			if c.session != nil {
				c.session.Unsubscribe(string(filter))
			}
			c.drop(was, true)
		}
		answer.Codes = append(answer.Codes, code) // [MQTT-3.11.3-1]
	}
	if c.session != nil {
		if err := c.session.Sync(ctx); err != nil {
			return fmt.Errorf("unsubscribe: %w", err)
		}
	}
	c.out.answer(&answer, c.version)
	return nil
}

// drop takes a subscription back from the broker.
func (c *conn) drop(s subscribed, ended bool) {
	if s.share != 0 {
		c.delivery.subscription.Leave(s.share, ended)
		return
	}
	c.delivery.subscription.Remove(s.filter)
}
