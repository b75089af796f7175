package rocketmqgrpc_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func renewed(r *v2.ReceiveMessageRequest) { r.AutoRenew, r.InvisibleDuration = true, nil }

// What a push consumer has goes to another soon after it was killed, and not after the minute that it had.
func TestAKilledConsumersMessagesGoToAnother(t *testing.T) {
	t.Parallel()
	at := startGateway(t, "")
	c := dial(t, at)
	c.send(message("orders", "work"))
	victim := dial(t, at, "x-mq-client-id", "victim")
	victim.telemetry(consumerOf("g", "orders", v2.ClientType_PUSH_CONSUMER))
	if got := victim.receive(1, receiveRequest("g", "orders", renewed)); body(got[0]) != "work" {
		t.Fatalf("got %v", got)
	}
	began := time.Now()
	victim.conn.Close()
	got := c.receive(1, receiveRequest("g", "orders"))[0]
	if took := time.Since(began); body(got) != "work" || got.GetSystemProperties().GetDeliveryAttempt() != 2 || took > 20*time.Second {
		t.Errorf("after %v: %v", took, got)
	}
}

func TestAClientThatSaysGoodbyeKeepsNothing(t *testing.T) {
	t.Parallel()
	at := startGateway(t, "")
	c := dial(t, at)
	c.send(message("orders", "work"))
	leaver := dial(t, at, "x-mq-client-id", "leaver")
	leaver.telemetry(consumerOf("g", "orders", v2.ClientType_PUSH_CONSUMER))
	leaver.receive(1, receiveRequest("g", "orders", renewed))
	bye, err := leaver.NotifyClientTermination(leaver.ctx, &v2.NotifyClientTerminationRequest{Group: named("g")})
	want(t, "goodbye", bye.GetStatus(), err, v2.Code_OK)
	began := time.Now()
	c.receive(1, receiveRequest("g", "orders"))
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}

// What was not acknowledged comes again after a restart, and what was does not.
func TestARestartLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := startGatewayIn(t, dir, "")
	c := dial(t, at)
	c.send(message("orders", "done", one), message("orders", "open", one), message("orders", "done", one))
	for _, m := range c.receive(3, receiveRequest("g", "orders")) {
		if body(m) == "done" {
			want(t, "ack", c.ack("g", "orders", m).GetStatus(), nil, v2.Code_OK)
		}
	}
	at.stop()
	again := dial(t, startGatewayIn(t, dir, ""))
	got := bodies(again.receive(2, receiveRequest("g", "orders"))) // the second "done" lies behind what is open
	if !slices.Contains(got, "open") {
		t.Errorf("after the restart: %v", got)
	}
}

// one puts messages in one queue.
func one(p *v2.SystemProperties) { p.MessageGroup = new("one") }

// Who waits is answered at the end, and who is silent holds nobody up.
func TestTheEndIsQuick(t *testing.T) {
	t.Parallel()
	at := startGateway(t, "")
	c := dial(t, at)
	c.telemetry(consumerOf("g", "orders", v2.ClientType_SIMPLE_CONSUMER))
	silent, err := net.Dial("tcp", at.grpc)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	answered := make(chan *v2.Status, 1)
	go func() {
		ctx, cancel := context.WithTimeout(c.ctx, patience)
		defer cancel()
		status, _, _ := receiveFrom(ctx, c, receiveRequest("g", "orders"))
		answered <- status
	}()
	time.Sleep(200 * time.Millisecond) // the call is on its way by then, or is refused, which is as good
	began := time.Now()
	at.stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
	select {
	case status := <-answered:
		if status.GetCode() != v2.Code_MESSAGE_NOT_FOUND {
			t.Errorf("who waited hears %v", status)
		}
	case <-time.After(patience):
		t.Error("who waited hears nothing")
	}
}

func TestAnotherConfigurationTakesTheConnectionsOver(t *testing.T) {
	t.Parallel()
	at := startGateway(t, "")
	c := dial(t, at)
	c.send(message("orders", "before"))
	at.reconfigure(withKeys)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // until the old server has let its connections go
		answer, err := c.SendMessage(c.ctx, &v2.SendMessageRequest{Messages: []*v2.Message{message("orders", "after")}})
		if err == nil && answer.GetStatus().GetCode() == v2.Code_UNAUTHORIZED {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("without a key: %v, %v", answer.GetStatus(), err)
		}
	}
	known := dial(t, at, signed("c", "scada", "secret", "%x")...)
	if got := known.receive(1, receiveRequest("scada", "orders")); body(got[0]) != "before" {
		t.Errorf("got %v", got)
	}
}

// Many consumers that wait, each on a connection of its own: what one costs, and how soon one hears of a message.
func TestManyConsumersWait(t *testing.T) {
	many := 100
	if os.Getenv("SLUICE_LONG") == "1" {
		many = 1000
	}
	at := startGateway(t, "")
	c := dial(t, at)
	c.send(message("orders", "warm"))
	c.ack("g", "orders", c.receive(1, receiveRequest("g", "orders"))...)
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before, goroutines := memory(), runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(c.ctx, 2*patience)
	defer cancel()
	got := make(chan time.Time, many)
	var waiting sync.WaitGroup
	for i := range many {
		conn, err := grpc.NewClient(at.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		waiting.Go(func() {
			client := v2.NewMessagingServiceClient(conn)
			for ctx.Err() == nil {
				_, some, err := receiveFrom(ctx, client, receiveRequest(fmt.Sprint("g", i%10), "orders"))
				if err == nil && len(some) > 0 {
					got <- time.Now()
					return
				}
			}
		})
	}
	// Each of the ten groups has its first message, which was sent before, within moments; then they wait.
	for range 10 {
		<-got
	}
	for end := time.Now().Add(patience); at.waiting() < many-10 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	after, more := memory(), runtime.NumGoroutine()
	t.Logf("%d consumers that wait, client and server in one process: %d KB and %.1f goroutines each", many,
		(after-before)/uint64(many)>>10, float64(more-goroutines)/float64(many))
	began := time.Now()
	c.send(message("orders", "news"))
	for i := range 10 {
		at := <-got
		if i == 0 || i == 9 {
			t.Logf("group %d has the news after %v", i+1, at.Sub(began).Round(100*time.Microsecond))
		}
		if at.Sub(began) > patience/2 {
			t.Errorf("group %d has the news after %v", i+1, at.Sub(began))
		}
	}
	cancel()
	waiting.Wait()
}

func TestOneMayNotOpenCallsWithoutEnd(t *testing.T) {
	t.Parallel()
	at := startGateway(t, "")
	conn, err := net.Dial("tcp", at.grpc)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The words of HTTP/2 and an empty SETTINGS; the server's own tell the bound (RFC 9113, section 6.5.2).
	conn.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0, 0, 0, 4, 0, 0, 0, 0, 0)) //nolint:errcheck // what comes back is looked at
	conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 256)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b[:n], []byte{0, 3, 0, 0, 1024 >> 8, 0}) {
		t.Errorf("the settings are % x", b[:n])
	}
}
