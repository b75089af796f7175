package mqtt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/message"
)

// delivery hands a client the messages under its filters. It reads them from the log as the client
// takes them, so a slow client holds up nobody and costs no memory.
type delivery struct {
	conn         *conn
	subscription Subscription
	flights      flights
	outgoing     outgoing
	log          backlog
	live         message.Position          // what is up to it was published while the client was away
	again        []again                   // to be sent before anything else
	resumed      map[message.Position]bool // those of the session's own, which the log brings once more
	lastAgain    message.Position          // of them
	staged       []staged                  // QoS 2 messages that the session must remember before they go out
	unsynced     atomic.Int64              // acknowledgements that a kill would forget

	mu   sync.Mutex // guards what follows
	jobs []*retainedJob
	kick context.CancelFunc // ends a waiting Next
}

// staged is a message that waits for its flight to be durable.
type staged struct {
	at    message.Delivery
	match match
	id    uint16
}

func newDelivery(c *conn, subscription Subscription, passed message.Position) *delivery {
	d := &delivery{conn: c, subscription: subscription}
	d.outgoing.aliases.most, d.outgoing.readable = c.peer.aliases, c.server.options.Readable
	d.flights.init(min(c.server.options.Window, c.peer.window), passed, c.session != nil)
	return d
}

// run delivers until ctx ends. The caller closes flights and out then, on which it may wait.
func (d *delivery) run(ctx context.Context) error {
	if err := d.sendAgain(); err != nil {
		return d.quiet(ctx, err)
	}
	var batch []message.Delivery
	for {
		waiting, cancel := context.WithCancel(ctx)
		d.mu.Lock()
		d.kick = cancel
		jobs := d.jobs
		d.jobs = nil
		d.mu.Unlock()
		for _, job := range jobs {
			if err := d.retained(job); err != nil {
				cancel()
				return d.quiet(ctx, err)
			}
		}
		if len(jobs) > 0 {
			cancel()
			continue // a kick meanwhile was meant for a context that is gone
		}
		for err := error(nil); err == nil; {
			clear(batch) // a record keeps its block in memory
			batch, err = d.subscription.Next(waiting, batch[:0], deliverAtOnce)
			passed := d.subscription.Passed()
			if err != nil && (waiting.Err() == nil || ctx.Err() != nil) {
				cancel()
				return d.quiet(ctx, err)
			}
			if err := d.hand(ctx, batch, passed); err != nil {
				cancel()
				return d.quiet(ctx, err)
			}
		}
		cancel()
	}
}

// quiet gives no error for what a connection's end has caused.
func (d *delivery) quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil || err == nil || errors.Is(err, errClosing) {
		return nil
	}
	return fmt.Errorf("read for a subscriber: %w", err)
}

// hurry makes run look for jobs, and for how far the log has gone without it.
func (d *delivery) hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kick != nil {
		d.kick()
	}
}

// owe makes run send the retained messages under a new subscription.
func (d *delivery) owe(job *retainedJob) {
	d.mu.Lock()
	d.jobs = append(d.jobs, job)
	d.mu.Unlock()
	d.hurry()
}

var errClosing = errors.New("the connection ends")

// hand puts a batch on its way.
func (d *delivery) hand(ctx context.Context, batch []message.Delivery, passed message.Position) error {
	s := d.conn.server
	delivered := 0
	for i := range batch {
		sent, err := d.send(&batch[i])
		if err != nil {
			return err
		}
		if sent {
			delivered++
		}
	}
	if err := d.flush(); err != nil {
		return err
	}
	d.flights.handed(passed)
	if passed >= d.lastAgain {
		d.resumed = nil
	}
	if len(batch) > 0 {
		d.conn.out.signal()
		s.delivered.Add(uint64(delivered))
	}
	if err := d.settle(ctx); err != nil {
		return err
	}
	if d.log.hopeless(len(batch) == deliverAtOnce, time.Now()) && d.conn.filters.onlyQoS0() {
		dropped := d.subscription.Skip()
		s.dropped.Add(dropped)
		s.warn("a QoS 0 subscriber is too slow, messages were skipped", "client", d.conn.clientID, "dropped", dropped)
		d.log = backlog{}
	}
	return nil
}

// send puts one message on its way and says whether it went out.
func (d *delivery) send(m *message.Delivery) (sent bool, err error) {
	if m.Share == 0 && d.resumed[m.Position] {
		return false, nil
	}
	match := d.conn.filters.match(m)
	qos := min(m.QoS, match.qos) // [MQTT-3.8.4-8]
	switch {
	case !match.any, !d.conn.grant.Receive(m.Topic), expired(&m.Record),
		qos == 0 && m.Share == 0 && m.Position != 0 && m.Position <= d.live: // QoS 0 waits for nobody
		if m.Share != 0 {
			d.subscription.Done(m.Share, m.Position)
		}
		return false, nil
	case qos == 0:
		return d.sendOnce(m, match)
	}
	if (qos == 1 || !d.durable(m)) && len(d.staged) > 0 {
		if err := d.flush(); err != nil {
			return false, err
		}
	}
	id, ok := d.take()
	if !ok {
		return false, errClosing
	}
	d.flights.begun(id, origin(m.Share), m.Position, qos, nil)
	if qos == 2 && d.durable(m) {
		d.staged = append(d.staged, staged{*m, match, id})
		return true, nil
	}
	return d.put(m, match, qos, id, false), nil
}

// durable says whether the session must remember a message with QoS 2 before it goes out.
func (d *delivery) durable(m *message.Delivery) bool {
	return d.conn.session != nil && m.Share == 0 && m.Position != 0
}

// take gives a packet identifier. What it waits for may be acknowledged only when it has gone out.
func (d *delivery) take() (uint16, bool) {
	var failed error
	id, ok := d.flights.take(func() {
		failed = d.flush()
		d.conn.out.signal()
	})
	return id, ok && failed == nil
}

func (d *delivery) sendOnce(m *message.Delivery, match match) (bool, error) {
	if len(d.staged) > 0 {
		if err := d.flush(); err != nil {
			return false, err
		}
	}
	sent := d.put(m, match, 0, 0, false)
	if m.Share != 0 {
		d.subscription.Done(m.Share, m.Position)
	}
	return sent, nil
}

// again is a message that was sent on an earlier connection and has to be once more.
type again struct {
	Flight
	origin origin
}

// sendAgain sends what an earlier connection has begun and the client has not confirmed, with the same
// identifiers and before anything else [MQTT-4.4.0-1, MQTT-4.4.0-2, MQTT-4.8.2-4]. That holds for what
// the client has unsubscribed from since [MQTT-3.10.4-3]; what the log no longer has is done with.
func (d *delivery) sendAgain() error {
	for _, one := range d.again {
		qos := byte(1)
		if one.State == FlightSentExactly {
			qos = 2
		}
		record, known, err := d.conn.server.backend.Message(one.Position)
		if err != nil {
			return err
		}
		if !known {
			d.flights.lost(one.ID)
			continue
		}
		if !d.flights.takeAgain(d.conn.out.signal) {
			return errClosing
		}
		m := message.Delivery{Record: record}
		match := d.conn.filters.match(&m)
		d.flights.begun(one.ID, one.origin, one.Position, qos, nil)
		if d.put(&m, match, qos, one.ID, true) {
			d.conn.server.delivered.Add(1)
		}
	}
	d.again = nil
	d.conn.out.signal()
	return nil
}

// put writes a PUBLISH. One that the client could not take is done with as if it had [MQTT-3.1.2-24,
// MQTT-3.1.2-25].
func (d *delivery) put(m *message.Delivery, match match, qos byte, id uint16, dup bool) bool {
	c := d.conn
	p := d.outgoing.make(&m.Record, match, c.version)
	p.QoS, p.ID, p.Dup = qos, id, dup
	waited, fits := c.out.deliver(p, c.version, c.peer.maxPacket)
	p.Payload = nil
	d.outgoing.sent(fits)
	if waited {
		d.log.stalled = true
	}
	if !fits {
		c.server.dropped.Add(1)
		if qos > 0 {
			c.settleFlight(id, qos)
		}
	}
	return fits
}

// flush makes the staged messages known to the session, durably, and sends them: whoever received
// one before a kill must not be sent it as a new one after it.
func (d *delivery) flush() error {
	if len(d.staged) == 0 {
		return nil
	}
	upTo, under, _ := d.flights.state()
	saved := make(chan error, 1)
	if err := d.conn.session.SaveFlights(upTo, under, func(err error) { saved <- err }); err != nil {
		return err
	}
	if err := <-saved; err != nil { // soon: the log answers everybody, also when it closes
		return err
	}
	for i := range d.staged {
		s := &d.staged[i]
		d.put(&s.at, s.match, 2, s.id, false)
	}
	clear(d.staged)
	d.staged = d.staged[:0]
	return nil
}

// maxUnsynced is how many acknowledgements a kill may forget at most.
const maxUnsynced = 1000

// settle lets the session know how far its client has come.
func (d *delivery) settle(ctx context.Context) error {
	session := d.conn.session
	if session == nil {
		return nil
	}
	if err := d.progress(nil); err != nil {
		return err
	}
	if d.unsynced.Load() < maxUnsynced {
		return nil
	}
	d.unsynced.Store(0)
	return session.Sync(ctx)
}

// progress notes how far the client has come, in the session. durable, unless nil, hears when that
// would survive a power cut.
func (d *delivery) progress(durable func(error)) error {
	upTo, acked, exact := d.flights.done()
	d.unsynced.Add(int64(acked))
	if !exact && durable == nil {
		d.conn.session.Move(upTo)
		return nil
	}
	upTo, under, _ := d.flights.state()
	return d.conn.session.SaveFlights(upTo, under, durable)
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
