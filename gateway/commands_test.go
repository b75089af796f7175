package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/gateway/broker"
	"sluice/gateway/config"
	"sluice/gateway/message"
)

func commandConfig(t *testing.T, dir, plc string) *config.Config {
	return parse(t, dir, fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: %s, limit: 768MiB}
web: {listen: ""}
mqtt: {listen: []}
devices:
  - name: press
    driver: modbus
    address: tcp://%s
    interval: 1s
    points:
      - {name: counter, address: "holding:0", type: uint32}
      - {name: setpoint, address: "holding:100", type: uint16, access: rw}
`, dir, plc))
}

// listen collects the payloads below a filter.
func listen(t *testing.T, g *Gateway, filter string) func() []string {
	t.Helper()
	consumer, err := g.broker.Consumer("test "+filter, []string{filter}, broker.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var heard []string
	start(t, func(ctx context.Context) error {
		defer consumer.Close()
		for {
			records, err := consumer.Next(ctx, nil, 10)
			if err != nil {
				return nil //nolint:nilerr // the end of the test, or of the gateway
			}
			mu.Lock()
			for _, r := range records {
				heard = append(heard, string(r.Payload))
			}
			mu.Unlock()
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), heard...)
	}
}

func TestCommandsReachTheDeviceOnceAndAreAnswered(t *testing.T) {
	plc := startPLC(t)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	g := newGateway(t, commandConfig(t, dir, plc.Addr()))
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	replies := listen(t, g, "replies/#")
	send := func(g *Gateway, payload string, retained bool) {
		t.Helper()
		in := bridge.Incoming{Topic: "plants/x", Payload: []byte(payload), Retained: retained}
		if err := g.deliver("cloud")(t.Context(), "commands/line-3/press", &in); err != nil {
			t.Fatal(err)
		}
	}
	send(g, `{"id":"a1","write":{"setpoint":42}}`, false)
	send(g, `{"id":"a1","write":{"setpoint":43}}`, false)
	send(g, `{"id":"a2","write":{"setpoint":44}}`, true)
	send(g, `{"id":"a3","write":{"counter":1}}`, false)
	until(t, "four replies", func() bool { return len(replies()) == 4 })
	for i, want := range []string{
		`{"id":"a1","ok":true,"values":{"setpoint":42}}`,
		`{"id":"a1","ok":false,"error":"not written: a command with this id was received before"}`,
		`{"id":"a2","ok":false,"error":"not written: a retained command would be carried out again and again"}`,
		`{"id":"a3","ok":false,"error":"point counter is read-only; its access is not rw"}`,
	} {
		if got := replies()[i]; got != want {
			t.Errorf("reply %d is %s, want %s", i, got, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	// The next run knows the ids, and answers a command that the last one had begun with.
	g = newGateway(t, commandConfig(t, dir, plc.Addr()))
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	begun := "commands/line-3/press"
	command := &message.Message{Topic: begun, Payload: []byte(`{"id":"a4","write":{"setpoint":45}}`), Time: time.Now().UnixMilli()}
	start(t, g.store.Run)
	durable := make(chan message.Position, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, at message.Position, _ error) { durable <- at })
	if err := g.broker.Publish(t.Context(), command, ack, 0); err != nil {
		t.Fatal(err)
	}
	from := &commands{gateway: g, topic: begun}
	if err := from.Begin(t.Context(), <-durable); err != nil {
		t.Fatal(err)
	}
	d := deviceNamed(g, "press")
	start(t, g.broker.Run)
	start(t, d.Run)
	after := listen(t, g, "replies/line-3/+")
	send(g, `{"id":"a1","write":{"setpoint":46}}`, false)
	until(t, "two replies more", func() bool { return len(after()) == 6 })
	if got := after()[4]; got != `{"id":"a4","ok":false,"error":"outcome unknown: the gateway stopped while it carried out the command"}` {
		t.Errorf("the interrupted command is answered with %s", got)
	}
	if got := after()[5]; !strings.Contains(got, "received before") {
		t.Errorf("the repeated command is answered with %s", got)
	}
	for _, c := range g.store.Cursors() {
		if strings.HasSuffix(c.Name, "/begun") {
			t.Errorf("the mark %s stays and keeps the log", c.Name)
		}
	}
}

func TestCommandsForUnknownDevicesAreAnswered(t *testing.T) {
	plc := startPLC(t)
	g := newGateway(t, commandConfig(t, t.TempDir(), plc.Addr()))
	start(t, g.Run)
	replies := listen(t, g, "replies/#")
	send := func(device, payload string) {
		t.Helper()
		in := bridge.Incoming{Topic: "plants/x", Payload: []byte(payload)}
		if err := g.deliver("cloud")(t.Context(), "commands/line-3/"+device, &in); err != nil {
			t.Fatal(err)
		}
	}
	send("pres", `{"id":"a1","write":{"setpoint":42}}`)
	send("press", `{"id":"a2","write":{"setpoint":42}}`)
	send("pres", `no JSON`)
	until(t, "three replies", func() bool { return len(replies()) == 3 })
	for _, want := range []string{
		`{"id":"a1","ok":false,"error":"not written: the gateway has no device of this name"}`,
		`{"id":"","ok":false,"error":"not written: the gateway has no device of this name"}`,
		`{"id":"a2","ok":true,"values":{"setpoint":42}}`,
	} {
		if !slices.Contains(replies(), want) {
			t.Errorf("the replies are %q, want %s among them", replies(), want)
		}
	}
}
