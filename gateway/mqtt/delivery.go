package mqtt

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// delivery hands a client the messages under its filters. It reads them from the log as the client
// takes them, so a slow client holds up nobody and costs no memory.
type delivery struct {
	server       *Server
	out          *writer
	subscription Subscription
	window       *window
	version      byte
	packet       packet.Publish // used again for each message
	log          backlog

	mu      sync.Mutex // guards what follows
	filters []granted
	matches map[string]match // what filters give for a topic; empty after each change of filters
}

type granted struct {
	filter string
	qos    byte
}

// match is what the filters say of a topic.
type match struct {
	any bool
	qos byte
}

func newDelivery(s *Server, out *writer, subscription Subscription, version byte) *delivery {
	return &delivery{
		server:       s,
		out:          out,
		subscription: subscription,
		window:       newWindow(s.options.Window),
		version:      version,
		matches:      make(map[string]match),
	}
}

// add subscribes, or changes the QoS of a filter that is there [MQTT-3.8.4-3]. It reports false when
// there are max already.
func (d *delivery) add(filter string, qos byte, max int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.matches)
	for i := range d.filters {
		if d.filters[i].filter == filter {
			d.filters[i].qos = qos
			return true
		}
	}
	if len(d.filters) >= max {
		return false
	}
	d.filters = append(d.filters, granted{filter, qos})
	d.subscription.Add(filter)
	return true
}

func (d *delivery) remove(filter string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.filters {
		if d.filters[i].filter == filter {
			d.filters = append(d.filters[:i], d.filters[i+1:]...)
			d.subscription.Remove(filter)
			clear(d.matches)
			return
		}
	}
}

const (
	fewFilters = 4    // as many are tried faster than a map finds its entry
	maxMatches = 4096 // topics whose match is remembered
)

// match gives the highest QoS among the filters that topic falls under [MQTT-3.3.5-1]. There is none
// for a record that was on its way when its filter was removed [MQTT-3.10.4-2].
func (d *delivery) match(topic string) match {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.filters) <= fewFilters {
		return d.tryLocked(topic)
	}
	m, ok := d.matches[topic]
	if !ok {
		m = d.tryLocked(topic)
		if len(d.matches) == maxMatches {
			clear(d.matches)
		}
		d.matches[strings.Clone(topic)] = m // the record's own string would keep its whole block in memory
	}
	return m
}

func (d *delivery) tryLocked(topic string) (m match) {
	for i := range d.filters {
		if f := &d.filters[i]; (!m.any || f.qos > m.qos) && message.Match(f.filter, topic) {
			m = match{any: true, qos: f.qos}
		}
	}
	return m
}

// onlyQoS0 says whether no filter promises more than QoS 0.
func (d *delivery) onlyQoS0() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.filters {
		if d.filters[i].qos > 0 {
			return false
		}
	}
	return true
}

// run delivers until ctx ends. The caller closes window and out then, on which it may wait.
func (d *delivery) run(ctx context.Context) error {
	var records []message.Record
	for {
		clear(records) // a record keeps its block in memory
		var err error
		records, err = d.subscription.Next(ctx, records[:0], deliverAtOnce)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read for a subscriber: %w", err)
		}
		delivered := 0
		for i := range records {
			if d.send(&records[i]) {
				delivered++
			}
			if ctx.Err() != nil {
				return nil
			}
		}
		d.server.delivered.Add(uint64(delivered))
		d.out.signal()
		if d.log.hopeless(len(records) == deliverAtOnce, time.Now()) && d.onlyQoS0() {
			dropped := d.subscription.Skip()
			d.server.dropped.Add(dropped)
			d.server.warn("a QoS 0 subscriber is too slow, messages were skipped", "client", d.out.socket.RemoteAddr().String(), "dropped", dropped)
			d.log = backlog{}
		}
	}
}

// send puts one message on its way; there is no retained flag on a live one [MQTT-3.3.1-9], and DUP
// is not handed on [MQTT-3.3.1-3].
func (d *delivery) send(record *message.Record) bool {
	m := d.match(record.Topic)
	if !m.any {
		return false
	}
	p := &d.packet
	p.QoS = min(record.QoS, m.qos) // [MQTT-3.8.4-6]
	p.Topic = append(p.Topic[:0], record.Topic...)
	p.Payload = record.Payload
	p.ID = 0
	if p.QoS > 0 {
		id, ok := d.window.take(d.out)
		if !ok {
			return false
		}
		p.ID = id
	}
	if d.out.deliver(p, d.version) {
		d.log.stalled = true
	}
	p.Payload = nil
	return true
}

// backlog tells a subscriber that will never catch up from one in a burst.
type backlog struct {
	since   time.Time // when it was last up to date; zero: it is
	stalled bool      // its socket was full since then
}

// hopeless is told after each turn whether there was more to read than the turn took.
func (b *backlog) hopeless(more bool, now time.Time) bool {
	if !more {
		*b = backlog{}
		return false
	}
	if b.since.IsZero() {
		b.since = now
	}
	return b.stalled && now.Sub(b.since) >= behindLimit
}
