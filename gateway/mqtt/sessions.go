package mqtt

import (
	"context"
	"errors"
	"time"

	"sluice/gateway/message"
)

// will is the message that a client leaves.
type will struct {
	message message.Message
	delay   time.Duration
}

// pendingWill is one whose delay has not passed.
type pendingWill struct {
	at time.Time
	*will
}

// takeOver makes c the owner of its client identifier and ends the connection that was it before
// [MQTT-3.1.4-3]. It returns when that one has ended, its will included, so that the two never mix.
// A will that waits is not published when the client is back in time [MQTT-3.1.3-9].
func (s *Server) takeOver(c *conn, fresh bool) {
	for {
		s.mu.Lock()
		old := s.sessions[c.clientID]
		if old == nil {
			s.sessions[c.clientID] = c
			s.most = max(s.most, len(s.sessions))
			s.connected.Add(1)
			waiting, known := s.wills[c.clientID]
			delete(s.wills, c.clientID)
			if fresh {
				delete(s.taken, c.clientID)
			}
			s.mu.Unlock()
			if known && fresh { // the session that it belongs to ends now
				s.publishWill(context.Background(), waiting.will)
			}
			return
		}
		if fresh {
			old.fresh.Store(true)
		}
		s.mu.Unlock()
		old.end(errTakenOver)
		<-old.done // soon: nothing in an ending connection waits without a limit
	}
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[c.clientID] == c {
		delete(s.sessions, c.clientID)
	}
}

// takenFlights are messages of shared subscriptions whose delivery a session has begun, while its client
// is away. A kill forgets them: then another member has them again.
type takenFlights struct {
	list  []Flight
	until time.Time // zero: for ever
}

// maxTaken bounds the sessions with such messages; the messages of one are bounded by its window.
const maxTaken = 10_000

func (s *Server) keepTaken(id string, taken []flight, expiry time.Duration) {
	kept := takenFlights{}
	for _, f := range taken {
		if f.State != FlightReceived {
			f.Flight.State = FlightSentExactly
		}
		kept.list = append(kept.list, f.Flight)
	}
	if expiry > 0 {
		kept.until = time.Now().Add(expiry)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) < maxTaken {
		s.taken[id] = kept
	}
}

// takenOver gives what keepTaken kept for a session, once.
func (s *Server) takenOver(id string) []Flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.taken[id]
	delete(s.taken, id)
	return kept.list
}

// bequeath publishes the will of a connection that ended without a goodbye [MQTT-3.1.2-8, MQTT-3.1.2-10],
// once its delay has passed or its session has ended, whichever is first.
func (s *Server) bequeath(gateway context.Context, c *conn, err error, ended bool) {
	if c.will == nil || errors.Is(err, errDisconnect) {
		return
	}
	delay := c.will.delay
	if c.peer.expiry >= 0 {
		delay = min(delay, c.peer.expiry)
	}
	if delay == 0 || ended || gateway.Err() != nil { // a gateway that stops cannot wait
		s.publishWill(gateway, c.will)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wills[c.clientID] = pendingWill{time.Now().Add(delay), c.will}
}

func (s *Server) publishWill(ctx context.Context, w *will) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), willTimeout)
	defer cancel()
	if err := s.backend.Publish(ctx, &w.message, nil, 0); err != nil {
		s.warn("a will was not published", "client", w.message.Client, "topic", w.message.Topic, "err", err)
	}
}

const (
	houseEvery = time.Second
	idleEvery  = 5 // times that: then sessions to which nothing comes follow the log
)

// keepHouse does what comes round until ctx ends: wills that are due, writers with nothing to write,
// sessions whose place in the log moves although nothing is delivered, the topics below $SYS.
func (s *Server) keepHouse(ctx context.Context) {
	tick := time.NewTicker(houseEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.publishWills(ctx, func(w pendingWill) bool { return !now.Before(w.at) })
			s.visit(n%idleEvery == 0)
			if now.Sub(s.sys.told) >= sysEvery {
				s.tell(now)
			}
		}
	}
}

// closeHouse is for when the last connection has ended: a gateway that stops cannot wait for the delay of
// a will.
func (s *Server) closeHouse(ctx context.Context) {
	s.publishWills(ctx, func(pendingWill) bool { return true })
}

func (s *Server) publishWills(ctx context.Context, due func(pendingWill) bool) {
	var now []*will
	s.mu.Lock()
	for id, w := range s.wills {
		if due(w) {
			now = append(now, w.will)
			delete(s.wills, id)
		}
	}
	s.mu.Unlock()
	for _, w := range now {
		s.publishWill(ctx, w)
	}
}

// visit lets connections save what they can.
func (s *Server) visit(idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, kept := range s.taken {
		if idle && !kept.until.IsZero() && time.Now().After(kept.until) {
			delete(s.taken, id)
		}
	}
	for _, c := range s.sessions {
		c.out.rest()
		if idle && c.delivery != nil && c.session != nil {
			c.delivery.hurry()
		}
	}
}
