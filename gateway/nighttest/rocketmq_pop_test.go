//go:build linux

package nighttest

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/gateway/remoting"
)

// rocketPopper is a group that pops. Of every twentieth pop it acknowledges only half, so that the rest comes
// by way of the retry topic.
type rocketPopper struct {
	group *rocketGroup // its progress is what it has acknowledged without a gap

	mu    sync.Mutex                          // guards what follows
	done  map[rocketPlace]map[int64]bool      // acknowledged or about to be, or on the retry topic, by offset
	taken map[rocketPlace]map[int64]bool      // answered acknowledgements, likewise
	letGo map[rocketPlace]map[int64]time.Time // not acknowledged, and when it goes to the retry topic
	start map[rocketPlace]int64               // where the group began in this life
	once  map[rocketPlace]map[int64]bool      // popped in this life
	acked map[string]bool                     // bodies with an answered acknowledgement, in any place
	again map[string]bool                     // bodies that came by way of the retry topic
	heard map[rocketPlace]int64               // all below is acknowledged, answered
	pops  int
}

func newRocketPopper(group *rocketGroup) *rocketPopper {
	p := &rocketPopper{group: group, done: make(map[rocketPlace]map[int64]bool), letGo: make(map[rocketPlace]map[int64]time.Time), taken: make(map[rocketPlace]map[int64]bool),
		heard: make(map[rocketPlace]int64), acked: make(map[string]bool), again: make(map[string]bool)}
	return p
}

// begin looks where the group goes on, before anybody pops.
func (p *rocketPopper) begin(c *rocketConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start, p.once = make(map[rocketPlace]int64), make(map[rocketPlace]map[int64]bool)
	for _, at := range rocketPlaces(rocketTopic) {
		next, ok := c.offset(p.group.name, at)
		if !ok {
			return false
		}
		p.group.begin(at, next)
		p.start[at], p.once[at] = next, make(map[int64]bool)
		p.heard[at] = next
		p.done[at], p.taken[at] = make(map[int64]bool), make(map[int64]bool) // all above comes again
		p.letGo[at] = make(map[int64]time.Time)
	}
	return true
}

// consume pops and acknowledges until the connection ends.
func (p *rocketPopper) consume(c *rocketConn) {
	defer c.close()
	for {
		p.mu.Lock()
		p.pops++
		careless := p.pops%20 == 0
		p.mu.Unlock()
		most, invisible := 32, 60_000
		if careless {
			most, invisible = 6, 1000
		}
		began := time.Now()
		answer := c.call(remoting.PopMessage, rocketFields("consumerGroup", p.group.name, "topic", rocketTopic, "queueId", -1, "maxMsgNums", most,
			"invisibleTime", invisible, "pollTime", 300, "bornTime", time.Now().UnixMilli(), "initMode", 0, "exp", "*", "expType", "TAG", "order", false), nil)
		if answer == nil {
			return
		}
		switch answer.Code {
		case remoting.Success:
		case remoting.PullNotFound, remoting.PollingTimeout:
			continue
		case remoting.TopicNotExist:
			time.Sleep(5 * time.Millisecond)
			continue
		default:
			p.group.model.fault("popping: code %d, %s", answer.Code, answer.Remark)
			return
		}
		list := rocketMessages(answer.Body)
		p.popped(answer, list, began, careless)
		for i := range list {
			if careless && i%2 == 0 {
				continue
			}
			if !p.acknowledge(c, answer, &list[i]) {
				return
			}
		}
	}
}

// popped notes what was handed out.
func (p *rocketPopper) popped(answer *remoting.Command, list []remoting.Stored, began time.Time, careless bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range list {
		m := &list[i]
		text := string(m.Body)
		if rocketProperty(m, "POP_CK") != "" {
			p.again[text] = true
			if m.Reconsumed < 1 {
				p.group.model.fault("%q was popped from the retry topic for the time %d", text, m.Reconsumed)
			}
			continue
		}
		at := rocketPlace{m.Topic, int(m.QueueID)}
		p.group.model.shown(at, m.QueueOffset, text)
		switch {
		case m.QueueOffset < p.start[at]:
			p.group.model.fault("offset %d of %v was popped, the group began at %d", m.QueueOffset, at, p.start[at])
		case p.once[at][m.QueueOffset]:
			p.group.model.fault("offset %d of %v was popped twice in one life", m.QueueOffset, at)
		}
		p.once[at][m.QueueOffset] = true
		if careless && i%2 == 0 {
			p.letGo[at][m.QueueOffset] = began.Add(time.Second)
		}
	}
}

// acknowledge acknowledges one message, without waiting for the answer.
func (p *rocketPopper) acknowledge(c *rocketConn, popped *remoting.Command, m *remoting.Stored) bool {
	at, text := rocketPlace{m.Topic, int(m.QueueID)}, string(m.Body)
	handle := rocketProperty(m, "POP_CK")
	fromTopic := handle == ""
	if fromTopic {
		for entry := range strings.SplitSeq(popped.Ext.Get("startOffsetInfo"), ";") {
			if parts := strings.Fields(entry); len(parts) == 3 && parts[0] == "0" && parts[1] == strconv.Itoa(at.queue) {
				handle = fmt.Sprintf("%s %s %s %s 0 killed %d %d", parts[2], popped.Ext.Get("popTime"), popped.Ext.Get("invisibleTime"), popped.Ext.Get("reviveQid"), at.queue, m.QueueOffset)
			}
		}
		p.mu.Lock()
		p.done[at][m.QueueOffset] = true
		p.mu.Unlock()
	}
	return c.send(remoting.AckMessage, rocketFields("consumerGroup", p.group.name, "topic", rocketTopic, "queueId", m.QueueID, "extraInfo", handle, "offset", m.QueueOffset), nil, func(answer *remoting.Command) {
		if answer.Code != remoting.Success {
			p.group.model.fault("acknowledging %q with %q: code %d, %s", text, handle, answer.Code, answer.Remark)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.acked[text] = true
		if fromTopic {
			p.taken[at][m.QueueOffset] = true
			p.heardLocked(at)
		}
	})
}

// advanceLocked notes up to where the group may stand: there is no message before that was neither
// acknowledged nor let go.
func (p *rocketPopper) advanceLocked(at rocketPlace) {
	p.group.mu.Lock()
	defer p.group.mu.Unlock()
	progress := p.group.atLocked(at)
	for p.done[at][progress.sent] {
		progress.sent++
	}
	progress.given = max(progress.given, progress.sent)
}

// heardLocked notes up to where the group must stand soon: all before is acknowledged. What was let go stops it
// for this life.
func (p *rocketPopper) heardLocked(at rocketPlace) {
	before := p.heard[at]
	for p.taken[at][p.heard[at]] {
		p.heard[at]++
	}
	if p.heard[at] > before {
		p.group.committed(at, p.heard[at])
	}
}

// killed finds out up to where the group may stand, and must.
func (p *rocketPopper) killed(proof time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, list := range p.letGo {
		for offset, due := range list {
			if due.Before(time.Now()) {
				p.done[at][offset] = true
			}
		}
		p.advanceLocked(at)
	}
	p.group.killed(proof)
}

func (p *rocketPopper) behind(texts map[string]int) (list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for text := range texts {
		if !p.acked[text] {
			list = append(list, text)
		}
	}
	return list
}

func rocketProperty(m *remoting.Stored, name string) string {
	list, err := remoting.ParseProperties(m.Properties)
	if err != nil {
		return ""
	}
	for _, p := range list {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// rocketPlaces lists the queues of a topic.
func rocketPlaces(topic string) (list []rocketPlace) {
	for queue := range rocketQueues {
		list = append(list, rocketPlace{topic, queue})
	}
	return list
}
