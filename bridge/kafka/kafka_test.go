package kafka

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
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

// read gives all that is in a topic, each partition in its order.
func read(t testing.TB, address, topic string) (records []*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	left := stored(ctx, t, consumer, topic)
	for left > 0 {
		fetches := consumer.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d records of %s cannot be read", left, topic)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			records = append(records, r)
			left--
		})
	}
	return records
}

// stored counts what is in a topic.
func stored(ctx context.Context, t testing.TB, client *kgo.Client, topic string) (n int64) {
	t.Helper()
	where := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = kmsg.StringPtr(topic)
	where.Topics = append(where.Topics, asked)
	known, err := where.RequestWith(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	ends := kmsg.NewPtrListOffsetsRequest()
	ends.ReplicaID = -1
	list := kmsg.NewListOffsetsRequestTopic()
	list.Topic = topic
	for _, p := range known.Topics[0].Partitions {
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Partition, partition.Timestamp = p.Partition, -1
		list.Partitions = append(list.Partitions, partition)
	}
	ends.Topics = append(ends.Topics, list)
	for _, shard := range client.RequestSharded(ctx, ends) {
		if shard.Err != nil {
			t.Fatal(shard.Err)
		}
		for _, p := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions {
			if p.ErrorCode != 0 {
				t.Fatalf("the end of %s/%d: %v", topic, p.Partition, kerr.ErrorForCode(p.ErrorCode))
			}
			n += p.Offset
		}
	}
	return n
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
			Uplink: uplink(t, c.address, func(o *Options) {
				if strings.Contains(t.Name(), "Never") || strings.Contains(t.Name(), "Loss") {
					o.AckTimeout = 500 * time.Millisecond // so long does each cut take
				}
			}),
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

// outgoing is one message of a key.
func outgoing(n int, topic, key string, payload []byte) *bridge.Outgoing {
	r := &message.Record{Position: message.Position(n), Message: message.Message{Topic: key, Payload: payload}}
	return &bridge.Outgoing{Topic: topic, Key: key, Origin: "line-3-1", Payload: payload, QoS: 1, Record: r}
}

func text(n int) []byte { return fmt.Appendf(nil, "message %d", n) }

// post sends one message and waits for its answer.
func post(t *testing.T, l bridge.Link, o *bridge.Outgoing) error {
	t.Helper()
	answers := make(chan error, 1)
	if err := l.Send(t.Context(), o, func(err error) { answers <- err }); err != nil {
		return err
	}
	select {
	case err := <-answers:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		return nil
	}
}

func TestRecordsCarryKeyPropertiesAndID(t *testing.T) {
	for _, compression := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			c := startCluster(t)
			l := connect(t, uplink(t, c.address, func(o *Options) { o.Compression, o.Key = compression, keyDevice }))
			o := outgoing(42, "a", "readings/line-3/press", []byte("21.5"))
			o.Record.Device = "press"
			o.Properties = []message.Property{{Name: "unit", Value: "C"}, {Name: "\x00secret", Value: "x"}}
			o.Marks = []message.Property{{Name: bridge.OriginMark, Value: "line-3"}}
			if err := post(t, l, o); err != nil {
				t.Fatal(err)
			}
			records := read(t, c.listener.address, "a")
			if len(records) != 1 {
				t.Fatalf("the cluster has %d records, want 1", len(records))
			}
			r := records[0]
			got := fmt.Sprintf("%s=%s %s", r.Key, r.Value, r.Headers)
			want := "press=21.5 [{sluice-id line-3-1-42} {sluice-topic readings/line-3/press} {unit C} {sluice-origin line-3}]"
			if got != want {
				t.Errorf("the record is\n%s, want\n%s", got, want)
			}
		})
	}
}

// TestAShortCutIsRiddenOut: what was in flight is sent again by the same producer, so that the cluster
// recognises what it has.
func TestAShortCutIsRiddenOut(t *testing.T) {
	c := startCluster(t)
	l := connect(t, uplink(t, c.address, func(o *Options) { o.AckTimeout = 20 * time.Second }))
	const n = 3000
	answers := make(chan error, n)
	for i := range n {
		if i%1000 == 500 {
			c.setUp(false)
			time.AfterFunc(200*time.Millisecond, func() { c.setUp(true) })
		}
		if err := l.Send(t.Context(), outgoing(i, topic, "k", text(i)), func(err error) { answers <- err }); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	for range n {
		if err := <-answers; err != nil {
			t.Fatalf("answered with %v", err)
		}
	}
	got := payloads(read(t, c.listener.address, topic))
	if len(got) != n {
		t.Fatalf("the cluster has %d records, want %d", len(got), n)
	}
	for i := range got {
		if got[i] != string(text(i)) {
			t.Fatalf("record %d is %q", i, got[i])
		}
	}
}

func TestAnIdleLinkNoticesItsLoss(t *testing.T) {
	c := startCluster(t)
	l := connect(t, uplink(t, c.address, func(o *Options) { o.KeepAlive, o.AckTimeout = time.Second, time.Second }))
	c.setUp(false)
	select {
	case <-l.Lost():
	case <-time.After(10 * time.Second):
		t.Fatal("the link is not lost")
	}
	if err := l.Err(); !strings.Contains(err.Error(), "nobody listens there") {
		t.Errorf("it was lost because of %q", err)
	}
}

func TestSendWaitsForRoomButNotLongerThanItsContext(t *testing.T) {
	c := startCluster(t)
	c.mute(true)
	l := connect(t, uplink(t, c.address, func(o *Options) { o.AckTimeout = time.Minute }))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var answered sync.WaitGroup
	sent := 0
	for ; ; sent++ {
		answered.Add(1)
		if err := l.Send(ctx, outgoing(sent, topic, "k", make([]byte, 100<<10)), func(error) { answered.Done() }); err != nil {
			answered.Done()
			if ctx.Err() == nil {
				t.Fatalf("message %d: %v", sent, err)
			}
			break
		}
		if sent > 100 {
			t.Fatal("10 MB fit into a link that is not answered")
		}
	}
	if sent < 5 {
		t.Errorf("only %d messages were taken", sent)
	}
	l.Close()
	answered.Wait()
}
