package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// stream makes a net.Conn of a foreign WebSocket client, enough of one for ping.
type stream struct {
	*websocket.Conn
	rest io.Reader
}

func (s *stream) Write(b []byte) (int, error) {
	return len(b), s.WriteMessage(websocket.BinaryMessage, b)
}

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *stream) Read(b []byte) (int, error) {
	for {
		if s.rest == nil {
			kind, next, err := s.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, fmt.Errorf("a message of type %d", kind)
			}
			s.rest = next
		}
		n, err := s.rest.Read(b)
		if err == io.EOF {
			s.rest = nil
		}
		if n > 0 || err != nil && err != io.EOF {
			return n, nil
		}
	}
}

// overTop goes through what spec has above a socket.
func overTop(t *testing.T, conn net.Conn, spec Spec, ca *authority) net.Conn {
	t.Helper()
	if spec.TLS != nil {
		conn = tls.Client(conn, &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1"})
	}
	if spec.WebSocket == nil {
		return conn
	}
	dialer := websocket.Dialer{
		NetDialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Subprotocols:   []string{"mqtt"}, HandshakeTimeout: 10 * time.Second,
	}
	client, answer, err := dialer.Dial("ws://127.0.0.1/mqtt", nil)
	if err != nil {
		t.Fatalf("%v (%v)", err, answer)
	}
	return &stream{Conn: client}
}

// connectWS gives a foreign client.
func connectWS(t *testing.T, s *served, edit func(d *websocket.Dialer, url *string, h http.Header)) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"mqtt"}, HandshakeTimeout: 10 * time.Second}
	url, header := "ws://"+s.address()+"/mqtt", http.Header{}
	if edit != nil {
		edit(&dialer, &url, header)
	}
	client, answer, err := dialer.Dial(url, header)
	if err == nil {
		t.Cleanup(func() { client.Close() })
		client.SetReadDeadline(time.Now().Add(20 * time.Second))
	}
	return client, answer, err
}

func TestBytesGoThroughAWebSocketUnchanged(t *testing.T) {
	ca := newAuthority(t, "plant")
	for _, spec := range []Spec{{WebSocket: &WebSocket{}}, {WebSocket: &WebSocket{}, TLS: serverTLS(t, newFolder(t), ca, nil)}} {
		s := serve(t, spec)
		conn := overTop(t, dial(t, s), spec, ca)
		var sent bytes.Buffer
		var writer sync.WaitGroup
		random := rand.New(rand.NewPCG(1, 2))
		var frames [][]byte
		for _, n := range []int{0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 4085, 4086, 4096, 4097, 65535, 65536, 300_000} {
			frame := make([]byte, n)
			for i := range frame {
				frame[i] = byte(random.Uint32())
			}
			frames = append(frames, frame)
			sent.Write(frame)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		writer.Go(func() {
			for _, frame := range frames {
				if _, err := conn.Write(frame); err != nil {
					t.Error(err)
				}
			}
		})
		got := make([]byte, sent.Len())
		if _, err := io.ReadFull(conn, got); err != nil {
			t.Fatal(err)
		}
		writer.Wait()
		if !bytes.Equal(got, sent.Bytes()) {
			t.Errorf("%s: what comes back differs", spec.Kind())
		}
		conn.Close()
	}
}

func TestOneWriteIsOneFrame(t *testing.T) {
	ca := newAuthority(t, "plant")
	for _, spec := range []Spec{{WebSocket: &WebSocket{}}, {WebSocket: &WebSocket{}, TLS: serverTLS(t, newFolder(t), ca, nil)}} {
		s := serve(t, spec)
		client := overTop(t, dial(t, s), spec, ca).(*stream)
		conn := <-s.conns
		for _, n := range []int{1, 125, 126, 4000, 5000, 65536, 200_000} {
			want := bytes.Repeat([]byte{byte(n)}, n)
			if _, err := conn.Write(want); err != nil {
				t.Fatal(err)
			}
			client.SetReadDeadline(time.Now().Add(10 * time.Second))
			kind, got, err := client.ReadMessage()
			if err != nil || kind != websocket.BinaryMessage || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes come as a message of type %d with %d bytes (%v)", spec.Kind(), n, kind, len(got), err)
			}
		}
		client.Close()
	}
}

func TestWhoMayOpenAWebSocket(t *testing.T) {
	protocol := func(offered ...string) func(*websocket.Dialer, *string, http.Header) {
		return func(d *websocket.Dialer, _ *string, _ http.Header) { d.Subprotocols = offered }
	}
	path := func(p string) func(*websocket.Dialer, *string, http.Header) {
		return func(_ *websocket.Dialer, url *string, _ http.Header) {
			*url = strings.TrimSuffix(*url, "/mqtt") + p
		}
	}
	origin := func(o string, host ...string) func(*websocket.Dialer, *string, http.Header) {
		return func(_ *websocket.Dialer, _ *string, h http.Header) {
			h.Set("Origin", o)
			if len(host) > 0 {
				h.Set("Host", host[0])
			}
		}
	}
	panel := WebSocket{Origins: []string{"https://panel.example:8443"}}
	for _, test := range []struct {
		name   string
		spec   WebSocket
		edit   func(*websocket.Dialer, *string, http.Header)
		status int
		spoken string
	}{
		{"mqtt", WebSocket{}, nil, 101, "mqtt"}, // [MQTT-6.0.0-4]
		{"mqtt among others", WebSocket{}, protocol("chat", "mqttv3.1", "mqtt"), 101, "mqtt"},
		{"MQTT 3.1", WebSocket{}, protocol("mqttv3.1"), 101, "mqttv3.1"},
		{"no protocol", WebSocket{}, protocol(), 400, ""}, // [MQTT-6.0.0-3]
		{"other protocol", WebSocket{}, protocol("chat"), 400, ""},
		{"root", WebSocket{}, path("/"), 101, "mqtt"},
		{"slash and query", WebSocket{}, path("/mqtt/?a=b"), 101, "mqtt"},
		{"elsewhere", WebSocket{}, path("/api"), 404, ""},
		{"own path", WebSocket{Path: "/broker"}, path("/broker"), 101, "mqtt"},
		{"not the own path", WebSocket{Path: "/broker"}, nil, 404, ""},
		{"a page somewhere", WebSocket{}, origin("https://evil.example"), 403, ""},
		{"a page with our address as its name", WebSocket{}, origin("http://evil.example:8083", "evil.example:8083"), 403, ""},
		{"a file", WebSocket{}, origin("null"), 403, ""},
		{"our own page", WebSocket{}, origin("http://127.0.0.1:8080"), 101, "mqtt"},
		{"our own page by name", WebSocket{}, origin("http://localhost:8080", "localhost:8083"), 101, "mqtt"},
		{"our own page over IPv6", WebSocket{}, origin("http://[::1]:8080", "[::1]:8083"), 101, "mqtt"},
		{"a page of another address", WebSocket{}, origin("http://192.168.1.9:8080"), 403, ""},
		{"no page at all", WebSocket{}, origin("chrome-extension://abcdef"), 403, ""},
		{"a known page", panel, origin("https://panel.example:8443"), 101, "mqtt"},
		{"its neighbour", panel, origin("https://panel.example"), 403, ""},
		{"any page", WebSocket{Origins: []string{"*"}}, origin("https://evil.example"), 101, "mqtt"},
	} {
		s := serve(t, Spec{WebSocket: &test.spec})
		client, answer, err := connectWS(t, s, test.edit)
		if answer == nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if answer.StatusCode != test.status || (err == nil) != (test.status == 101) {
			t.Errorf("%s: %d (%v), want %d", test.name, answer.StatusCode, err, test.status)
		}
		if err == nil && client.Subprotocol() != test.spoken {
			t.Errorf("%s: spoken is %q, want %q", test.name, client.Subprotocol(), test.spoken)
		}
	}
}

func TestOrdinaryRequestsAreAnswered(t *testing.T) {
	s := serve(t, Spec{WebSocket: &WebSocket{}})
	const upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: mqtt\r\n"
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                                                            "HTTP/1.1 426 ",
		"POST /mqtt HTTP/1.1\r\nHost: a\r\n" + upgrade + "\r\n":                                                        "HTTP/1.1 426 ",
		"GET /mqtt HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 8\r\n" + upgrade + "\r\n":                             "HTTP/1.1 426 ",
		"GET /mqtt HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YQ==\r\n" + upgrade + "\r\n": "HTTP/1.1 400 ",
		"GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n":                                                                 "HTTP/1.1 404 ",
		"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\r\n\r\n":                                                         "",
		"GET /mqtt HTTP/1.1\r\nA: " + strings.Repeat("x", requestMax) + "\r\n\r\n":                                     "",
	} {
		conn := dial(t, s)
		conn.Write([]byte(request))
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		got, _ := io.ReadAll(conn)
		if !strings.HasPrefix(string(got), want) || want == "" && len(got) > 0 {
			t.Errorf("%.60q\nis answered %q, want %s", request, got, want)
		}
		if err := <-s.fails; err == nil {
			t.Errorf("%.60q passes", request)
		}
	}
}

// rawWS is a client whose frames are written by hand, all masked with zeros.
func rawWS(t testing.TB, s *served, behind string) net.Conn {
	t.Helper()
	conn := dial(t, s)
	fmt.Fprintf(conn, "GET /mqtt HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n%s", behind)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var answer []byte
	for one := make([]byte, 1); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); answer = append(answer, one...) {
		if _, err := conn.Read(one); err != nil {
			t.Fatalf("%v after %q", err, answer)
		}
	}
	// The accept key is the example of RFC 6455.
	if !bytes.Contains(answer, []byte("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) {
		t.Fatalf("the answer is %q", answer)
	}
	return conn
}

func TestWhatClientsMustNotSend(t *testing.T) {
	const mask = "\x00\x00\x00\x00"
	big := func(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
	for _, test := range []struct {
		name, sent string
		code       uint16
	}{
		{"text", "\x81\x82" + mask + "hi", 1003}, // [MQTT-6.0.0-1]
		{"text in pieces", "\x01\x82" + mask, 1003},
		{"not masked", "\x82\x02hi", 1002},
		{"reserved bit", "\xc2\x82" + mask, 1002},
		{"reserved opcode", "\x83\x80" + mask, 1002},
		{"reserved control opcode", "\x8b\x80" + mask, 1002},
		{"continuation of nothing", "\x80\x80" + mask, 1002},
		{"message in a message", "\x02\x80" + mask + "\x82\x80", 1002},
		{"ping in pieces", "\x09\x80" + mask, 1002},
		{"long ping", "\x89\xfe", 1002},
		{"negative length", "\x82\xff" + big(1<<63) + mask, 1002},
		{"goodbye", "\x88\x80" + mask, 1000},
		{"goodbye with a reason", "\x88\x82" + mask + "\x03\xe9", 1000},
	} {
		s := serve(t, Spec{WebSocket: &WebSocket{}})
		conn := rawWS(t, s, "")
		conn.Write([]byte("\x82\x82" + mask + "ok" + test.sent))
		want := "\x82\x02ok\x88\x02" + string(binary.BigEndian.AppendUint16(nil, test.code))
		if got, err := io.ReadAll(conn); string(got) != want || err != nil {
			t.Errorf("%s: %q (%v), want %q", test.name, got, err, want)
		}
	}
}

func TestPacketsMaySpanFrames(t *testing.T) { // [MQTT-6.0.0-2]
	s := serve(t, Spec{WebSocket: &WebSocket{}})
	const mask = "\x01\x02\x03\x04"
	masked := func(text string) string {
		b := []byte(text)
		for i := range b {
			b[i] ^= mask[i&3]
		}
		return mask + string(b)
	}
	// One message in three frames, the first of which came along with the request, with a ping between.
	conn := rawWS(t, s, "\x02\x83"+masked("one"))
	conn.Write([]byte("\x00\x80" + masked("") + "\x89\x84" + masked("ping") + "\x80\x87" + masked("and two")))
	var got []byte
	for !bytes.HasSuffix(got, []byte("and two")) {
		part := make([]byte, 100)
		n, err := conn.Read(part)
		if err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got = append(got, part[:n]...)
	}
	if !bytes.Contains(got, []byte("\x8a\x04ping")) || !bytes.HasPrefix(got, []byte("\x82\x03one")) {
		t.Errorf("the answer is %q", got)
	}
}

// TestPingsAreAnsweredLongAfterTheLastWrite has the deadline of that write lie in the past.
func TestPingsAreAnsweredLongAfterTheLastWrite(t *testing.T) {
	s := serve(t, Spec{WebSocket: &WebSocket{}})
	client, _, err := connectWS(t, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn := <-s.conns
	conn.SetWriteDeadline(time.Now().Add(-time.Minute))
	answered := make(chan string, 1)
	client.SetPongHandler(func(text string) error { answered <- text; return errors.New("enough") })
	client.WriteControl(websocket.PingMessage, []byte("here?"), time.Now().Add(10*time.Second))
	client.ReadMessage()
	select {
	case got := <-answered:
		if got != "here?" {
			t.Errorf("got %q", got)
		}
	default:
		t.Fatal("no pong")
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("the pong has moved the deadline of writes")
	}
}

func TestAStuckWriteEndsWithItsDeadlineAndWithClose(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"deadline": func(c *Conn) { c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) },
		"close":    func(c *Conn) { c.Close() },
	} {
		s := serve(t, Spec{WebSocket: &WebSocket{}})
		if _, _, err := connectWS(t, s, nil); err != nil { // which reads nothing
			t.Fatal(err)
		}
		conn := <-s.conns
		done := make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				_, err = conn.Write(make([]byte, 1<<20))
			}
			done <- err
		}()
		time.Sleep(50 * time.Millisecond)
		end(conn)
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the write stays", name)
		}
		conn.Close()
	}
}

func TestHalfACloseLeavesTheOtherHalf(t *testing.T) {
	ca := newAuthority(t, "plant")
	for _, spec := range []Spec{{}, {TLS: serverTLS(t, newFolder(t), ca, nil)}, {WebSocket: &WebSocket{}}} {
		l, err := Listen(Spec{Address: "127.0.0.1:0", TLS: spec.TLS, WebSocket: spec.WebSocket}, nil, new(logLines).logger())
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan string, 1)
		var server sync.WaitGroup
		server.Go(func() {
			conn, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if err := conn.Handshake(t.Context()); err != nil {
				t.Error(err)
			}
			conn.Write([]byte("no"))
			if err := conn.CloseWrite(); err != nil {
				t.Error(err)
			}
			if _, err := conn.Write([]byte("more")); err == nil {
				t.Error("after CloseWrite a Write passes")
			}
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			got, _ := io.ReadAll(conn)
			heard <- string(got)
		})
		socket, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn := overTop(t, socket, spec, ca)
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		conn.Write([]byte("last words"))
		if got, _ := io.ReadAll(conn); string(got) != "no" {
			t.Errorf("%s: the client reads %q", spec.Kind(), got)
		}
		conn.Close()
		if got := <-heard; got != "last words" {
			t.Errorf("%s: the server reads %q", spec.Kind(), got)
		}
		server.Wait()
		l.Close()
	}
}

// TestIdleConnectionsAreSmall bounds what a WebSocket costs beside its socket, its goroutine included.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const count, limit = 400, 4 << 10
	l, err := Listen(Spec{Address: "127.0.0.1:0", WebSocket: &WebSocket{}}, nil, new(logLines).logger())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &served{Listener: l}
	used := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	conns := make([]*Conn, 0, count)
	clients := make([]net.Conn, 0, count)
	open := func() {
		var handshake sync.WaitGroup
		handshake.Go(func() {
			conn, err := l.Accept()
			if err == nil {
				err = conn.Handshake(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
			conn.Write([]byte("hello"))
			conns = append(conns, conn)
		})
		clients = append(clients, rawWS(t, s, ""))
		handshake.Wait()
	}
	for range 20 {
		open() // pools and the like
	}
	before := used()
	for range count - 20 {
		open()
	}
	each := int64(used()-before) / (count - 20)
	t.Logf("%d bytes of heap for a connection and its client's end", each)
	if each > limit {
		t.Errorf("a connection costs %d bytes, want at most %d", each, limit)
	}
	for i := range conns {
		conns[i].Close()
		clients[i].Close()
	}
}

func BenchmarkWebSocketEcho(b *testing.B) {
	for _, size := range []int{256, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			here, there := tcpPair(b)
			w := newWebSocket(here, nil)
			frame := appendHeader(nil, opBinary, size)
			frame[1] |= maskBit
			frame = append(frame, 1, 2, 3, 4)
			frame = append(frame, make([]byte, size)...)
			buf, back := make([]byte, size+20), make([]byte, len(frame)-4)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := there.Write(frame); err != nil {
					b.Fatal(err)
				}
				for n := 0; n < size; {
					m, err := w.Read(buf[n:])
					if err != nil {
						b.Fatal(err)
					}
					n += m
				}
				if _, err := w.Write(buf[:size]); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(there, back); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func tcpPair(t testing.TB) (here, there *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return server.(*net.TCPConn), client.(*net.TCPConn)
}
