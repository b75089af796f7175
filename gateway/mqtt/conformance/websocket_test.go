package conformance

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// webSocket is a connection whose bytes travel in WebSocket frames (RFC 6455), as a client sends them.
type webSocket struct {
	net.Conn
	in   *bufio.Reader
	rest []byte // of the frame that is being read
	each int    // bytes of a frame that is written; 0: all
}

// upgrade asks for the subprotocols and gives the answer; the connection is nil unless it was accepted.
func upgrade(t *testing.T, path string, protocols ...string) (*webSocket, *http.Response) {
	t.Helper()
	if webAddress == "" {
		t.Skip("the other broker is reached over TCP alone")
	}
	socket, err := net.Dial("tcp", webAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	socket.SetDeadline(time.Now().Add(patience))
	var offer string
	if len(protocols) > 0 {
		offer = "Sec-WebSocket-Protocol: " + strings.Join(protocols, ", ") + "\r\n"
	}
	fmt.Fprintf(socket, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", path, webAddress, offer)
	in := bufio.NewReader(socket)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	socket.SetDeadline(time.Time{})
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil, answer
	}
	return &webSocket{Conn: socket, in: in}, answer
}

func dialWeb(t *testing.T) *peer {
	t.Helper()
	socket, answer := upgrade(t, "/mqtt", "mqtt")
	if socket == nil {
		t.Fatalf("the upgrade was answered with %s", answer.Status)
	}
	return &peer{t: t, version: v5, id: "web", socket: socket, in: bufio.NewReader(socket)}
}

const (
	binaryFrame = 2
	textFrame   = 1
	closeFrame  = 8
	pingFrame   = 9
	pongFrame   = 10
)

// frame is a whole one, masked as a client's must be.
func frame(opcode int, payload []byte) []byte {
	mask := []byte{1, 2, 3, 4}
	b := []byte{0x80 | byte(opcode)}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

func (w *webSocket) Write(b []byte) (int, error) {
	var all []byte
	for rest := b; len(rest) > 0; {
		n := len(rest)
		if w.each > 0 {
			n = min(n, w.each)
		}
		all = append(all, frame(binaryFrame, rest[:n])...)
		rest = rest[n:]
	}
	_, err := w.Conn.Write(all)
	return len(b), err
}

// Read gives the bytes of binary frames; a close frame is the end.
func (w *webSocket) Read(b []byte) (int, error) {
	for len(w.rest) == 0 {
		opcode, payload, err := w.readFrame()
		if err != nil {
			return 0, err
		}
		switch opcode {
		case binaryFrame, 0:
			w.rest = payload
		case closeFrame:
			return 0, io.EOF
		case pingFrame, pongFrame:
		default:
			return 0, fmt.Errorf("a frame with opcode %d", opcode)
		}
	}
	n := copy(b, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func (w *webSocket) readFrame() (opcode int, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(w.in, head); err != nil {
		return 0, nil, err
	}
	if head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("a server's frame with a mask")
	}
	n := int(head[1])
	if width := map[int]int{126: 2, 127: 8}[n]; width > 0 {
		long := make([]byte, width)
		if _, err := io.ReadFull(w.in, long); err != nil {
			return 0, nil, err
		}
		n = 0
		for _, c := range long {
			n = n<<8 | int(c)
		}
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(w.in, payload)
	return int(head[0] & 15), payload, err
}

// [MQTT-6.0.0-4]: the server answers with "mqtt", whatever else is offered beside it.
func TestWebSocketSubprotocol(t *testing.T) {
	t.Parallel()
	for _, offer := range [][]string{{"mqtt"}, {"chat", "mqtt"}, {"mqttv3.1", "mqtt", "chat"}} {
		socket, answer := upgrade(t, "/mqtt", offer...)
		if socket == nil || answer.Header.Get("Sec-WebSocket-Protocol") != "mqtt" {
			t.Errorf("%v was answered with %s and the subprotocol %q", offer, answer.Status, answer.Header.Get("Sec-WebSocket-Protocol"))
		}
	}
	if socket, answer := upgrade(t, "/mqtt", "chat"); socket != nil && answer.Header.Get("Sec-WebSocket-Protocol") == "chat" {
		t.Error("the server agreed to speak chat")
	}
}

// [MQTT-6.0.0-2]: packets in pieces, and several in a frame. What comes back is in binary frames
// [MQTT-6.0.0-1]: webSocket.Read takes no others.
func TestWebSocketFramesAndPackets(t *testing.T) {
	t.Parallel()
	for _, each := range []int{1, 3, 0} {
		t.Run(fmt.Sprint(each), func(t *testing.T) {
			t.Parallel()
			topic := topicOf(t)
			p := dialWeb(t)
			p.socket.(*webSocket).each = each
			p.send(cat(hello{id: clientID()}.bytes(), p.subscribePacket(1, nil, want{topic, 2}),
				post{topic: topic, payload: "1", qos: 1, id: 2}.bytes(v5), post{topic: topic, payload: "2", qos: 1, id: 3}.bytes(v5), raw(0xC0)))
			if got := p.next(); got == nil || got.kind != CONNACK || got.code != 0 {
				t.Fatalf("got %v, want CONNACK", got)
			}
			p.await(SUBACK)
			p.acked(PUBACK, 2)
			p.acked(PUBACK, 3)
			p.await(PINGRESP)
			p.expect("1", "2")
			long := strings.Repeat("x", 100_000)
			p.publish(post{topic: topic, payload: long, qos: 2})
			p.expect(long)
			p.send(raw(0xE0))
			p.ends()
		})
	}
}

// [MQTT-6.0.0-1]: a text frame ends the connection; a will then goes out [MQTT-3.1.2-8].
func TestWebSocketTextFrame(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, hello{})
	watch.subscribe(want{topic, 1})
	p := dialWeb(t)
	p.send(hello{id: clientID(), will: &testament{topic: topic, payload: "gone"}}.bytes())
	p.await(CONNACK)
	if _, err := p.socket.(*webSocket).Conn.Write(frame(textFrame, raw(0xC0))); err != nil {
		t.Fatal(err)
	}
	for got := p.next(); got != nil; got = p.next() {
		if got.kind == PINGRESP {
			t.Error("a ping in a text frame was answered")
		}
	}
	watch.expect("gone")
}

// A ping of WebSocket's own is answered with its payload, and a close with a close (RFC 6455).
func TestWebSocketControlFrames(t *testing.T) {
	t.Parallel()
	p := dialWeb(t)
	p.send(hello{id: clientID()}.bytes())
	p.await(CONNACK)
	w := p.socket.(*webSocket)
	w.Conn.SetDeadline(time.Now().Add(patience))
	if _, err := w.Conn.Write(frame(pingFrame, []byte("here?"))); err != nil {
		t.Fatal(err)
	}
	if opcode, payload, err := w.readFrame(); err != nil || opcode != pongFrame || !bytes.Equal(payload, []byte("here?")) {
		t.Errorf("got opcode %d with %q, %v; want a pong", opcode, payload, err)
	}
	if _, err := w.Conn.Write(frame(closeFrame, []byte{0x03, 0xe8})); err != nil {
		t.Fatal(err)
	}
	if opcode, _, err := w.readFrame(); err == nil && opcode != closeFrame {
		t.Errorf("got opcode %d, want a close", opcode)
	}
}
