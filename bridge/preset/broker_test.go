package preset

import (
	"bufio"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/gateway/message"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// broker writes down every packet as it came and says yes to everything.
type broker struct {
	address string

	mu      sync.Mutex // guards what follows
	packets []string
	conn    net.Conn
	seen    chan struct{} // has one for each packet
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{address: listener.Addr().String(), seen: make(chan struct{}, 1000)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { b.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return b
}

func (b *broker) serve(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	b.mu.Lock()
	b.conn = conn
	b.mu.Unlock()
	for in := bufio.NewReader(conn); ; {
		head, body, err := readPacket(in)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.packets = append(b.packets, string(head)+string(body))
		b.mu.Unlock()
		switch head[0] >> 4 {
		case 1:
			conn.Write([]byte{0x20, 2, 0, 0})
		case 3:
			if head[0]&6 == 2 {
				id := 2 + int(binary.BigEndian.Uint16(body))
				conn.Write([]byte{0x40, 2, body[id], body[id+1]})
			}
		case 8:
			conn.Write([]byte{0x90, 3, body[0], body[1], 1})
		}
		b.seen <- struct{}{}
	}
}

func readPacket(in *bufio.Reader) (head, body []byte, err error) {
	first, err := in.ReadByte()
	if err != nil {
		return nil, nil, err
	}
	head = []byte{first}
	length := 0
	for shift := 0; ; shift += 7 {
		c, err := in.ReadByte()
		if err != nil {
			return nil, nil, err
		}
		head = append(head, c)
		length |= int(c&0x7f) << shift
		if c < 0x80 {
			break
		}
	}
	body = make([]byte, length)
	_, err = io.ReadFull(in, body)
	return head, body, err
}

// await gives the packets once there are n.
func (b *broker) await(t *testing.T, n int) []string {
	t.Helper()
	for limit := time.After(20 * time.Second); ; {
		b.mu.Lock()
		all := append([]string(nil), b.packets...)
		b.mu.Unlock()
		if len(all) >= n {
			return all
		}
		select {
		case <-b.seen:
		case <-limit:
			t.Fatalf("the broker has %d packets after 20 s, want %d: %q", len(all), n, all)
		}
	}
}

// push sends a message down with QoS 0.
func (b *broker) push(topic, payload string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body := string([]byte{byte(len(topic) >> 8), byte(len(topic))}) + topic + payload
	b.conn.Write(append([]byte{0x30, byte(len(body))}, body...))
}

// press is a reading as it is stored.
func press(seq uint64) *message.Record {
	r := &message.Record{Position: message.Position(seq), Message: message.Message{
		Topic: "readings/line-3/press", Device: "press", Seq: seq, Time: 1795345665221,
		Payload: []byte(`{"gateway":"line-3","device":"press","epoch":1,"seq":42,"ts":1795345665221,"values":{"counter":7,"temperature":21.5},"errors":{"pressure":"exception 2: illegal data address"}}`),
	}}
	r.Payload = []byte(strings.Replace(string(r.Payload), `"seq":42`, `"seq":`+message.Uint(seq).String(), 1))
	return r
}

// deliver sends one message and waits for its answer.
func deliver(t *testing.T, l bridge.Link, o *bridge.Outgoing) {
	t.Helper()
	done := make(chan error, 1)
	if err := l.Send(t.Context(), o, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// local leads a plan to the broker, without TLS.
func (p *plan) local(b *broker) {
	p.options.Address, p.options.Addresses, p.options.TLS = "tcp://"+b.address, nil, dial.TLS{}
}
