package rocketmq

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/gateway/message"
)

// Probe asks a name server, greets the brokers of the test's topic and sends one message there, all over
// connections of its own.
func (u *Uplink) Probe(ctx context.Context, report func(bridge.Step)) error {
	test := u.options.TestTopic
	if test == "" {
		test = "sluice/test/" + u.gateway
	}
	probe := &Uplink{options: u.options, gateway: u.gateway, group: u.group, clientID: u.clientID + "-test", log: u.log, replicas: make(map[string]bool)}
	ctx = dial.Traced(ctx, func(s dial.Step) { report(bridge.Step(s)) })
	l, err := probe.connect(ctx, nil)
	if err != nil {
		return err
	}
	defer l.Close()
	return l.try(ctx, test)
}

// try sends a message that is marked as a test.
func (l *link) try(ctx context.Context, topic string) error {
	now := time.Now().UnixMilli()
	payload, err := json.Marshal(map[string]any{"test": true, "gateway": l.uplink.gateway, "ts": now})
	if err != nil {
		return err
	}
	record := &message.Record{Message: message.Message{Topic: topic, Payload: payload, Time: now}}
	done := make(chan error, 1)
	err = dial.Take(ctx, bridge.Published, func() (string, error) {
		o := bridge.Outgoing{Topic: topic, Key: topic, Payload: payload, QoS: 1, Origin: "test", Record: record}
		return fmt.Sprintf("%d bytes to %s", len(payload), topic), l.Send(ctx, &o, func(err error) { done <- err })
	})
	if err != nil {
		return err
	}
	return dial.Take(ctx, bridge.Acknowledged, func() (string, error) {
		select {
		case err := <-done:
			return "", err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
}
