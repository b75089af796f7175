package rocketmq_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/bridge/rocketmq"
	"sluice/gateway"
	"sluice/gateway/config"
	"sluice/gateway/message"
)

// startGateway runs a gateway whose RocketMQ listener is the cloud; it gives the listener's address.
func startGateway(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	text := fmt.Sprintf("gateway: {name: broker-a}\nstore: {dir: ./data}\nweb: {listen: \"\"}\nrocketmq: {listen: %q, nameserver: \"\"}\n", address)
	c, err := config.Parse(filepath.Join(t.TempDir(), "sluice.yaml"), []byte(text), gateway.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{Config: c, Version: "test", Log: slog.New(slog.DiscardHandler), AdminPassword: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Errorf("the gateway ended with: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return address
}

// cloud is what a test of commands needs of an uplink's link.
type cloud struct {
	t    *testing.T
	link bridge.Link
	got  chan string
}

func dialCloud(t *testing.T, address string) *cloud {
	t.Helper()
	o := rocketmq.DefaultOptions()
	o.NameServers = []string{address}
	u, err := rocketmq.New(o, "line-3", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var l bridge.Link
	for err = errors.New("not tried"); err != nil && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		l, err = u.Connect(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &cloud{t, l, make(chan string, 100)}
}

func (c *cloud) send(at int, topic, payload string) {
	c.t.Helper()
	r := &message.Record{Position: message.Position(at), Message: message.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Time: time.Now().UnixMilli(),
		Properties: []message.Property{{Name: "unit", Value: "°C"}}}}
	done := make(chan error, 1)
	o := &bridge.Outgoing{Topic: topic, Key: topic, Payload: r.Payload, QoS: 1, Properties: r.Properties, Origin: "line-4-1", Record: r,
		Marks: []message.Property{{Name: bridge.OriginMark, Value: "line-4"}}}
	if err := c.link.Send(c.t.Context(), o, func(err error) { done <- err }); err != nil {
		c.t.Fatal(err)
	}
	if err := <-done; err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) receive(filter string, fail int) {
	c.t.Helper()
	var mu sync.Mutex
	err := c.link.(bridge.Receiver).Receive(c.t.Context(), filter, func(_ context.Context, m *bridge.Incoming) error {
		mu.Lock()
		defer mu.Unlock()
		if fail > 0 {
			fail--
			return errors.New("the log is full")
		}
		c.got <- fmt.Sprint(m.Topic, " ", string(m.Payload), " ", m.Properties)
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) expect(want string) {
	c.t.Helper()
	select {
	case got := <-c.got:
		if got != want {
			c.t.Errorf("received %s, want %s", got, want)
		}
	case <-time.After(20 * time.Second):
		c.t.Fatalf("%s was not received", want)
	}
}

func TestCommandsComeDownOnceAndInOrder(t *testing.T) {
	address := startGateway(t)
	const with = " [{unit °C} {sluice-origin line-4}]"
	first := dialCloud(t, address)
	first.send(1, "commands/line-3/press", "from before anybody listened")
	first.receive("commands/line-3/+", 1)
	first.send(2, "commands/line-4/press", "for somebody else")
	first.send(3, "commands/line-3/press", "one")
	first.send(4, "commands/line-3/press", "two")
	first.expect("commands/line-3/press one" + with)
	first.expect("commands/line-3/press two" + with)
	first.link.Close()
	second := dialCloud(t, address)
	second.send(5, "commands/line-3/press", "while nobody listened")
	second.receive("commands/line-3/+", 0)
	second.expect("commands/line-3/press while nobody listened" + with)
	if err := second.link.(bridge.Receiver).Receive(t.Context(), "+/x", nil); err == nil {
		t.Error("a topic with a wildcard can be received")
	}
}
