package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/bridge"
)

// TestRefusalsAreToldFromABrokenLine goes through what a broker may say to a record.
func TestRefusalsAreToldFromABrokenLine(t *testing.T) {
	for _, c := range []struct {
		code *kerr.Error
		// refused: the link lives on
		refused, retry bool
		want           string
	}{
		{kerr.MessageTooLarge, true, false, "message.max.bytes"},
		{kerr.RecordListTooLarge, true, false, "segment.bytes"},
		{kerr.InvalidRecord, true, false, "not valid for the topic a"},
		{kerr.InvalidTimestamp, true, true, "clock"},
		{kerr.PolicyViolation, true, false, "policy"},
		{kerr.CorruptMessage, true, true, "damaged"},
		{kerr.InvalidTopicException, true, false, "a is no name"},
		{kerr.TopicAuthorizationFailed, true, true, "right WRITE"},
		{kerr.UnknownTopicOrPartition, true, true, "create_topics"},
		{kerr.UnknownServerError, true, true, "UNKNOWN_SERVER_ERROR"},
		{kerr.ClusterAuthorizationFailed, false, false, "IDEMPOTENT_WRITE"},
		{kerr.OutOfOrderSequenceNumber, false, false, "lost track"},
		{kerr.UnknownProducerID, false, false, "forgotten"},
		{kerr.InvalidProducerEpoch, false, false, "forgotten"},
		{kerr.ProducerFenced, false, false, "another"},
		{kerr.UnsupportedCompressionType, false, false, "see compression"},
	} {
		t.Run(c.code.Message, func(t *testing.T) {
			cluster := startCluster(t)
			l := connect(t, uplink(t, cluster.address, nil))
			if err := post(t, l, outgoing(0, "a", "k", text(0))); err != nil {
				t.Fatal(err)
			}
			fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "a", Err: c.code, Count: -1})
			err := post(t, l, outgoing(1, "a", "k", text(1)))
			fault.Remove()
			refused, ok := errors.AsType[*bridge.RefusedError](err)
			if ok != c.refused || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("answered with %v, want a refusal %t that says %q", err, c.refused, c.want)
			}
			if !c.refused {
				<-l.Lost()
				return
			}
			if refused.Retry != c.retry {
				t.Errorf("%v: Retry is %t, want %t", err, refused.Retry, c.retry)
			}
			err = bridge.ErrHeld
			for errors.Is(err, bridge.ErrHeld) { // what comes before the link has seen who waits behind the refused is kept back too
				err = post(t, l, outgoing(1, "a", "k", text(1)))
			}
			if err != nil {
				t.Errorf("offered again: %v", err)
			}
			if got, want := fmt.Sprint(payloads(read(t, cluster.listener.address, "a"))), "[message 0 message 1]"; got != want {
				t.Errorf("the cluster has %s, want %s", got, want)
			}
		})
	}
}

func TestTooFewReplicasEndTheLinkWithTheReason(t *testing.T) {
	c := startCluster(t)
	l := connect(t, uplink(t, c.address, func(o *Options) { o.AckTimeout = time.Second }))
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "a", Err: kerr.NotEnoughReplicas, Count: -1})
	if err := post(t, l, outgoing(0, "a", "k", text(0))); err == nil || !strings.Contains(err.Error(), "no acknowledgement within") {
		t.Errorf("answered with %v", err)
	}
}

func TestAnUnknownTopicDoesNotStopOthers(t *testing.T) {
	c := startCluster(t)
	l := connect(t, uplink(t, c.address, nil))
	refused, ok := errors.AsType[*bridge.RefusedError](post(t, l, outgoing(0, "nowhere", "k", text(0))))
	if !ok || !refused.Retry || !strings.Contains(refused.Reason, "create_topics") {
		t.Errorf("answered with %v", refused)
	}
	if err := post(t, l, outgoing(1, "a", "k", text(1))); err != nil {
		t.Error(err)
	}
}

func TestTopicsAreCreatedIfWished(t *testing.T) {
	c := startCluster(t, kfake.AllowAutoTopicCreation())
	l := connect(t, uplink(t, c.address, func(o *Options) { o.CreateTopics = true }))
	if err := post(t, l, outgoing(0, "new", "k", text(0))); err != nil {
		t.Error(err)
	}
}

// TestTheOneRecordIsFound: a batch is refused for one record, and only that one is.
func TestTheOneRecordIsFound(t *testing.T) {
	c := startCluster(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}))
	l := connect(t, uplink(t, c.address, func(o *Options) {
		o.Compression, o.Linger = "none", 50*time.Millisecond
	}))
	if err := post(t, l, outgoing(0, topic, "warm", text(0))); err != nil {
		t.Fatal(err)
	}
	const n, bad = 64, 37
	got := make([]error, n)
	var answered sync.WaitGroup
	for i := range n {
		payload := text(i)
		if i == bad {
			payload = make([]byte, 30_000)
		}
		answered.Add(1)
		err := l.Send(t.Context(), outgoing(i, topic, fmt.Sprint("key ", i%3), payload), func(err error) {
			got[i] = err
			answered.Done()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	answered.Wait()
	arrived := make(map[string]int)
	for _, text := range payloads(read(t, c.listener.address, topic)) {
		arrived[text]++
	}
	for i, err := range got {
		_, refused := errors.AsType[*bridge.RefusedError](err)
		want := 1
		switch {
		case i == bad:
			want = 0
			if !refused {
				t.Errorf("the large message was answered with %v", err)
			}
		case i > bad && i%3 == bad%3:
			want = 0
			if !errors.Is(err, bridge.ErrHeld) {
				t.Errorf("message %d behind it was answered with %v", i, err)
			}
		case err != nil:
			t.Errorf("message %d was answered with %v", i, err)
		}
		if i > 0 && arrived[string(text(i))] != want {
			t.Errorf("message %d arrived %d times, want %d", i, arrived[string(text(i))], want)
		}
	}
}

func TestAMessageThatFitsNoBatchIsRefusedAtOnce(t *testing.T) {
	c := startCluster(t)
	l := connect(t, uplink(t, c.address, func(o *Options) { o.MaxBatch = smallestBatch }))
	err := l.Send(t.Context(), outgoing(0, "a", "k", make([]byte, smallestBatch)), func(error) { t.Error("it was taken") })
	if refused, ok := errors.AsType[*bridge.RefusedError](err); !ok || refused.Retry || !strings.Contains(refused.Reason, "max_batch") {
		t.Errorf("answered with %v", err)
	}
	if err := post(t, l, outgoing(1, "a", "k", make([]byte, smallestBatch-batchOverhead-recordOverhead-200))); err != nil {
		t.Errorf("one that just fits: %v", err)
	}
}

// offerer is what a Forwarder does with one lane: it offers again, in order, from the first message
// that was not taken.
type offerer struct {
	key  string
	next int // the first that is not taken
}

// round offers up to window messages and returns once all are answered.
func (o *offerer) round(ctx context.Context, l bridge.Link, topic string, total, window int) error {
	attempt, stop := context.WithCancel(ctx)
	defer stop()
	n := min(window, total-o.next)
	got := make([]error, n)
	var answered sync.WaitGroup
	for i := range n {
		answered.Add(1)
		at := o.next + i
		err := l.Send(attempt, outgoing(at, topic, o.key, fmt.Appendf(nil, "%s/%d", o.key, at)), func(err error) {
			got[i] = err
			if err != nil {
				stop()
			}
			answered.Done()
		})
		if err != nil {
			answered.Done()
			got = got[:i]
			break
		}
	}
	answered.Wait()
	failed := false
	for i, err := range got {
		_, refused := errors.AsType[*bridge.RefusedError](err)
		switch {
		case err == nil && failed:
			return fmt.Errorf("%s: message %d was taken although one before it was not", o.key, o.next)
		case err == nil:
			o.next++
		case refused || errors.Is(err, bridge.ErrHeld):
			failed = true
		default:
			return fmt.Errorf("%s: message %d: %w", o.key, o.next+i, err)
		}
	}
	return nil
}

// TestNothingOvertakesWhatIsRefused: brokers refuse at random, and every key still arrives in order
// and once.
func TestNothingOvertakesWhatIsRefused(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := startCluster(t, kfake.NumBrokers(1))
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	chance := func(in int) bool {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(in) == 0
	}
	for partition, code := range []*kerr.Error{kerr.InvalidRecord, kerr.TopicAuthorizationFailed, kerr.MessageTooLarge, kerr.UnknownServerError} {
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Partitions: []int32{int32(partition)}, Err: code, Count: -1,
			When: func(kmsg.Request) bool { return chance(4) }})
	}
	l := connect(t, uplink(t, c.address, func(o *Options) { o.Linger = time.Millisecond }))
	const total, keys = 400, 6
	var senders sync.WaitGroup
	for k := range keys {
		senders.Go(func() {
			o := &offerer{key: fmt.Sprint("key ", k)}
			for o.next < total {
				if err := o.round(t.Context(), l, topic, total, 1+k*10); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
	next := make(map[string]int)
	for _, r := range read(t, c.listener.address, topic) {
		key := string(r.Key)
		if got, want := string(r.Value), fmt.Sprintf("%s/%d", key, next[key]); got != want {
			t.Fatalf("%s is in the place of %s", got, want)
		}
		next[key]++
	}
	for k := range keys {
		if got := next[fmt.Sprint("key ", k)]; got != total {
			t.Errorf("key %d has %d records, want %d", k, got, total)
		}
	}
}

// TestFranzGoPartitionsFailTogether shows what link.deliver stands on: an answer to a batch is that of
// every record in it.
func TestFranzGoPartitionsFailTogether(t *testing.T) {
	c := startCluster(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.listener.address), kgo.ManualFlushing(), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "a", Err: kerr.InvalidRecord})
	var failed sync.WaitGroup
	for i := range 10 {
		failed.Add(1)
		client.Produce(t.Context(), &kgo.Record{Topic: "a", Key: []byte("k"), Value: text(i)}, func(_ *kgo.Record, err error) {
			if !errors.Is(err, kerr.InvalidRecord) {
				t.Errorf("record %d: %v", i, err)
			}
			failed.Done()
		})
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	failed.Wait()
}
