package mqtt

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"sluice/bridge"
	"sluice/bridge/uplinktest"
	"sluice/gateway/message"
)

var welcome = []byte{0x20, 2, 0, 0}

// TestNoTokenIsTrustedWithoutItsPuback plays every way in which a message could look delivered that
// is not: two messages are sent, the broker misbehaves, and both must be answered with an error.
func TestNoTokenIsTrustedWithoutItsPuback(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(first uint16) []byte // nil: close the connection
		why    string
	}{
		{"connection closed after the messages", nil, "closed"},
		{"SUBACK with the message's id", func(id uint16) []byte { return []byte{0x90, 3, byte(id >> 8), byte(id), 0} }, "without its PUBACK"},
		{"SUBACK with too many codes", func(id uint16) []byte { return []byte{0x90, 5, byte(id >> 8), byte(id), 0, 0, 0} }, "protocol"},
		{"UNSUBACK with the message's id", func(id uint16) []byte { return []byte{0xb0, 2, byte(id >> 8), byte(id)} }, "protocol"},
		{"PUBCOMP with the message's id", func(id uint16) []byte { return []byte{0x70, 2, byte(id >> 8), byte(id)} }, "protocol"},
		{"PUBREC with the message's id", func(id uint16) []byte { return []byte{0x50, 2, byte(id >> 8), byte(id)} }, "protocol"},
		{"a second CONNACK", func(uint16) []byte { return welcome }, "protocol"},
		{"half a PUBACK", func(id uint16) []byte { return []byte{0x40, 2, byte(id >> 8)} }, "closed"},
		{"a PUBACK that is too long", func(id uint16) []byte { return []byte{0x40, 3, byte(id >> 8), byte(id), 0} }, "protocol"},
		{"a length that never ends", func(uint16) []byte { return []byte{0x40, 0xff, 0xff, 0xff, 0xff, 1} }, "protocol"},
		{"a message of 200 MB", func(uint16) []byte { return []byte{0x30, 0xff, 0xff, 0xff, 0x60} }, "protocol"},
		{"a PUBACK for another id, then the end", func(id uint16) []byte { return []byte{0x40, 2, byte((id + 9) >> 8), byte(id + 9)} }, "closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := uplinktest.Script(t, func(conn net.Conn, in *bufio.Reader) {
				conn.Write(welcome)
				p, err := packets.ReadPacket(in)
				if err == nil {
					_, err = packets.ReadPacket(in)
				}
				if err != nil {
					return
				}
				if c.answer != nil {
					conn.Write(c.answer(p.Details().MessageID))
					// An error of the protocol must end the link, not our going away.
					if c.why != "closed" {
						io.Copy(io.Discard, in)
					}
				}
			})
			l := uplinktest.Connect(t, uplink(t, address, nil))
			answers := make(chan error, 4)
			for range 2 {
				r := message.Record{Message: message.Message{Payload: []byte("x")}}
				if err := l.Send(t.Context(), &bridge.Outgoing{Topic: "a", Payload: r.Payload, QoS: 1, Record: &r}, func(err error) { answers <- err }); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				select {
				case err := <-answers:
					if err == nil {
						t.Error("a message counts as delivered without its PUBACK")
					}
				case <-time.After(10 * time.Second):
					t.Fatal("a message was never answered")
				}
			}
			if err := l.Err(); err == nil || !strings.Contains(err.Error(), c.why) && (c.why != "closed" || !strings.Contains(err.Error(), "reset")) {
				t.Errorf("the link was lost because of %v, want something about %q", err, c.why)
			}
			l.Close()
			if len(answers) != 0 {
				t.Error("a message was answered twice")
			}
		})
	}
}

// TestPahoCompletesTokensWithoutPuback shows that the book of PUBACKs is not idle: this is what a
// bare paho token says in the worst of the cases above. When paho changes, inbound can be simpler.
func TestPahoCompletesTokensWithoutPuback(t *testing.T) {
	address := uplinktest.Script(t, func(conn net.Conn, in *bufio.Reader) {
		conn.Write(welcome)
		if p, err := packets.ReadPacket(in); err == nil {
			id := p.Details().MessageID
			conn.Write([]byte{0x90, 3, byte(id >> 8), byte(id), 0})
			io.Copy(io.Discard, in)
		}
	})
	u := uplink(t, address, nil)
	l := uplinktest.Connect(t, u).(*link)
	l.sending.Lock()
	token := l.client.Publish("a", 1, false, []byte("x"))
	l.sending.Unlock()
	if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Skipf("paho no longer does this: %v", token.Error())
	}
	if l.inbound.takeAck(1) {
		t.Error("a PUBACK is on the book that never came")
	}
}

func TestKeepAliveFindsASilentBroker(t *testing.T) {
	address := uplinktest.Script(t, func(conn net.Conn, in *bufio.Reader) {
		conn.Write(welcome)
		io.Copy(io.Discard, in) // takes pings and answers none
	})
	l := uplinktest.Connect(t, uplink(t, address, func(o *Options) { o.KeepAlive = time.Second }))
	answered := make(chan error, 1)
	r := message.Record{Message: message.Message{Payload: []byte("x")}}
	if err := l.Send(t.Context(), &bridge.Outgoing{Topic: "a", Payload: r.Payload, QoS: 1, Record: &r}, func(err error) { answered <- err }); err != nil {
		t.Fatal(err)
	}
	select {
	case <-l.Lost():
	case <-time.After(20 * time.Second):
		t.Fatal("the keep-alive has not noticed")
	}
	if err := <-answered; err == nil {
		t.Error("the message counts as delivered")
	}
	if err := l.Err(); !strings.Contains(err.Error(), "pingresp") {
		t.Errorf("the link was lost because of %v", err)
	}
}

// FuzzInbound: whatever the cloud sends, what comes out is either an error or whole packets that
// paho can read, byte for byte those that went in.
func FuzzInbound(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0x40, 2, 0, 1, 0xd0, 0})
	f.Add([]byte{0x20, 2, 0, 0, 0x90, 3, 0, 1, 0x80})
	f.Add([]byte{0x20, 2, 0, 0, 0x32, 7, 0, 1, 'a', 0, 9, 'h', 'i'})
	f.Add([]byte{0x20, 2, 0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, wire []byte) {
		out, err := io.ReadAll(newInbound(bytes.NewReader(wire)))
		if !bytes.HasPrefix(wire, out) {
			t.Fatalf("%x became %x", wire, out)
		}
		if err == nil && len(out) != len(wire) {
			t.Errorf("%x was cut to %x without an error", wire, out)
		}
		// Paho must get through it without a panic.
		in := newInbound(bytes.NewReader(wire))
		for {
			if _, err := packets.ReadPacket(in); err != nil {
				break
			}
		}
		if err != nil && !errors.Is(err, errProtocol) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%x gives the error %v", wire, err)
		}
	})
}
