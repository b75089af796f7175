package crashtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"sluice/gateway/message"
	"sluice/store"
)

// client is what an MQTT client with a session does to the log, and its listener for it.
type client struct {
	s       *store.Store
	c       int
	name    string
	seed    uint64
	session *store.Session
	sent    uint64
	open    []uint64 // of an earlier life: not known to be acknowledged
	r       *rand.Rand
	tell    func(string, ...any)
}

// say tells what holds beyond a kill; of the mortal client nothing does.
func (c *client) say(format string, args ...any) {
	if c.c != mortal {
		c.tell(format, args...)
	}
}

func (c *client) work() error {
	if err := c.connect(false); err != nil {
		return err
	}
	if err := c.resend(); err != nil {
		return err
	}
	for {
		var err error
		switch n := c.r.IntN(100); {
		case n < 40:
			err = c.publish()
		case n < 60:
			err = c.release()
		case n < 75:
			err = c.subscribe()
		case n < 94:
			err = c.fly()
		case n < 98:
			c.session.Close(expiry(c.c))
			err = c.connect(c.r.IntN(3) == 0)
		default:
			c.say("N\t%s\n", c.name)
			if err = c.s.DropSession(context.Background(), c.name); err == nil {
				c.say("D\t%s\n", c.name)
				err = c.connect(false)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
}

// connect opens the session. As before a CONNACK, that is durable when it returns.
func (c *client) connect(fresh bool) (err error) {
	if fresh {
		c.say("N\t%s\n", c.name)
	}
	c.say("w\t%s\t%s\n", sessionKey(c.name), expiry(c.c))
	var present bool
	if c.session, present, err = c.s.OpenSession(c.name, expiry(c.c), fresh); err != nil {
		return err
	}
	if fresh && present {
		return errors.New("a fresh session is present")
	}
	if c.session.Cursor() == nil {
		tail, _ := c.s.Tail()
		if err := c.filter("keep", tail+1); err != nil {
			return err
		}
	}
	return c.sync()
}

func (c *client) filter(filter string, from message.Position) error {
	sub := store.Subscription{Filter: filter, Options: byte(c.r.IntN(3)), Identifier: c.r.Uint32N(100), From: from}
	c.say("w\t%s\t%s\n", filterKey(c.name, filter), filterValue(sub))
	return c.session.Subscribe(sub)
}

func (c *client) sync() error {
	upTo, _ := c.session.Flights()
	if err := c.session.Sync(context.Background()); err != nil {
		return err
	}
	c.say("D\t%s\n", c.name)
	c.say("L\t%s\t%d\n", c.name, upTo)
	return nil
}

// resend publishes again what was not acknowledged, unless its id says that it was received.
func (c *client) resend() error {
	var again []uint64
	for _, n := range c.open {
		if c.session.Received(packet(n)) {
			c.tell("b\t%s\t%d\n", c.name, n)
		} else if c.c != mortal {
			again = append(again, n)
		}
	}
	if c.c == mortal { // its session ended, and so did what was in it
		c.tell("z\t%s\n", c.name)
	}
	return c.send(again)
}

func (c *client) publish() error {
	var numbers []uint64
	for range 1 + c.r.IntN(20) {
		if c.session.Received(packet(c.sent + 1)) {
			break // the id is in use
		}
		c.sent++
		numbers = append(numbers, c.sent)
	}
	return c.send(numbers)
}

// send publishes with QoS 2 and waits for the acknowledgements.
func (c *client) send(numbers []uint64) error {
	acks := make(chan error, len(numbers))
	ack := message.AcknowledgeFunc(func(n uint64, at message.Position, err error) {
		if err == nil {
			c.tell("b\t%s\t%d\t%d\n", c.name, n, at)
		}
		acks <- err
	})
	for _, n := range numbers {
		c.tell("p\t%s\t%d\n", c.name, n)
		m := message.Message{
			Topic: "from/" + c.name, Payload: clientPayload(c.c, n, c.seed), Time: int64(n), QoS: 2,
			Properties: []message.Property{{Name: "from", Value: fmt.Sprintf("%s:%d", c.name, packet(n))}},
		}
		if err := c.s.Append(context.Background(), &m, ack, n); err != nil {
			return err
		}
	}
	for range numbers {
		if err := <-acks; err != nil {
			return err
		}
	}
	for _, n := range numbers {
		if !c.session.Received(packet(n)) {
			return fmt.Errorf("message %d was acknowledged, its id %d is not known", n, packet(n))
		}
	}
	return nil
}

// release lets go of some ids, and waits until that is durable, as before a PUBCOMP.
func (c *client) release() error {
	var ids []uint16
	for _, id := range c.session.ReceivedIDs() {
		if c.r.IntN(3) > 0 {
			ids = append(ids, id)
		}
	}
	released := make(chan error, len(ids))
	for _, id := range ids {
		key := receivedKey(c.name, id)
		c.say("w\t%s\t%s\n", key, nothing)
		c.session.Release(id, func(err error) {
			if err == nil {
				c.say("d\t%s\t%s\n", key, nothing)
			}
			released <- err
		})
	}
	for range ids {
		if err := <-released; err != nil {
			return err
		}
	}
	return nil
}

func (c *client) subscribe() error {
	for range 1 + c.r.IntN(4) {
		filter := fmt.Sprintf("f/%d/+", c.r.IntN(8))
		if c.r.IntN(2) == 0 {
			c.say("w\t%s\t%s\n", filterKey(c.name, filter), nothing)
			c.session.Unsubscribe(filter)
			continue
		}
		tail, _ := c.s.Tail()
		if err := c.filter(filter, tail+1); err != nil {
			return err
		}
	}
	if c.r.IntN(3) == 0 {
		return nil // it follows within 200 ms
	}
	return c.sync()
}

// fly saves what is under way to the client, and how far it is done.
func (c *client) fly() error {
	upTo, _ := c.session.Flights()
	tail, _ := c.s.Tail()
	if behind := message.Position(c.r.IntN(300)); tail > upTo+behind {
		upTo = tail - behind
	}
	var under []store.Flight
	for at := upTo + 1; at <= tail && len(under) < 40; at++ {
		if c.r.IntN(4) > 0 {
			under = append(under, store.Flight{ID: uint16(at), Position: at, State: store.FlightState(c.r.IntN(3))})
		}
	}
	c.say("U\t%s\t%d\n", c.name, upTo)
	key, value := flightsKey(c.name), flightsValue(upTo, under)
	c.say("w\t%s\t%s\n", key, value)
	if c.r.IntN(4) == 0 {
		return c.session.SaveFlights(upTo, under, nil)
	}
	saved := make(chan error, 1)
	if err := c.session.SaveFlights(upTo, under, func(err error) { saved <- err }); err != nil {
		return err
	}
	if err := <-saved; err != nil {
		return err
	}
	c.say("d\t%s\t%s\n", key, value)
	c.say("L\t%s\t%d\n", c.name, upTo)
	return nil
}

// clientPayload is what client c sends as its message n.
func clientPayload(c int, n, seed uint64) []byte {
	return fmt.Appendf(nil, "%d %d %s", c, n, payload(100+c, n, seed)[:20])
}

// retain publishes retained messages, several at once, some of them empty.
func retain(s *store.Store, r *rand.Rand, tell func(string, ...any)) error {
	for {
		count := 1 + r.IntN(8)
		acks := make(chan error, count)
		for range count {
			n := r.IntN(topics)
			if n < topics/2 && r.IntN(100) > 0 {
				n += topics / 2 // the others live long enough for the head to pass them
			}
			topic := fmt.Sprint("retained/", n)
			value, payload := nothing, []byte(nil)
			if r.IntN(6) > 0 {
				value = fmt.Sprint(time.Now().UnixNano(), ":", r.IntN(6<<10)) // never the same again
				payload = retainedPayload(value)
			}
			tell("w\t%s\t%s\n", retainedKey(topic), value)
			m := message.Message{Topic: topic, Payload: payload, Time: 1, QoS: 1, Retain: true}
			err := s.Append(context.Background(), &m, message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) {
				if err == nil {
					tell("d\t%s\t%s\n", retainedKey(topic), value)
				}
				acks <- err
			}), 0)
			if err != nil {
				return err
			}
		}
		for range count {
			if err := <-acks; err != nil {
				return err
			}
		}
		time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
	}
}

// retainedPayload is the message that was published as version, which ends in its size.
func retainedPayload(version string) []byte {
	_, size, _ := strings.Cut(version, ":")
	n, _ := strconv.Atoi(size)
	r := rand.New(rand.NewPCG(uint64(n), uint64(len(version))))
	b := append([]byte(version), ' ')
	for range n {
		b = append(b, byte(r.Uint32()))
	}
	return b
}
