package queue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/queue/durable"
	"sluice/store"
	"sluice/store/storetest"
)

// plant is an engine at work over a log that can be killed: from a moment on the log takes nothing more, as
// if the process were gone, and what it has taken is all that the next engine finds.
type plant struct {
	*queue.Queues
	t       testing.TB
	store   *storetest.Log
	options queue.Options
	tap     *tap
	passed  atomic.Pointer[queue.Queues]
	stop    func()
	ended   message.Position // the last in the log when it was opened again
}

// tap is a log that dies after so many messages.
type tap struct {
	durable.Log
	left atomic.Int64
	full atomic.Bool
}

func (l *tap) Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) (uint64, error) {
	if l.left.Add(-1) < 0 {
		return 0, message.ErrClosed
	}
	if l.full.Load() {
		return 0, message.ErrFull
	}
	return l.Log.Publish(ctx, m, ack, token)
}

func (l *tap) PublishUpkeep(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) (uint64, error) {
	if l.left.Add(-1) < 0 {
		return 0, message.ErrClosed
	}
	if l.full.Load() { // and its reserve is used up
		return 0, message.ErrFull
	}
	return l.Log.PublishUpkeep(ctx, m, ack, token)
}

func (l *tap) CommitOffset(group, topic string, queue int, next int64) error {
	if l.left.Load() < 0 {
		return message.ErrClosed
	}
	return l.Log.CommitOffset(group, topic, queue, next)
}

// plantOf starts an engine in a directory of the test.
func plantOf(t testing.TB, options queue.Options, change ...func(*store.Options)) *plant {
	t.Helper()
	p := &plant{t: t, options: options}
	p.store = storetest.Open(t, append(change, func(o *store.Options) {
		o.Passed = func() message.Position {
			if q := p.passed.Load(); q != nil {
				return q.Passed()
			}
			return 0
		}
	})...)
	p.start()
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *plant) start() {
	p.tap = &tap{Log: durable.Log{Store: p.store.Store}}
	p.tap.left.Store(1 << 40)
	q := queue.New(p.tap, p.options)
	p.Queues = q
	p.passed.Store(q)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := q.Run(ctx); err != nil {
			p.t.Errorf("run: %v", err)
		}
	})
	p.stop = func() { cancel(); running.Wait() }
}

// restart ends engine and log in an orderly way and starts both again.
func (p *plant) restart() {
	p.t.Helper()
	p.stop()
	p.passed.Store(nil)
	p.store.Reopen()
	p.ended, _ = p.store.Tail()
	p.start()
}

// kill lets the log take so many messages more, and none after that, when the caller has done meanwhile.
func (p *plant) kill(after int64, meanwhile func()) {
	p.t.Helper()
	p.tap.left.Store(after)
	meanwhile()
	p.tap.left.Store(0)
	p.restart()
}

// bodies gives what is in a queue, in its order.
func (p *plant) bodies(topic string, queueID int) (bodies []string) {
	p.t.Helper()
	for offset := uint64(0); ; {
		pulled, err := p.Pull(topic, queueID, offset, 256, 1<<20, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		for i := range pulled.Records {
			bodies = append(bodies, string(pulled.Records[i].Payload))
		}
		if pulled.Outcome != queue.Found && pulled.Outcome != queue.Moved {
			return bodies
		}
		offset = pulled.Next
	}
}

// messages gives the messages of a queue.
func (p *plant) messages(topic string, queueID int) (list []*queue.Message) {
	p.t.Helper()
	pulled, err := p.Pull(topic, queueID, 0, 256, 1<<20, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range pulled.Records {
		list = append(list, queue.FromRecord(&pulled.Records[i]))
	}
	return list
}

// waited runs what calls back, and gives what it was told.
func waited[T any](t testing.TB, start func(done func(T, error)) error) (T, error) {
	t.Helper()
	type outcome struct {
		value T
		err   error
	}
	heard := make(chan outcome, 1)
	if err := start(func(value T, err error) { heard <- outcome{value, err} }); err != nil {
		var none T
		return none, err
	}
	o := <-heard
	return o.value, o.err
}

func with(properties ...string) (list []message.Property) {
	for i := 0; i < len(properties); i += 2 {
		list = append(list, message.Property{Name: properties[i], Value: properties[i+1]})
	}
	return list
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}
