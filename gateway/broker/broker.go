package broker

import (
	"context"
	"sync/atomic"
	"time"

	"sluice/gateway/message"
)

// Broker publishes into one log and opens consumers and subscriptions over it. All its methods may
// be called from any goroutine.
type Broker struct {
	clock   func() time.Time
	log     Log
	router  router
	durable durable
	matched atomic.Bool
	recent  recent
}

// New makes a broker over log.
func New(log Log) *Broker {
	b := &Broker{log: log, clock: time.Now}
	b.router.init(log)
	return b
}

// StampBy lets messages without a time of their own have clock's. It must be called before anything is
// published.
func (b *Broker) StampBy(clock func() time.Time) { b.clock = clock }

// Publish takes a copy of m and returns once m has its place in the log, or, as KeepQoS0Matched says, was
// handed to those who listen; ack, which may be nil,
// hears later whether it is durable: that, and nothing earlier, is the licence to acknowledge a
// producer. An error means that m was not taken.
func (b *Broker) Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error {
	if err := complete(m, b.clock); err != nil {
		return err
	}
	if ack == nil {
		ack = nobody{}
	}
	if m.QoS == 0 && m.Device == "" && b.matched.Load() {
		if !m.Retain && !b.recent.wait(m.Topic, b.router.position()) && !b.Wanted(m.Topic) {
			b.handWithin(ctx, m)
			ack.Acknowledge(token, 0, nil)
			return nil
		}
		return b.recent.append(ctx, b.log, m, ack, token)
	}
	if m.Device != "" { // a poller goes on polling meanwhile
		if lazy, ok := b.log.(LazyLog); ok {
			return lazy.AppendLazy(ctx, m, ack, token)
		}
	}
	return b.log.Append(ctx, m, ack, token)
}

// complete fills in what the log needs to know of a message.
func complete(m *message.Message, clock func() time.Time) error {
	if err := message.CheckTopic(m.Topic); err != nil {
		return err
	}
	if m.Time == 0 {
		m.Time = clock().UnixMilli()
	}
	m.Queue = message.QueueOf(m.Topic, message.DefaultQueues)
	return nil
}

// Sequence gives the log's epoch and the device's last durable sequence number.
func (b *Broker) Sequence(device string) (epoch, last uint64, err error) {
	return b.log.Sequence(device)
}

// nobody is the Acknowledger of those who do not wait: QoS 0.
type nobody struct{}

func (nobody) Acknowledge(uint64, message.Position, error) {}

// filters is a set of topic filters of which one must match.
type filters []string

func (f filters) match(topic string) bool {
	for _, filter := range f {
		if message.Match(filter, topic) {
			return true
		}
	}
	return false
}

// scanRecords is how many records a scan reads at once: enough to make the cost of a call small,
// few enough that a reader holds on to little.
const scanRecords = 256

// readNext appends to dst up to max records from position from on that match. It waits for the first
// one, and returns where the next call goes on. Passing over what does not match ends the call too, every
// scanRecords, so that the caller's cursor can follow: then nothing is appended and the error is nil.
func readNext(ctx context.Context, log Log, from message.Position, dst []message.Record, max int, wanted filters) ([]message.Record, message.Position, error) {
	start := len(dst)
	for {
		if err := ctx.Err(); err != nil {
			return dst, from, err
		}
		records, next, err := scan(log, dst, from, min(max, scanRecords), wanted)
		if err != nil {
			return records[:start], from, err
		}
		dst = records
		if next > from {
			return dst, next, nil
		}
		tail, grown := log.Tail()
		if tail >= from {
			continue // it grew between Read and Tail
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return dst, from, ctx.Err()
		}
	}
}

// scan reads on from a position and gives what matches; of the rest it reads as little as the log
// can. It looks at no more than it may return where the log cannot tell.
func scan(log Log, dst []message.Record, from message.Position, max int, wanted filters) ([]message.Record, message.Position, error) {
	if m, can := log.(matchingLog); can {
		return m.ReadMatching(dst, from, max, wanted)
	}
	start := len(dst)
	records, err := log.Read(dst, from, max)
	if err == nil && len(records) > start {
		from = records[len(records)-1].Position + 1
		records = compact(records, start, func(r *message.Record) bool { return wanted.match(r.Topic) })
	}
	return records, from, err
}

// compact removes from records[start:] what keep does not let through.
func compact(records []message.Record, start int, keep func(*message.Record) bool) []message.Record {
	kept := start
	for i := start; i < len(records); i++ {
		if !keep(&records[i]) {
			continue
		}
		if kept != i {
			records[kept] = records[i]
		}
		kept++
	}
	clear(records[kept:]) // let go of the blocks behind them
	return records[:kept]
}
