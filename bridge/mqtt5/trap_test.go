package mqtt5

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"sluice/bridge"
	"sluice/bridge/uplinktest"
)

var welcome = []byte{0x20, 3, 0, 0, 0}

// TestNothingIsTrustedButThePuback plays every way in which a message could look delivered that is
// not: two messages are sent, the broker misbehaves, and both must be answered with an error.
func TestNothingIsTrustedButThePuback(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(first uint16) []byte // nil: close the connection
		why    string
	}{
		{"connection closed after the messages", nil, "closed"},
		{"SUBACK with the message's id", func(id uint16) []byte { return []byte{0x90, 4, byte(id >> 8), byte(id), 0, 0} }, "protocol"},
		{"SUBACK with too many codes", func(id uint16) []byte { return []byte{0x90, 5, byte(id >> 8), byte(id), 0, 0, 0} }, "protocol"},
		{"SUBACK without a code", func(id uint16) []byte { return []byte{0x90, 3, byte(id >> 8), byte(id), 0} }, "protocol"},
		{"UNSUBACK with the message's id", func(id uint16) []byte { return []byte{0xb0, 4, byte(id >> 8), byte(id), 0, 0} }, "protocol"},
		{"PUBCOMP with the message's id", func(id uint16) []byte { return []byte{0x70, 2, byte(id >> 8), byte(id)} }, "protocol"},
		{"PUBREC with the message's id", func(id uint16) []byte { return []byte{0x50, 2, byte(id >> 8), byte(id)} }, "protocol"},
		{"AUTH", func(uint16) []byte { return []byte{0xf0, 2, 0x18, 0} }, "protocol"},
		{"a second CONNACK", func(uint16) []byte { return welcome }, "protocol"},
		{"half a PUBACK", func(id uint16) []byte { return []byte{0x40, 2, byte(id >> 8)} }, "closed"},
		{"a PUBACK whose properties do not fit", func(id uint16) []byte { return []byte{0x40, 5, byte(id >> 8), byte(id), 0, 9, 0} }, "protocol"},
		{"a length that never ends", func(uint16) []byte { return []byte{0x40, 0xff, 0xff, 0xff, 0xff, 1} }, "protocol"},
		{"a message of 200 MB", func(uint16) []byte { return []byte{0x30, 0xff, 0xff, 0xff, 0x60} }, "protocol"},
		{"a message with a topic alias", func(uint16) []byte { return []byte{0x30, 6, 0, 0, 3, 0x23, 0, 1} }, "protocol"},
		{"a PUBACK for another id", func(id uint16) []byte { return []byte{0x40, 2, byte((id + 9) >> 8), byte(id + 9)} }, "protocol"},
		{"a PUBACK that says the id is in use", func(id uint16) []byte { return []byte{0x40, 4, byte(id >> 8), byte(id), 0x91, 0} }, "in use"},
		{"DISCONNECT without a word", func(uint16) []byte { return []byte{0xe0, 0} }, "ended the connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := uplinktest.Script(t, func(conn net.Conn, in *bufio.Reader) {
				conn.Write(welcome)
				var id uint16
				for sent := 0; sent < 2; { // pings do not count
					p, err := packets.ReadPacket(in)
					if err != nil {
						return
					}
					if p.Type == packets.PUBLISH {
						if sent++; sent == 1 {
							id = p.PacketID()
						}
					}
				}
				if c.answer != nil {
					conn.Write(c.answer(id))
					// An error of the protocol must end the link, not our going away.
					if c.why != "closed" {
						io.Copy(io.Discard, in)
					}
				}
			})
			s := newSender(t, uplinktest.Connect(t, uplink(t, address, nil)))
			for _, key := range []string{"a", "b"} {
				if err := s.send(t.Context(), key, "x"); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if a := s.next(); a.err == nil {
					t.Error("a message counts as delivered without its PUBACK")
				}
			}
			if err := s.link.Err(); err == nil || !strings.Contains(err.Error(), c.why) && (c.why != "closed" || !strings.Contains(err.Error(), "reset")) {
				t.Errorf("the link was lost because of %v, want something about %q", err, c.why)
			}
			s.link.Close()
			if len(s.answers) != 0 {
				t.Error("a message was answered twice")
			}
		})
	}
}

// TestAStrangeWelcomeIsNoLogin: what paho takes for a success, or does not survive.
func TestAStrangeWelcomeIsNoLogin(t *testing.T) {
	for _, c := range []struct {
		name    string
		welcome []byte
		want    string
	}{
		{"a code that is none", []byte{0x20, 3, 0, 1, 0}, "protocol"},
		{"a broker of MQTT 3.1.1 that refuses", []byte{0x20, 2, 0, 1}, "does not speak MQTT 5"},
		{"a broker of MQTT 3.1.1 that agrees", []byte{0x20, 2, 0, 0}, "protocol"},
		{"an authentication that nobody has asked for", []byte{0x20, 7, 0, 0, 4, 0x15, 0, 1, 'x'}, "authentication"},
		{"no message at all is allowed", []byte{0x20, 6, 0, 0, 3, 0x21, 0, 0}, "no message"},
		{"no packet at all is allowed", []byte{0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 0}, "no packet"},
		{"PINGRESP", []byte{0xd0, 0}, "protocol"},
		{"no MQTT", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := uplinktest.Script(t, func(conn net.Conn, in *bufio.Reader) {
				conn.Write(c.welcome)
				io.Copy(io.Discard, in)
			})
			l, err := uplink(t, address, nil).Connect(t.Context())
			if err == nil {
				l.Close()
				t.Fatal("connected")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %q, want it to say %q", err, c.want)
			}
		})
	}
}

func TestTheServersKeepAliveFindsASilentBroker(t *testing.T) {
	address := uplinktest.Script(t, func(conn net.Conn, in *bufio.Reader) {
		conn.Write([]byte{0x20, 6, 0, 0, 3, 0x13, 0, 1}) // a second, whatever we have wished for
		io.Copy(io.Discard, in)                          // takes pings and answers none
	})
	s := newSender(t, uplinktest.Connect(t, uplink(t, address, func(o *Options) { o.KeepAlive = time.Hour })))
	if err := s.send(t.Context(), "a", "x"); err != nil {
		t.Fatal(err)
	}
	if a := s.next(); a.err == nil || !strings.Contains(a.err.Error(), "does not answer any more") {
		t.Errorf("the message was answered with %v", a.err)
	}
}

func TestQoS1NeedsABrokerThatAcknowledges(t *testing.T) {
	address := uplinktest.Script(t, func(conn net.Conn, in *bufio.Reader) {
		conn.Write([]byte{0x20, 5, 0, 0, 2, 0x24, 0}) // at most QoS 0
		io.Copy(io.Discard, in)
	})
	s := newSender(t, uplinktest.Connect(t, uplink(t, address, nil)))
	err := s.send(t.Context(), "a", "x")
	if _, refused := errors.AsType[*bridge.RefusedError](err); err == nil || refused {
		t.Errorf("a message with QoS 1 gives %v, want an error that sets nothing aside", err)
	}
}

// FuzzInbound: whatever the cloud sends, what comes out is either an error or whole packets that
// paho can read, byte for byte those that went in.
func FuzzInbound(f *testing.F) {
	f.Add([]byte{0x20, 3, 0, 0, 0, 0x40, 2, 0, 1, 0xd0, 0})
	f.Add([]byte{0x20, 6, 0, 0, 3, 0x21, 0, 9, 0x90, 4, 0, 1, 0, 0x80})
	f.Add([]byte{0x20, 3, 0, 0, 0, 0x32, 13, 0, 1, 'a', 0, 9, 5, 0x26, 0, 0, 0, 0, 'h', 'i', 0x40, 4, 0, 1, 0x97, 0})
	f.Add([]byte{0x20, 3, 0, 0, 0, 0xe0, 5, 0x8e, 3, 0x1f, 0, 0})
	f.Add([]byte{0x20, 3, 0, 0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, wire []byte) {
		out, err := io.ReadAll(newInbound(bytes.NewReader(wire)))
		if !bytes.HasPrefix(wire, out) && !bytes.Contains(wire, []byte{0xe0, 0}) { // that one is completed
			t.Fatalf("%x became %x", wire, out)
		}
		if err == nil && len(out) < len(wire) {
			t.Errorf("%x was cut to %x without an error", wire, out)
		}
		// Paho must get through it without a panic, and we through what it makes of it.
		in := newInbound(bytes.NewReader(wire))
		for {
			p, err := packets.ReadPacket(in)
			if err != nil {
				break
			}
			if m, ok := p.Content.(*packets.Publish); ok {
				incoming(paho.PublishFromPacketPublish(m))
			}
		}
		var login *loginError
		if err != nil && !errors.Is(err, errProtocol) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &login) {
			t.Errorf("%x gives the error %v", wire, err)
		}
	})
}
