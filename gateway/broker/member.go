package broker

import (
	"context"
	"slices"

	"sluice/gateway/message"
)

// member is one subscription's part in a share.
type member struct {
	share *share
	sub   *Subscription

	durable bool // guarded by share.mu
	held    int  // given and not done; guarded by share.mu

	queued int  // in the inbox of sub; guarded by sub.mu
	gone   bool // guarded by sub.mu
}

// Join makes s a member of the shared subscription of that group and filter: each message goes to one of its
// members. Its number stands in the deliveries that come through it. durable says that the member's
// session outlives its connection: the share's place is then kept under the cursor "share/GROUP/FILTER".
func (s *Subscription) Join(group, filter string, durable bool) (number int, err error) {
	r := &s.broker.router
	r.mu.Lock()
	defer r.mu.Unlock()
	sh, err := s.broker.shareLocked(group, filter, durable)
	if err != nil {
		return 0, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := slices.IndexFunc(sh.members, func(m *member) bool { return m.sub == s }); i >= 0 {
		sh.members[i].durable = durable
		return sh.number, nil
	}
	m := &member{share: sh, sub: s, durable: durable}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.members = append(slices.Clip(s.members), m)
	}
	s.mu.Unlock()
	if closed {
		s.broker.endShareLocked(sh)
		return 0, message.ErrClosed
	}
	sh.members = append(sh.members, m)
	r.listLocked(s, r.position())
	sh.distributeLocked()
	s.signal()
	return sh.number, nil
}

// Leave ends a membership: what the member was given and has not done goes to another one, or waits. ended
// says that its session ends, too: with the last durable one the share's place is forgotten.
func (s *Subscription) Leave(number int, ended bool) {
	s.mu.Lock()
	i := slices.IndexFunc(s.members, func(m *member) bool { return m.share.number == number })
	if i < 0 {
		s.mu.Unlock()
		return
	}
	m := s.members[i]
	m.gone = true
	s.members = slices.Delete(slices.Clone(s.members), i, i+1)
	s.inbox.rework(func(i *item) bool { return i.member != m })
	s.mu.Unlock()

	r := &s.broker.router
	r.mu.Lock()
	defer r.mu.Unlock()
	sh := m.share
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := slices.Index(sh.members, m); i >= 0 {
		sh.members = slices.Delete(sh.members, i, i+1)
	}
	for i := range sh.out {
		if g := &sh.out[i]; g.member == m && !g.done {
			g.member = nil
			sh.loose++
		}
	}
	sh.distributeLocked()
	sh.wakeLocked()
	if ended && m.durable {
		s.broker.forgetLocked(sh)
	}
	s.broker.endShareLocked(sh)
}

// Done says that the member's client has the message at that position: with QoS 0 that it was written.
func (s *Subscription) Done(number int, at message.Position) {
	m := s.member(number)
	if m == nil {
		return
	}
	m.share.mu.Lock()
	defer m.share.mu.Unlock()
	m.share.doneLocked(m, at)
}

func (s *Subscription) member(number int) *member {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		if m.share.number == number {
			return m
		}
	}
	return nil
}

// serveShares gives s more of its shares' messages when it has room for them.
func (s *Subscription) serveShares(ctx context.Context) error {
	s.mu.Lock()
	members := s.members
	s.mu.Unlock()
	for _, m := range members {
		for ctx.Err() == nil {
			s.mu.Lock()
			wants := m.queued < shareWindow/2 && !m.gone
			s.mu.Unlock()
			if !wants {
				break
			}
			more, err := m.share.serve()
			if err != nil {
				return err
			}
			if !more {
				break
			}
		}
	}
	return nil
}

// take puts a message into the member's inbox, unless it has enough.
func (m *member) take(i item) bool {
	s := m.sub
	s.mu.Lock()
	i.member = m
	taken := !m.gone && !s.closed && m.queued < shareWindow && s.inbox.room(i)
	if taken {
		m.queued++
		s.inbox.push(i)
	}
	s.mu.Unlock()
	if taken {
		s.signal()
	}
	return taken
}

// load reads from the log what came through a share without its record: because another member had it
// before, or because it lay in the inbox for too long. What was trimmed meanwhile is done with; what
// cannot be read goes back.
func (s *Subscription) load(dst []message.Delivery, start int) ([]message.Delivery, error) {
	kept := start
	var failed error
	for i := start; i < len(dst); i++ {
		if d := &dst[i]; d.Topic == "" {
			found, err := s.broker.log.Read(nil, d.Position, 1)
			switch {
			case err != nil:
				failed = err
				s.giveBack(d.Share, d.Position)
				continue
			case len(found) == 0 || found[0].Position != d.Position:
				s.Done(d.Share, d.Position)
				continue
			}
			d.Record = found[0]
		}
		dst[kept] = dst[i]
		kept++
	}
	clear(dst[kept:])
	if dst = dst[:kept]; kept > start {
		failed = nil
	}
	return dst, failed
}

// giveBack makes a message that s was given one for the next member.
func (s *Subscription) giveBack(number int, at message.Position) {
	m := s.member(number)
	if m == nil {
		return
	}
	m.share.mu.Lock()
	defer m.share.mu.Unlock()
	if g := m.share.givenLocked(m, at); g != nil {
		g.member = nil
		m.held--
		m.share.loose++
	}
}
