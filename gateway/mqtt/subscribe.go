package mqtt

import (
	"context"
	"fmt"
	"strings"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// subscribe answers each filter with the QoS that is granted [MQTT-3.8.4-1, MQTT-3.8.4-5], in order
// [MQTT-3.9.3-1].
func (c *conn) subscribe(ctx context.Context, frame packet.Frame) error {
	request := &c.requests.subscribe
	if err := request.Decode(frame, c.version); err != nil {
		return err
	}
	for _, f := range request.Filters { // all or nothing: a bad filter ends the connection
		if err := c.checkFilter(f.Filter); err != nil {
			return err
		}
	}
	if err := c.startDelivery(ctx); err != nil {
		return err
	}
	answer := &c.requests.suback
	answer.ID, answer.Codes = request.ID, answer.Codes[:0] // [MQTT-3.8.4-2]
	for _, f := range request.Filters {
		answer.Codes = append(answer.Codes, c.grant(string(f.Filter), f.QoS))
	}
	c.out.answer(answer, c.version)
	return nil
}

func (c *conn) checkFilter(filter []byte) error {
	if err := message.CheckFilter(string(filter)); err != nil {
		return fmt.Errorf("SUBSCRIBE: %w", err)
	}
	if n := levels(filter); n > c.server.options.MaxLevels {
		return fmt.Errorf("a filter of %d levels, at most %d are taken", n, c.server.options.MaxLevels)
	}
	return nil
}

func (c *conn) grant(filter string, qos byte) packet.Reason {
	if strings.HasPrefix(filter, "$share/") {
		c.server.warn("a subscription was refused: shared ones are not there yet", "client", c.clientID, "filter", filter)
		return packet.ReturnSubscribeFailed
	}
	if !c.delivery.add(filter, min(qos, 1), c.server.options.MaxSubscriptions) {
		c.server.warn("a subscription was refused: the client has too many", "client", c.clientID,
			"filter", filter, "max", c.server.options.MaxSubscriptions)
		return packet.ReturnSubscribeFailed
	}
	return packet.Reason(min(qos, 1)) // QoS 2 is not there yet, and less may be granted [MQTT-3.8.4-6]
}

func (c *conn) startDelivery(ctx context.Context) error {
	if c.delivery != nil {
		return nil
	}
	subscription, err := c.server.backend.Subscribe()
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	c.delivery = newDelivery(c.server, c.out, subscription, c.version)
	c.parts.Go(func() {
		if err := c.delivery.run(ctx); err != nil {
			c.end(err)
		}
	})
	return nil
}

func (c *conn) unsubscribe(frame packet.Frame) error {
	request := &c.requests.unsubscribe
	if err := request.Decode(frame, c.version); err != nil {
		return err
	}
	for _, filter := range request.Filters {
		if c.delivery != nil {
			c.delivery.remove(string(filter)) // the same characters, not what they match [MQTT-3.10.4-1]
		}
	}
	answer := packet.Unsuback{ID: request.ID} // also when there was none of them [MQTT-3.10.4-4, MQTT-3.10.4-5]
	c.out.answer(&answer, c.version)
	return nil
}
