package mqtt

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/gateway/mqtt/packet"
)

// passwords is an Access that knows one user, who may do everything.
type passwords struct{ user, password string }

func (p passwords) Connect(_ context.Context, a *Attempt) Grant {
	if a.HasUser && a.User == p.user && string(a.Password) == p.password || !a.HasUser && a.Anonymous {
		return everything{}
	}
	return nil
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logLines collects what is logged.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// rig is a server without sockets: its clients come through pipes, so that it lives in a synctest
// bubble.
type rig struct {
	*Server
	log   *memoryLog
	lines *logLines
	ctx   context.Context
	stop  context.CancelFunc
	conns sync.WaitGroup
}

func newRig(t *testing.T, options Options) *rig {
	t.Helper()
	if len(options.Listen) == 0 {
		options.Listen = []string{"127.0.0.1:0"}
	}
	if options.Access == nil {
		options.Anonymous = true
	}
	r := &rig{log: newMemoryLog(), lines: new(logLines)}
	server, err := New(options, r.log, slog.New(slog.NewTextHandler(r.lines, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.Server = server
	r.ctx, r.stop = context.WithCancel(context.Background())
	t.Cleanup(func() {
		r.stop()
		r.conns.Wait()
	})
	return r
}

// dial gives the client's end of a connection that has sent nothing.
func (r *rig) dial(t *testing.T) *client {
	t.Helper()
	here, there := net.Pipe()
	c := newClient(t, here)
	r.conns.Go(func() { r.serve(r.ctx, there) })
	return c
}

// client speaks raw packets. What comes in is read all the time unless stalled, as a real client does.
type client struct {
	t      *testing.T
	socket net.Conn
	frames chan packet.Frame // closed at the end of the connection
	gate   chan struct{}     // full: nothing is read
}

func newClient(t *testing.T, socket net.Conn) *client {
	c := &client{t: t, socket: socket, frames: make(chan packet.Frame, 10_000), gate: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(c.frames)
		in := packet.NewReader(gated{c}, 10<<20)
		for {
			frame, err := in.Next()
			if err != nil {
				return
			}
			frame.Body = bytes.Clone(frame.Body)
			c.frames <- frame
		}
	}()
	t.Cleanup(func() {
		socket.Close()
		select {
		case <-c.gate: // whoever stalled the client and failed
		default:
		}
		<-done
	})
	return c
}

type gated struct{ c *client }

func (g gated) Read(b []byte) (int, error) {
	g.c.gate <- struct{}{}
	<-g.c.gate
	return g.c.socket.Read(b)
}

// connect goes through CONNECT with a clean session.
func (r *rig) connect(t *testing.T, id string, edit ...func(*packet.Connect)) *client {
	t.Helper()
	c := r.dial(t)
	c.connect(id, edit...)
	c.expect("20020000")
	return c
}

func (c *client) connect(id string, edit ...func(*packet.Connect)) {
	c.t.Helper()
	p := packet.Connect{Version: packet.V311, CleanStart: true, ClientID: []byte(id)}
	for _, e := range edit {
		e(&p)
	}
	c.send(hex.EncodeToString(p.Append(nil)))
}

// send writes packets given in hex; spaces are for the reader.
func (c *client) send(packets string) {
	c.t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(packets, " ", ""))
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(raw)
}

func (c *client) write(raw []byte) {
	c.t.Helper()
	c.socket.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.socket.Write(raw); err != nil {
		c.t.Fatalf("write: %v", err)
	}
	c.socket.SetWriteDeadline(time.Time{})
}

func (c *client) publish(qos byte, id uint16, topic, payload string) {
	c.t.Helper()
	p := packet.Publish{QoS: qos, ID: id, Topic: []byte(topic), Payload: []byte(payload)}
	c.write(p.Append(nil, packet.V311))
}

func (c *client) subscribe(filter string, qos byte) {
	c.t.Helper()
	p := packet.Subscribe{ID: 9, Filters: []packet.Filter{{Filter: []byte(filter), QoS: qos}}}
	c.write(p.Append(nil, packet.V311))
	want := packet.Suback{ID: 9, Codes: []packet.Reason{packet.Reason(qos)}}
	c.expect(hex.EncodeToString(want.Append(nil, packet.V311)))
}

// next gives the next packet; ok is false at the end of the connection.
func (c *client) next() (f packet.Frame, ok bool) {
	c.t.Helper()
	select {
	case f, ok = <-c.frames:
		return f, ok
	case <-time.After(30 * time.Second):
		c.t.Fatal("nothing came for 30 s")
		return f, false
	}
}

func (c *client) nextPublish() packet.Publish {
	c.t.Helper()
	var p packet.Publish
	f, ok := c.next()
	if !ok || f.Type != packet.PUBLISH || p.Decode(f, packet.V311) != nil {
		c.t.Fatalf("got %v (%v), want a PUBLISH", f, ok)
	}
	return p
}

// stall stops reading until the function that it gives is called.
func (c *client) stall() (resume func()) {
	c.gate <- struct{}{}
	return func() { <-c.gate }
}

// expect compares the next packets with those given in hex.
func (c *client) expect(packets string) {
	c.t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(packets, " ", ""))
	if err != nil {
		c.t.Fatal(err)
	}
	in := packet.NewReader(bytes.NewReader(raw), 10<<20)
	for {
		want, err := in.Next()
		if err == io.EOF {
			return
		}
		got, ok := c.next()
		if !ok || got.Type != want.Type || got.Flags != want.Flags || !bytes.Equal(got.Body, want.Body) {
			c.t.Fatalf("got %v %x %x (open: %v), want %v %x %x", got.Type, got.Flags, got.Body, ok, want.Type, want.Flags, want.Body)
		}
	}
}

func (c *client) expectEnd() {
	c.t.Helper()
	if f, ok := c.next(); ok {
		c.t.Fatalf("got %v %x, want the end of the connection", f.Type, f.Body)
	}
}

// expectNothing is for a bubble in which everything has come to rest.
func (c *client) expectNothing() {
	c.t.Helper()
	select {
	case f, ok := <-c.frames:
		c.t.Fatalf("got %v %x (open: %v), want nothing", f.Type, f.Body, ok)
	default:
	}
}
