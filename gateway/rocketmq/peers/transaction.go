package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// deciding is a local transaction of which the message's body says how it ends: "commit", "roll back", and
// "check commit", "check roll back" where the broker has to ask.
type deciding struct {
	p       *play
	mu      sync.Mutex // guards what follows
	checked map[string]int
}

func (d *deciding) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	return decision(string(m.Body))
}

func (d *deciding) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	d.mu.Lock()
	defer d.mu.Unlock()
	body := string(m.Body)
	d.checked[body]++
	if d.checked[body] == 1 {
		as := wherever(m)
		delete(as, "prepared")
		d.p.saw("was asked about "+body, as)
		if strings.HasPrefix(body, "twice ") {
			return primitive.UnknowState
		}
	}
	return decision(strings.TrimPrefix(strings.TrimPrefix(body, "twice "), "check "))
}

// asked counts the messages that the broker asked about.
func (d *deciding) asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.checked)
}

func decision(body string) primitive.LocalTransactionState {
	switch body {
	case "commit":
		return primitive.CommitMessageState
	case "roll back":
		return primitive.RollbackMessageState
	}
	return primitive.UnknowState
}

func (p *play) transact(topic string, all []string) *deciding {
	d := &deciding{p: p, checked: map[string]int{}}
	c, err := rocketmq.NewTransactionProducer(d, p.producerOptions()...)
	p.must(err, "make a producer")
	p.must(c.Start(), "start a producer")
	p.atEnd = append(p.atEnd, func() { c.Shutdown() })
	for _, body := range all {
		m := primitive.NewMessage(topic, []byte(body)).WithTag("t").WithKeys([]string{"k"})
		m.WithProperty("own", "kept")
		r, err := c.SendMessageInTransaction(background, m)
		p.must(err, "send in a transaction")
		answer := p.outcome(body, r.SendResult, nil)
		answer["state"] = int(r.State)
		delete(answer, "offset") // of the half message: others have transactions as well
		p.saw("sent "+body, answer)
	}
	return d
}

func sendInTransaction(p *play) {
	topic := p.topic(p.own("topic"), 2)
	b := newInbox()
	p.push(p.own("consumers"), topic, everything, into(b))
	p.transact(topic, []string{"commit", "roll back"})
	for _, m := range b.await(1) {
		p.saw("consumed "+string(m.Body), described(m))
	}
}

// checkTransaction waits until the broker asks how it ended, which takes a real one up to a minute.
func checkTransaction(p *play) { p.checked([]string{"check commit", "check roll back"}, 1) }

// recheckTransaction does not know the first time either: the broker asks again.
func recheckTransaction(p *play) { p.checked([]string{"twice check commit"}, 1) }

func (p *play) checked(all []string, commits int) {
	topic := p.topic(p.own("topic"), 2)
	b := newInbox()
	p.push(p.own("consumers"), topic, everything, into(b))
	d := p.transact(topic, all)
	b.awaitFor(commits, 150*time.Second, 0)
	for deadline := time.Now().Add(patience); d.asked() < len(all) && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	for _, m := range b.awaitFor(commits, 0, 3*time.Second) {
		as := wherever(m)
		p.saw("consumed "+string(m.Body), as)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for body, times := range d.checked {
		p.saw(fmt.Sprint("asked about ", body), times)
	}
}
