package mqtt5

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"sluice/bridge"
	"sluice/bridge/mqttline"
	"sluice/gateway/message"
)

// maxCommands is how many messages from the cloud may wait for the broker here. The cloud is told not
// to have more under way; those without QoS beyond it are dropped and counted: a command that waits
// behind so many is stale anyway.
const maxCommands = 64

// subscription is what somebody here wants from the cloud.
type subscription struct {
	filter  string
	deliver func(ctx context.Context, m *bridge.Incoming) error
}

type command struct {
	message *paho.Publish
	to      []subscription
}

// Receive subscribes to filter and returns once the broker has agreed.
func (l *link) Receive(ctx context.Context, filter string, deliver func(ctx context.Context, m *bridge.Incoming) error) error {
	plainFilter, shared := filter, false
	if rest, ok := strings.CutPrefix(filter, "$share/"); ok {
		_, plainFilter, _ = strings.Cut(rest, "/")
		shared = true
	}
	l.mu.Lock() // before the answer comes: messages may come with it
	l.filters = append(l.filters, subscription{plainFilter, deliver})
	l.mu.Unlock()
	ack, err := l.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{
		Topic: filter, QoS: 1,
		NoLocal: !shared, // what we have sent up does not come down again; not with $share [MQTT-3.8.3-4]
	}}})
	if err := l.Err(); err != nil {
		return err
	}
	switch {
	case err == nil:
		return nil
	case ack != nil && len(ack.Reasons) == 1:
		return fmt.Errorf("the cloud refuses the subscription to %s: %s", filter, because(ack.Reasons[0], ack.Properties.ReasonString))
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return fmt.Errorf("the cloud does not answer the subscription to %s", filter)
	}
	return mqttline.Explain(err)
}

// answer hands a SUBACK to who waits for it.
func (l *link) answer(p *packets.ControlPacket, id uint16) {
	l.mu.Lock()
	waiting, asked := l.asked[id]
	delete(l.asked, id)
	l.mu.Unlock()
	if !asked {
		l.lose(fmt.Errorf("%w: it answers a subscription that nobody has asked for", errProtocol))
		return
	}
	waiting <- *p // there is room for one
}

// enqueue runs in paho's handler goroutine. It must not block, or no PUBACK would come through.
func (l *link) enqueue(r paho.PublishReceived) (handled bool, err error) {
	c := command{message: r.Packet}
	l.mu.Lock()
	for _, s := range l.filters {
		if message.Match(s.filter, c.message.Topic) {
			c.to = append(c.to, s)
		}
	}
	l.mu.Unlock()
	if c.message.QoS == 0 && len(l.commands) >= maxCommands {
		l.dropped++
		if l.dropped == 1 {
			l.log.Warn("messages from the cloud come faster than they can be taken; some are dropped")
		}
		return true, nil
	}
	select {
	case l.commands <- c:
	default:
		l.lose(fmt.Errorf("%w: it sends more messages at once than it may", errProtocol)) // [MQTT-3.3.4-9]
	}
	return true, nil
}

// deliver is the goroutine that hands messages from the cloud over, one at a time, in order.
func (l *link) deliver() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.workers.Go(func() {
		<-l.lost
		cancel()
	})
	for {
		select {
		case c := <-l.commands:
			l.handOver(ctx, c)
		case <-l.lost:
			return
		}
	}
}

// handOver acknowledges a message when all who want it have taken it, and else says that it was not
// taken: the cloud would wait for the answer, and let only so many wait.
func (l *link) handOver(ctx context.Context, c command) {
	var failed error
	for _, s := range c.to {
		m := incoming(c.message)
		if err := s.deliver(ctx, &m); err != nil {
			failed = err
		}
	}
	if c.message.QoS == 0 || ctx.Err() != nil {
		return
	}
	ack := packets.Puback{PacketID: c.message.PacketID, Properties: &packets.Properties{}}
	switch {
	case errors.Is(failed, message.ErrFull):
		ack.ReasonCode = packets.PubackQuotaExceeded
	case failed != nil:
		ack.ReasonCode = packets.PubackImplementationSpecificError
	}
	if _, err := ack.WriteTo(l.line); err != nil {
		l.lose(mqttline.Explain(err))
	}
}

// incoming translates a message. What only we may say of it, under names with U+0000, is not believed
// when it comes from outside.
func incoming(p *paho.Publish) bridge.Incoming {
	m := bridge.Incoming{Topic: p.Topic, Payload: p.Payload, Retained: p.Retain, Repeated: p.Duplicate()}
	add := func(name, value string) {
		m.Properties = append(m.Properties, message.Property{Name: name, Value: value})
	}
	for _, u := range p.Properties.User {
		if u.Key != "" && validText(u.Key) && validText(u.Value) {
			add(u.Key, u.Value)
		}
	}
	if v := p.Properties.ContentType; v != "" && validText(v) {
		add(message.ContentType, v)
	}
	if v := p.Properties.ResponseTopic; v != "" && validText(v) {
		add(message.ResponseTopic, v)
	}
	if len(p.Properties.CorrelationData) > 0 {
		add(message.CorrelationData, string(p.Properties.CorrelationData))
	}
	if v := p.Properties.PayloadFormat; v != nil && *v == 1 {
		add(message.PayloadFormat, "1")
	}
	if v := p.Properties.MessageExpiry; v != nil {
		add(message.Expiry, strconv.FormatUint(uint64(*v), 10))
	}
	return m
}

// validText says whether MQTT allows a text at all [MQTT-1.5.4-1] [MQTT-1.5.4-2].
func validText(text string) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}
