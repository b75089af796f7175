package mqtt

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway/mqtt/packet"
)

// startServer runs a server on a free port of loopback.
func startServer(t testing.TB, options Options, backend Backend) *Server {
	t.Helper()
	if len(options.Listen)+len(options.Listeners) == 0 {
		options.Listen = []string{"127.0.0.1:0"}
	}
	server, err := New(options, backend, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run gave %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not end")
		}
		if got := server.Stats().Connections; got != 0 {
			t.Errorf("%d connections are open after Run", got)
		}
	})
	return server
}

func dialServer(t *testing.T, server *Server) *client {
	t.Helper()
	socket, err := net.Dial("tcp", server.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, socket)
}

func TestAPortInUseIsNamed(t *testing.T) {
	first := startServer(t, Options{}, newMemoryLog())
	taken := first.Addrs()[0].String()
	second, err := New(Options{Listen: []string{"127.0.0.1:0", taken}}, newMemoryLog(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	err = second.Listen()
	if err == nil || !strings.Contains(err.Error(), taken) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v", err)
	}
	if got := second.Addrs(); len(got) != 0 {
		t.Errorf("%v stay bound", got)
	}
	if err := second.Run(t.Context()); err == nil {
		t.Error("Run without an address gives no error")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, options := range []Options{
		{},
		{Listen: []string{":0"}, Window: 65536},
		{Listen: []string{":0"}, MaxPacket: -1},
		{Listen: []string{":0"}, MaxPacket: 257 << 20},
		{Listen: []string{":0"}, MaxConnections: -1},
		{Listen: []string{":0"}, MaxLevels: 65536},
		{Listen: []string{":0"}, MaxSubscriptions: -5},
	} {
		if _, err := New(options, newMemoryLog(), slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%+v passes", options)
		}
	}
}

func TestTwoServersInOneProcess(t *testing.T) {
	logs := []*memoryLog{newMemoryLog(), newMemoryLog()}
	for i, log := range logs {
		server := startServer(t, Options{Listen: []string{"127.0.0.1:0", "127.0.0.1:0"}, Anonymous: true}, log)
		if len(server.Addrs()) != 2 {
			t.Fatalf("bound %v, want two addresses", server.Addrs())
		}
		c := dialServer(t, server)
		c.connect("a")
		c.expect("20020000")
		c.publish(1, 1, "t", string('0'+rune(i)))
		c.expect("40020001")
	}
	for i, log := range logs {
		if got := log.messages(); len(got) != 1 || string(got[0].Payload) != string('0'+rune(i)) {
			t.Errorf("log %d has %v", i, got)
		}
	}
}

func TestMoreConnectionsThanAllowedAreClosed(t *testing.T) {
	server := startServer(t, Options{Anonymous: true, MaxConnections: 2}, newMemoryLog())
	first, second := dialServer(t, server), dialServer(t, server)
	for i, c := range []*client{first, second} {
		c.connect(string('a' + rune(i)))
		c.expect("20020000")
	}
	third := dialServer(t, server)
	third.expectEnd()
	if got := server.Stats().Connections; got != 2 {
		t.Errorf("%d connections, want 2", got)
	}
	first.send("e000")
	first.expectEnd()
	for range 100 { // until the server has counted it out
		fourth := dialServer(t, server)
		fourth.connect("d")
		if _, ok := fourth.next(); ok {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("nobody gets in after one has left")
}

// TestARefusedClientReadsWhy sends so much behind CONNECT that closing at once would reset the
// connection before the answer is read.
func TestARefusedClientReadsWhy(t *testing.T) {
	server := startServer(t, Options{}, newMemoryLog())
	c := dialServer(t, server)
	resume := c.stall()
	p := packet.Connect{Version: packet.V311, CleanStart: true, ClientID: []byte("a")}
	c.write(append(p.Append(nil), make([]byte, 50_000)...))
	time.Sleep(100 * time.Millisecond)
	resume()
	c.expect("20020005")
	c.expectEnd()
}

func TestStoppingEndsEveryConnection(t *testing.T) {
	log := newMemoryLog()
	log.hold()
	server := startServer(t, Options{Anonymous: true}, log) // its cleanup stops it first
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			c := dialServer(t, server)
			if i%2 == 0 {
				return // never says a word
			}
			c.connect(string('a' + rune(i)))
			c.expect("20020000")
			c.subscribe("#", 1)
			c.publish(1, 1, "t", "x")
		})
	}
	all.Wait()
}
