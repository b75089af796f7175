package kafka

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"sluice/bridge"
	"sluice/bridge/uplinktest"
	"sluice/gateway/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

const topic = "plants.readings.line-3.press" // of what uplinktest sends

// cluster is a simulated Kafka whose line can be cut.
type cluster struct {
	*kfake.Cluster
	address string

	mu       sync.Mutex // guards what follows
	up       bool
	muted    chan struct{} // closed when the cluster answers again
	conns    map[net.Conn]bool
	listener *gate
}

// gate is a listener that can be closed and opened again at its port.
type gate struct {
	cluster *cluster
	address string
	mu      sync.Mutex // guards what follows
	inner   net.Listener
	opened  chan struct{} // is closed when inner is there
	closed  chan struct{}
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		g.mu.Lock()
		inner, opened := g.inner, g.opened
		g.mu.Unlock()
		if inner == nil {
			select {
			case <-opened:
			case <-g.closed:
				return nil, net.ErrClosed
			}
			continue
		}
		conn, err := inner.Accept()
		if err != nil {
			continue
		}
		if g.cluster.adopt(conn) {
			return conn, nil
		}
		conn.Close()
	}
}

func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.closed:
	default:
		close(g.closed)
	}
	return g.shutLocked()
}

func (g *gate) shutLocked() error {
	if g.inner == nil {
		return nil
	}
	err := g.inner.Close()
	g.inner, g.opened = nil, make(chan struct{})
	return err
}

func (g *gate) Addr() net.Addr {
	addr, _ := net.ResolveTCPAddr("tcp", g.address)
	return addr
}

func (c *cluster) adopt(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up {
		c.conns[conn] = true
	}
	return c.up
}

// setUp cuts the line or restores it.
func (c *cluster) setUp(up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up == up {
		return
	}
	c.up = up
	g := c.listener
	g.mu.Lock()
	defer g.mu.Unlock()
	if up {
		inner, err := net.Listen("tcp", g.address)
		if err != nil {
			panic(err)
		}
		g.inner = inner
		close(g.opened)
		return
	}
	_ = g.shutLocked()
	for conn := range c.conns {
		conn.Close()
		delete(c.conns, conn)
	}
}

// mute lets the cluster take records and answer nothing.
func (c *cluster) mute(mute bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if mute == (c.muted != nil) {
		return
	}
	if !mute {
		close(c.muted)
		c.muted = nil
		return
	}
	muted := make(chan struct{})
	c.muted = muted
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		c.SleepControl(func() { <-muted })
		select {
		case <-muted:
			c.DropControl()
		default:
		}
		return nil, nil, false
	})
}

func startCluster(t *testing.T, settings ...kfake.Opt) *cluster {
	t.Helper()
	c := &cluster{up: true, conns: make(map[net.Conn]bool)}
	listen := func(network, address string) (net.Listener, error) {
		inner, err := net.Listen(network, address)
		if err != nil {
			return nil, err
		}
		c.listener = &gate{cluster: c, address: inner.Addr().String(), inner: inner,
			opened: make(chan struct{}), closed: make(chan struct{})}
		return c.listener, nil
	}
	fake, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ListenFn(listen), kfake.SeedTopics(4, topic, "a")}, settings...)...)
	if err != nil {
		t.Fatal(err)
	}
	c.Cluster = fake
	c.address = "tcp://" + c.listener.address
	t.Cleanup(func() {
		c.mute(false)
		fake.Close()
	})
	return c
}

func uplink(t *testing.T, address string, change func(*Options)) *Uplink {
	t.Helper()
	o := DefaultOptions()
	o.Address = address
	o.ConnectTimeout = 2 * time.Second
	o.AckTimeout = time.Second
	if change != nil {
		change(&o)
	}
	u, err := New(o, "line-3", quiet())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func connect(t *testing.T, u *Uplink) bridge.Link {
	t.Helper()
	l, err := u.Connect(t.Context())
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// read gives all that is in a topic, partition by partition.
func read(t testing.TB, address string, topics ...string) (records []*kgo.Record) {
	t.Helper()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		fetches := consumer.PollFetches(ctx)
		done := ctx.Err() != nil
		cancel()
		fetches.EachRecord(func(r *kgo.Record) { records = append(records, r) })
		if done {
			return records
		}
	}
}

func payloads(records []*kgo.Record) (texts []string) {
	for _, r := range records {
		texts = append(texts, string(r.Value))
	}
	return texts
}

func TestUplinkContract(t *testing.T) {
	uplinktest.Run(t, func(t *testing.T) uplinktest.Harness {
		c := startCluster(t)
		return uplinktest.Harness{
			Uplink: uplink(t, c.address, func(o *Options) { o.AckTimeout = 300 * time.Millisecond }),
			Received: func() []string {
				c.mute(false)
				c.setUp(true)
				return payloads(read(t, c.listener.address, topic))
			},
			Mute:  c.mute,
			SetUp: c.setUp,
		}
	})
}

// answer is what done was called with.
type answer struct {
	n   int
	err error
}

// outgoing is one message of a key.
func outgoing(n int, topic, key string, payload []byte) *bridge.Outgoing {
	r := &message.Record{Position: message.Position(n), Message: message.Message{Topic: key, Payload: payload}}
	return &bridge.Outgoing{Topic: topic, Key: key, Origin: "line-3-1", Payload: payload, QoS: 1, Record: r}
}

func text(n int) []byte { return fmt.Appendf(nil, "message %d", n) }
