package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/bridge"
	"sluice/bridge/payload"
	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/web"
)

const (
	exampleReach = 50_000   // positions from the end of the log in which an example is looked for
	exampleBytes = 16 << 10 // of a payload that is shown
)

// Examples implements web.Clouds.
func (c clouds) Examples(ctx context.Context, section json.RawMessage) ([]web.RouteExample, error) {
	only, _, err := alone(c.Config().Gateway.Name, section)
	if err != nil {
		return nil, err
	}
	list := []web.RouteExample{}
	for _, r := range only.Uplinks[0].Forward {
		list = append(list, c.example(ctx, only.Gateway.Name, r))
	}
	return list, nil
}

// example shows what a route makes of the newest message that it matches; of one that never was, if there is none.
func (c clouds) example(ctx context.Context, gateway string, r config.ForwardRoute) web.RouteExample {
	shown := web.RouteExample{From: r.From}
	filter := strings.ReplaceAll(r.From, "{gateway}", gateway)
	record, err := c.newest(ctx, filter)
	if err != nil {
		shown.Error = err.Error()
		return shown
	}
	if record == nil {
		record = invented(filter, gateway)
		shown.Invented = true
	}
	shown.Topic = record.Topic
	to, err := bridge.ParseTemplate(r.To)
	if err == nil {
		var maker *payload.Maker
		if maker, err = payload.New(payload.Options(r.Payload), gateway); err == nil {
			var made []bridge.Made
			made, err = readableMaker{&c.readable, maker}.Make(nil, record)
			shown.Made = len(made)
			if len(made) > 0 {
				shown.To = to.Expand(bridge.Fill{Topic: record.Topic, Gateway: gateway, Device: bridge.DeviceOf(record.Topic), Lane: bridge.LiveLane, Point: made[0].Point})
				shown.Bytes = len(made[0].Payload)
				if text := made[0].Payload[:min(exampleBytes, shown.Bytes)]; utf8.Valid(text) {
					shown.Payload = string(text)
				}
			}
		}
	}
	if err != nil {
		shown.Error = err.Error()
	}
	return shown
}

// newest gives the last message in reach of the log's end that a filter matches; nil: there is none.
func (c clouds) newest(ctx context.Context, filter string) (last *message.Record, err error) {
	tail, _ := c.store.Tail()
	at := c.store.Head()
	if tail > exampleReach {
		at = max(at, tail-exampleReach)
	}
	var found []message.Record
	for at <= tail && ctx.Err() == nil {
		if found, at, err = c.store.ReadMatching(found[:0], at, historyRecords, []string{filter}); err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		if len(found) > 0 {
			newest := found[len(found)-1]
			last = &newest
		}
	}
	return last, ctx.Err()
}

// invented is a message that a filter matches, of the appliance's own kinds where it can be.
func invented(filter, gateway string) *message.Record {
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if level == "+" || level == "#" {
			levels[i] = []string{"readings", gateway, "device"}[min(i, 2)]
		}
	}
	if i := slices.Index(strings.Split(filter, "/"), "#"); i >= 0 && i < 2 {
		levels = append(levels, []string{gateway, "device"}[i:]...)
	}
	m := message.Message{Topic: strings.Join(levels, "/"), Time: time.Now().UnixMilli(), QoS: 1}
	if levels[0] == "readings" { // of others nobody knows what would be in them
		reading := message.Reading{Gateway: gateway, Device: bridge.DeviceOf(m.Topic), Epoch: 1, Seq: 1, Time: m.Time,
			Points: []message.Point{{Name: "temperature", Value: message.Float64(21.5)}}}
		m.Payload = reading.AppendJSON(nil)
	}
	return &message.Record{Position: 1, Message: m}
}
