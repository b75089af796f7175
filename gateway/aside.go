package gateway

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/bridge"
	"sluice/gateway/message"
	"sluice/web"
)

// uplinks lets the gateway be what the page asks about uplinks.
type uplinks struct{ *Gateway }

// Aside implements web.Uplinks. The log's index leads to what was set aside, so looking through a long
// log that has little of it reads little.
func (u uplinks) Aside(ctx context.Context, name string, from uint64, limit int) (list []web.Aside, next uint64, err error) {
	if strings.ContainsAny(name, "/+#") {
		return nil, 0, fmt.Errorf("%w: uplink %s", web.ErrUnknown, name)
	}
	filter := []string{bridge.AsideTopic(name, "#")}
	at := max(message.Position(from), u.store.Head())
	for len(list) < limit {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		tail, _ := u.store.Tail()
		found, after, err := u.store.ReadMatching(nil, at, limit-len(list), filter)
		if err != nil {
			return nil, 0, fmt.Errorf("read what uplink %s has set aside: %w", name, err)
		}
		for i := range found {
			list = append(list, showAside(&found[i]))
		}
		if at = after; at > tail {
			return list, 0, nil
		}
	}
	return list, uint64(at), nil
}

func showAside(r *message.Record) web.Aside {
	_, origin, _ := bridge.AsideOrigin(r.Topic)
	shown := web.Aside{Position: uint64(r.Position), Topic: origin, Stored: time.UnixMilli(r.Time), Bytes: len(r.Payload)}
	shown.Reason, _ = r.Property(bridge.AsideReason)
	tries, _ := r.Property(bridge.AsideTries)
	position, _ := r.Property(bridge.AsidePosition)
	// What is no number was not written by us, and is shown as 0.
	shown.Tries, _ = strconv.Atoi(tries)
	shown.Origin, _ = strconv.ParseUint(position, 10, 64)
	return shown
}

// asideNotes are what a message says of having been set aside. It is not true of the copy that is sent again.
var asideNotes = []string{bridge.AsideUplink, bridge.AsideReason, bridge.AsideTries, bridge.AsidePosition, message.OnlyUplink}

// resendAside puts a copy of what was set aside for an uplink at the end of the topic that it came from.
// Of the uplinks that one alone forwards it: the other clouds have had the message.
func (m messages) resendAside(ctx context.Context, r *message.Record, uplink, topic string) (web.Resent, error) {
	if !m.forwards(uplink, topic) {
		return web.Resent{}, fmt.Errorf("%w: uplink %s has no route for %s: configure one first", web.ErrNotAllowed, uplink, topic)
	}
	again := message.Message{Topic: topic, Payload: r.Payload, QoS: r.QoS, Client: r.Client,
		Properties: append(withoutNotes(r.Properties), message.Property{Name: message.OnlyUplink, Value: uplink})}
	again.QoS = max(again.QoS, 1) // so it is stored also where what nobody wants is not
	return m.store(ctx, &again)
}

// resent tells where a record that is durable lies.
func (m messages) resent(at message.Position) (web.Resent, error) {
	stored, err := m.record(uint64(at))
	if err != nil {
		return web.Resent{}, err
	}
	shown := web.Resent{Topic: stored.Topic, Queue: int(stored.Queue), Offset: stored.QueueOffset, Position: uint64(at)}
	if stored.Queue == message.NoQueue {
		shown.Queue, shown.Offset = -1, 0
	}
	return shown, nil
}

func withoutNotes(properties []message.Property) []message.Property {
	return slices.DeleteFunc(slices.Clone(properties), func(p message.Property) bool { return slices.Contains(asideNotes, p.Name) })
}

// forwards says whether an uplink is configured to forward a topic.
func (g *Gateway) forwards(uplink, topic string) bool {
	for _, u := range g.Config().Uplinks {
		if u.Name != uplink {
			continue
		}
		for _, r := range u.Forward {
			if message.Match(r.From, topic) {
				return true
			}
		}
	}
	return false
}
