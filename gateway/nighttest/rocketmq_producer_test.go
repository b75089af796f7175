//go:build linux

package nighttest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"sluice/gateway/remoting"
)

const (
	rocketProducers = "killers" // the group
	rocketBatch     = 5         // messages in one
	rocketWindow    = 16        // sends under way at a time
)

// rocketProducer sends numbered messages into a queue of its own and one that it shares, many under way,
// through all lives of the gateway: plain ones, batches, delayed ones of which some are taken back, and half
// messages that it commits, rolls back or forgets until it is asked.
type rocketProducer struct {
	model  *rocketModel
	number int // which producer this is, and its own queue
	next   int
}

// run sends until the connection ends or quiet is closed; then it only answers what it is asked.
func (p *rocketProducer) run(c *rocketConn, quiet <-chan struct{}) {
	defer c.close()
	if !c.heartbeat("producer-"+strconv.Itoa(p.number), rocketProducers, "") {
		return
	}
	window := make(chan struct{}, rocketWindow)
	for {
		select {
		case window <- struct{}{}:
		case <-c.ended:
			return
		case <-quiet:
			<-c.ended
			return
		}
		p.next++
		if !p.one(c, func() { <-window }) {
			return
		}
		time.Sleep(rand.N(3 * time.Millisecond)) // so that consumers keep up
	}
}

// one sends the next message. done is called once with its outcome; never, when the connection ends before.
func (p *rocketProducer) one(c *rocketConn, done func()) bool {
	queue := p.number
	if p.next%3 == 0 {
		queue = rocketQueues - 1
	}
	body := rocketBody{kind: "plain", producer: p.number, number: p.next}
	switch {
	case p.next%10 == 0:
		body.kind = "batch"
		return p.batch(c, queue, body, done)
	case p.next%11 == 0:
		body.kind = "half"
		return p.half(c, queue, body, done)
	case p.next%7 == 0:
		return p.later(c, queue, body, done)
	}
	began := time.Now()
	return c.send(remoting.SendMessage, p.fields(queue, 0, ""), []byte(body.String()), func(answer *remoting.Command) {
		if answer.Code == remoting.Success {
			_, position, _ := remoting.ParseOffsetID(answer.Ext.Get("msgId"))
			p.model.sent(body.String(), began, rocketPromise{queue: queue, offset: rocketNumber(answer.Ext.Get("queueOffset")), position: position})
		}
		done()
	})
}

func (p *rocketProducer) fields(queue, sysFlag int, properties string) remoting.Fields {
	return rocketFields("producerGroup", rocketProducers, "topic", rocketTopic, "defaultTopic", "TBW102", "defaultTopicQueueNums", rocketQueues,
		"queueId", queue, "sysFlag", sysFlag, "bornTimestamp", time.Now().UnixMilli(), "flag", 0, "properties", properties)
}

// batch sends messages that are answered together.
func (p *rocketProducer) batch(c *rocketConn, queue int, body rocketBody, done func()) bool {
	var frame []byte
	parts := make([]string, rocketBatch)
	for i := range parts {
		body.part = i
		parts[i] = body.String()
		frame, _ = remoting.AppendPart(frame, remoting.Part{Body: []byte(parts[i])})
	}
	began := time.Now()
	return c.send(remoting.SendBatchMessage, p.fields(queue, 0, ""), frame, func(answer *remoting.Command) {
		defer done()
		if answer.Code != remoting.Success {
			return
		}
		ids := strings.Split(answer.Ext.Get("msgId"), ",")
		if len(ids) != len(parts) {
			p.model.fault("a batch of %d is answered with %d ids", len(parts), len(ids))
			return
		}
		for i, part := range parts {
			promise := rocketPromise{queue: queue, offset: -1}
			if i == 0 {
				promise.offset = rocketNumber(answer.Ext.Get("queueOffset"))
			}
			_, promise.position, _ = remoting.ParseOffsetID(ids[i])
			p.model.sent(part, began, promise)
		}
	})
}

// later sends a message with a delay level or a timer, or one that is taken back at once.
func (p *rocketProducer) later(c *rocketConn, queue int, body rocketBody, done func()) bool {
	body.kind = "level"
	began := time.Now()
	notBefore := began.UnixMilli() + 1000
	properties := "DELAY\x011\x02"
	switch turn := p.next / 7 % 8; {
	case turn == 7:
		notBefore, properties = began.UnixMilli()+5000, "DELAY\x012\x02"
	case turn >= 5:
		body.kind, notBefore = "recalled", began.UnixMilli()+4000
		properties = fmt.Sprintf("TIMER_DELIVER_MS\x01%d\x02", notBefore)
	case turn >= 2:
		body.kind, notBefore = "timer", began.UnixMilli()+500+rand.N(int64(3000))
		properties = fmt.Sprintf("TIMER_DELIVER_MS\x01%d\x02", notBefore)
	}
	return c.send(remoting.SendMessage, p.fields(queue, 0, properties), []byte(body.String()), func(answer *remoting.Command) {
		defer done()
		switch {
		case answer.Code != remoting.Success:
		case body.kind != "recalled":
			p.model.sent(body.String(), began, rocketPromise{queue: queue, offset: -1, notBefore: notBefore})
		default:
			p.model.proved(began)
			c.send(remoting.RecallMessage, rocketFields("producerGroup", rocketProducers, "topic", rocketTopic, "recallHandle", answer.Ext.Get("recallHandle")), nil, func(answer *remoting.Command) {
				p.recalled(body.String(), notBefore, answer)
			})
		}
	})
}

func (p *rocketProducer) recalled(body string, deliverAt int64, answer *remoting.Command) {
	if time.Now().UnixMilli() > deliverAt-500 {
		return // it was too late, perhaps
	}
	if answer.Code != remoting.Success {
		p.model.fault("taking %q back: code %d, %s", body, answer.Code, answer.Remark)
		return
	}
	p.model.mu.Lock()
	p.model.recalls[body] = true
	p.model.mu.Unlock()
}

// half sends a half message and decides about it.
func (p *rocketProducer) half(c *rocketConn, queue int, body rocketBody, done func()) bool {
	began := time.Now()
	return c.send(remoting.SendMessage, p.fields(queue, remoting.SysPrepared, "TRAN_MSG\x01true\x02PGROUP\x01"+rocketProducers+"\x02"), []byte(body.String()), func(answer *remoting.Command) {
		defer done()
		if answer.Code != remoting.Success {
			return
		}
		commit, asked := body.verdict()
		if commit {
			p.model.sent(body.String(), began, rocketPromise{queue: queue, offset: -1})
		}
		p.model.mu.Lock()
		p.model.halves[body.String()] = true
		p.model.mu.Unlock()
		_, position, _ := remoting.ParseOffsetID(answer.Ext.Get("msgId"))
		if !asked {
			p.decide(c, body, strconv.FormatUint(position, 10), answer.Ext.Get("queueOffset"))
		}
	})
}

// decide commits or rolls back.
func (p *rocketProducer) decide(c *rocketConn, body rocketBody, position, offset string) {
	commit, _ := body.verdict()
	decision := remoting.SysRollback
	if commit {
		decision = remoting.SysCommit
	}
	c.send(remoting.EndTransaction, rocketFields("producerGroup", rocketProducers, "commitOrRollback", decision, "msgId", "x",
		"commitLogOffset", position, "tranStateTableOffset", offset), nil, func(answer *remoting.Command) {
		switch {
		case answer.Code != remoting.Success:
			p.model.fault("deciding about %q: code %d, %s", body, answer.Code, answer.Remark)
		case !commit:
			p.model.mu.Lock()
			p.model.rolled[body.String()] = time.Now()
			p.model.mu.Unlock()
		}
	})
}

// asked answers what the gateway wants to know about a half message.
func (p *rocketProducer) asked(c *rocketConn, request *remoting.Command) {
	if request.Code != remoting.CheckTransactionState {
		return
	}
	half, _, err := remoting.ParseStored(request.Body)
	if err != nil {
		p.model.fault("asked about a half message: %v", err)
		return
	}
	body := string(half.Body)
	p.model.mu.Lock()
	p.model.asked[body]++
	if at, rolled := p.model.rolled[body]; rolled && time.Since(at) > 3*time.Second {
		p.model.faultLocked("asked about %q, which was rolled back", body)
	}
	p.model.mu.Unlock()
	p.decide(c, readRocketBody(body), request.Ext.Get("commitLogOffset"), request.Ext.Get("tranStateTableOffset"))
}
