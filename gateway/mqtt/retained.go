package mqtt

import (
	"sync/atomic"

	"sluice/gateway/message"
)

// retainedJob are the retained messages that a new subscription is owed.
type retainedJob struct {
	subscribed subscribed
	upTo       message.Position // what is behind it comes as a live message
	left       atomic.Int64     // messages with QoS 1 and 2 under way, and one while the job runs
	finished   func()           // hears when the client has them all; nil: nobody asks
}

func (j *retainedJob) done() {
	if j.left.Add(-1) == 0 && j.finished != nil {
		j.finished()
	}
}

// retained sends the retained messages under a new subscription, marked as such [MQTT-3.3.1-8]. Those
// that came behind it are live messages to it.
func (d *delivery) retained(job *retainedJob) error {
	c := d.conn
	s := &job.subscribed
	job.left.Store(1)
	match := match{any: true, asPublished: true}
	match.add(s)
	match.asPublished = true
	delivered := uint64(0)
	visit := func(m *message.Record) error {
		if now, known := c.filters.get(s.group, s.filter); !known || now.after != s.after {
			return nil // unsubscribed, or subscribed anew
		}
		if m.Position > job.upTo || !c.grant.Receive(m.Topic) || expired(m) || s.noLocal && m.Client == c.clientID {
			return nil
		}
		record := *m
		record.Retain = true
		qos := min(m.QoS, s.qos)
		var id uint16
		if qos > 0 {
			var ok bool
			if id, ok = d.take(); !ok {
				return errClosing
			}
			job.left.Add(1)
			d.flights.begun(id, ofRetained, m.Position, qos, job)
		}
		if d.put(&message.Delivery{Record: record}, match, qos, id, false) {
			delivered++
		}
		return nil
	}
	err := c.server.backend.EachRetained(s.filter, visit)
	if err == nil {
		err = c.server.sys.each(s.filter, visit)
	}
	c.server.delivered.Add(delivered)
	c.out.signal()
	job.done()
	return err
}
