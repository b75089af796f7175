package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// meeting is when a message came, and how.
type meeting struct {
	after time.Duration
	as    map[string]any
}

// diary notes every meeting with a message; messages are told apart by body.
type diary struct {
	mu   sync.Mutex // guards what follows
	seen map[string][]meeting
	last time.Time
}

func newDiary() *diary { return &diary{seen: map[string][]meeting{}, last: time.Now()} }

// note counts the meetings with the message so far, this one included.
func (d *diary) note(m *primitive.MessageExt) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	body := string(m.Body)
	d.seen[body] = append(d.seen[body], meeting{time.Since(d.last), wherever(m)})
	return len(d.seen[body])
}

func (d *diary) wait(body string, many int, most time.Duration) bool {
	for deadline := time.Now().Add(most); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		d.mu.Lock()
		got := len(d.seen[body])
		d.mu.Unlock()
		if got >= many {
			return true
		}
	}
	return false
}

// punctual says whether something came when it should: not before, and not much later.
func punctual(took, want time.Duration) string {
	switch {
	case took < want-100*time.Millisecond:
		return fmt.Sprintf("early: after %v, not %v", took, want)
	case took > want+3*time.Second:
		return fmt.Sprintf("late: after %v, not %v", took, want)
	}
	return "in time"
}

// introduce makes the retry topic of a group before its consumers start. They would else find it with their
// next look at the routes, half a minute later.
func (p *play) introduce(group string) {
	p.create(p.admin(), p.broker(), "%RETRY%"+group, 1)
}

// retryLater consumes a message at the third try, of which the client chooses the delay, and another at the
// second, for which the broker does.
func retryLater(p *play) {
	topic := p.topic(p.own("topic"), 2)
	group := p.own("consumers")
	p.introduce(group)
	d := newDiary()
	p.push(group, topic, everything, func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			many := d.note(m)
			if string(m.Body) == "soon" && many < 3 {
				if how, ok := primitive.GetConcurrentlyCtx(ctx); ok {
					how.DelayLevelWhenNextConsume = many
				}
				return consumer.ConsumeRetryLater, nil
			}
			if string(m.Body) == "as usual" && many < 2 {
				return consumer.ConsumeRetryLater, nil
			}
		}
		return consumer.ConsumeSuccess, nil
	})
	c := p.producer()
	for _, body := range []string{"soon", "as usual", "at once"} {
		m := primitive.NewMessage(topic, []byte(body)).WithTag("t").WithKeys([]string{"k"})
		m.WithProperty("own", "kept")
		r, err := c.SendSync(background, m)
		p.must(err, "send")
		p.outcome(body, r, nil)
	}
	d.wait("at once", 1, patience)
	d.wait("soon", 3, patience)
	d.wait("as usual", 2, patience)
	time.Sleep(quiet)
	d.mu.Lock()
	defer d.mu.Unlock()
	for body, waits := range map[string][]time.Duration{"soon": {0, time.Second, 5 * time.Second}, "as usual": {0, 10 * time.Second}, "at once": {0}} {
		p.saw(body+": tries", len(d.seen[body]))
		for i, try := range d.seen[body] {
			p.saw(fmt.Sprintf("%s: try %d", body, i), try.as)
			if i > 0 && i < len(waits) {
				p.saw(fmt.Sprintf("%s: wait for try %d", body, i), punctual(try.after-d.seen[body][i-1].after, waits[i]))
			}
		}
	}
}

// deadLetters refuses a message until the broker gives up, and reads where it went.
func deadLetters(p *play) {
	topic := p.topic(p.own("topic"), 1)
	group := p.own("consumers")
	p.introduce(group)
	d := newDiary()
	p.push(group, topic, everything, func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			d.note(m)
		}
		if how, ok := primitive.GetConcurrentlyCtx(ctx); ok {
			how.DelayLevelWhenNextConsume = 1
		}
		return consumer.ConsumeRetryLater, nil
	}, consumer.WithMaxReconsumeTimes(2))
	m := primitive.NewMessage(topic, []byte("poison")).WithTag("t").WithKeys([]string{"k"})
	m.WithProperty("own", "kept")
	r, err := p.producer().SendSync(background, m)
	p.must(err, "send")
	p.outcome("poison", r, nil)
	d.wait("poison", 3, patience)
	p.readDeadLetters(group)
	d.mu.Lock()
	defer d.mu.Unlock()
	p.saw("tries", len(d.seen["poison"]))
}

func (p *play) readDeadLetters(group string) {
	dead := "%DLQ%" + group
	places := p.route(p.admin(), dead)
	p.saw("queues of dead letters", len(places))
	reader := p.puller(p.own("readers"), dead, everything)
	for _, m := range p.at(reader, places[0], 0, 1) {
		p.saw("dead letter", described(m))
	}
}

// orderlyDeadLetters is the same in order: the client counts and says when it gives up.
func orderlyDeadLetters(p *play) {
	topic := p.topic(p.own("topic"), 1)
	group := p.own("consumers")
	p.introduce(group)
	d := newDiary()
	p.push(group, topic, everything, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			d.note(m)
			if string(m.Body) == "poison" {
				return consumer.SuspendCurrentQueueAMoment, nil
			}
		}
		return consumer.ConsumeSuccess, nil
	}, consumer.WithConsumerOrder(true), consumer.WithMaxReconsumeTimes(2))
	c := p.producer()
	for _, body := range []string{"before", "poison", "after"} {
		r, err := c.SendSync(background, primitive.NewMessage(topic, []byte(body)))
		p.must(err, "send")
		p.outcome(body, r, nil)
	}
	d.wait("after", 1, patience)
	p.readDeadLetters(group)
	d.mu.Lock()
	defer d.mu.Unlock()
	p.saw("tries", map[string]int{"before": len(d.seen["before"]), "poison": len(d.seen["poison"]), "after": len(d.seen["after"])})
}

// sendDelayed sends with delay levels. A level above the highest is the highest, and nobody waits for that.
func sendDelayed(p *play) {
	topic := p.topic(p.own("topic"), 2)
	d := newDiary()
	p.push(p.own("consumers"), topic, everything, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			d.note(m)
		}
		return consumer.ConsumeSuccess, nil
	})
	c := p.producer()
	waits := map[int]time.Duration{0: 0, 1: time.Second, 2: 5 * time.Second, 3: 10 * time.Second}
	sent := map[int]time.Duration{}
	for _, level := range []int{0, 1, 2, 3, 99} {
		m := primitive.NewMessage(topic, fmt.Appendf(nil, "level %d", level)).WithDelayTimeLevel(level).WithTag("t").WithKeys([]string{"k"})
		sent[level] = time.Since(d.last)
		r, err := c.SendSync(background, m)
		answer := p.outcome(string(m.Body), r, err)
		delete(answer, "offset") // others delay as well
		p.saw("sent: "+string(m.Body), answer)
	}
	for level, want := range waits {
		body := fmt.Sprint("level ", level)
		if !d.wait(body, 1, patience) {
			p.saw(body, "did not come")
			continue
		}
		d.mu.Lock()
		p.saw(body, d.seen[body][0].as)
		p.saw("when: "+body, punctual(d.seen[body][0].after-sent[level], want))
		d.mu.Unlock()
	}
	time.Sleep(quiet)
	d.mu.Lock()
	defer d.mu.Unlock()
	p.saw("came", len(d.seen))
}
