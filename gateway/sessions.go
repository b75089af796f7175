package gateway

import (
	"context"
	"strconv"
	"strings"
	"time"

	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/gateway/mqtt"
	"sluice/store"
)

// backend lets the broker, and what the log keeps beside messages, be the MQTT listener's.
type backend struct {
	*broker.Broker
	log *store.Store
}

// Hand implements mqtt.Backend.
func (b backend) Hand(m *message.Message) { b.Broker.Hand(m) }

// Subscribe implements mqtt.Backend.
func (b backend) Subscribe(after message.Position) mqtt.Subscription {
	return b.Broker.Subscribe(after)
}

// Last implements mqtt.Backend.
func (b backend) Last() message.Position {
	last, _ := b.log.Tail()
	return last
}

// Message implements mqtt.Backend.
func (b backend) Message(at message.Position) (message.Record, bool, error) {
	found, err := b.log.Read(nil, at, 1)
	if err != nil || len(found) == 0 || found[0].Position != at {
		return message.Record{}, false, err
	}
	return found[0], true, nil
}

// EachRetained implements mqtt.Backend.
func (b backend) EachRetained(filter string, visit func(*message.Record) error) error {
	return b.log.EachRetained(filter, visit)
}

// Stored implements mqtt.Backend.
func (b backend) Stored() mqtt.Stored {
	log, state := b.log.Stats(), b.log.StateStats()
	return mqtt.Stored{
		Messages: log.Messages, Bytes: log.Bytes, Retained: state.Retained,
		Sleeping: state.Sessions - state.Open, Expired: state.SessionsExpired,
	}
}

// OpenSession implements mqtt.Backend.
func (b backend) OpenSession(id string, expiry time.Duration, fresh bool) (mqtt.Session, bool, error) {
	if fresh {
		b.Forget(id)
	} else {
		b.Wake(id)
	}
	opened, present, err := b.log.OpenSession(id, expiry, fresh)
	if err != nil {
		return nil, false, err
	}
	return session{opened, b}, present, nil
}

// DropSession implements mqtt.Backend.
func (b backend) DropSession(id string) error {
	b.Forget(id)
	return b.log.DropSession(context.Background(), id)
}

// sleepAll takes care of the sessions that a start finds.
func (b backend) sleepAll() error {
	var failed error
	b.log.EachSession(func(id string, filters []string, busy bool, cursor *store.Cursor) {
		if err := b.sleep(id, filters, busy, cursor); err != nil {
			failed = err
		}
	})
	return failed
}

// tendEvery is how soon it is noticed that the log has let a session expire.
const tendEvery = time.Minute

// tend ends, for the broker too, the sessions that the log has let expire, and drops the places of shared
// subscriptions that nobody is a member of any more.
func (b backend) tend(ctx context.Context) error {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			b.tendOnce()
		}
	}
}

func (b backend) tendOnce() {
	for _, id := range b.Sleepers() {
		if _, known := b.log.Session(id); !known {
			b.Forget(id)
		}
	}
	member := make(map[string]bool)
	b.log.EachSession(func(_ string, filters []string, _ bool, _ *store.Cursor) {
		for _, f := range filters {
			member[strings.TrimPrefix(f, "$")] = true
		}
	})
	for _, c := range b.log.Cursors() {
		if strings.HasPrefix(c.Name, "share/") && !c.Open && !member[c.Name] {
			_ = b.log.DropIdleCursor(c.Name) // it refuses for one that is in use by now
		}
	}
}

// sleep hands a session to the broker. The cursor of one with messages under way stays before them,
// whatever its filters say today.
func (b backend) sleep(id string, filters []string, busy bool, cursor *store.Cursor) error {
	if busy {
		return b.Sleep(id, filters, standing{cursor})
	}
	return b.Sleep(id, filters, cursor)
}

// standing is a cursor that does not follow the log.
type standing struct{ *store.Cursor }

func (standing) Move(message.Position) {}

// session is one that the log keeps, as the listener sees it.
type session struct {
	kept *store.Session
	in   backend
}

// Subscriptions implements mqtt.Session.
func (s session) Subscriptions() []mqtt.Subscribed {
	kept := s.kept.Subscriptions()
	list := make([]mqtt.Subscribed, len(kept))
	for i := range kept {
		list[i] = mqtt.Subscribed(kept[i])
	}
	return list
}

// Subscribe implements mqtt.Session.
func (s session) Subscribe(subscribed mqtt.Subscribed) error {
	return s.kept.Subscribe(store.Subscription(subscribed))
}

// Unsubscribe implements mqtt.Session.
func (s session) Unsubscribe(filter string) bool { return s.kept.Unsubscribe(filter) }

// Flights implements mqtt.Session.
func (s session) Flights() (message.Position, []mqtt.Flight) {
	upTo, kept := s.kept.Flights()
	under := make([]mqtt.Flight, len(kept))
	for i, f := range kept {
		under[i] = mqtt.Flight{ID: f.ID, Position: f.Position, State: mqtt.FlightState(f.State)}
	}
	return upTo, under
}

// SaveFlights implements mqtt.Session.
func (s session) SaveFlights(upTo message.Position, under []mqtt.Flight, durable func(error)) error {
	kept := make([]store.Flight, len(under))
	for i, f := range under {
		kept[i] = store.Flight{ID: f.ID, Position: f.Position, State: store.FlightState(f.State)}
	}
	return s.kept.SaveFlights(upTo, kept, durable)
}

// Move implements mqtt.Session.
func (s session) Move(upTo message.Position) {
	if cursor := s.kept.Cursor(); cursor != nil {
		cursor.Move(upTo)
	}
}

// Received implements mqtt.Session.
func (s session) Received(id uint16) bool { return s.kept.Received(id) }

// Release implements mqtt.Session.
func (s session) Release(id uint16, durable func(error)) { s.kept.Release(id, durable) }

// Sync implements mqtt.Session.
func (s session) Sync(ctx context.Context) error { return s.kept.Sync(ctx) }

// Close implements mqtt.Session. A session that goes on sleeps.
func (s session) Close(expiry time.Duration) {
	var filters []string
	for _, one := range s.kept.Subscriptions() {
		filters = append(filters, one.Filter)
	}
	cursor := s.kept.Cursor()
	_, under := s.kept.Flights()
	s.kept.Close(expiry)
	if expiry == 0 || cursor == nil {
		s.in.Forget(s.kept.ID())
		return
	}
	if err := s.in.sleep(s.kept.ID(), filters, len(under) > 0, cursor); err != nil {
		s.in.Forget(s.kept.ID())
	}
}

// inbound tells the log which session a message with QoS 2 came from, with which packet id.
func inbound(m *message.Message) (session string, id uint16, ok bool) {
	if m.QoS != 2 || m.Client == "" {
		return "", 0, false
	}
	value, known := m.Property(message.PacketID)
	n, err := strconv.ParseUint(value, 10, 16)
	return m.Client, uint16(n), known && err == nil && n > 0
}

// retainFor tells the log for how long a retained message is kept.
func retainFor(m *message.Message) time.Duration {
	value, _ := m.Property(message.Expiry)
	seconds, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return 0
	}
	return max(time.Millisecond, time.Duration(seconds)*time.Second)
}
