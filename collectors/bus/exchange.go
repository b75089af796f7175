package bus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	glance     = 20 * time.Millisecond  // how long a serial port is waited for without a look at ctx and Close
	glanceTCP  = 100 * time.Millisecond // the same for a connection: each look costs a deadline
	glitch     = 3                      // bytes below which what came may be a disturbance and no answer yet
	lateWindow = 2 * time.Second        // how long after a time-out a foreign answer on the line is no surprise
	idle       = glance                 // after so long a rest, a connection may have been closed by the other end
	maxSilent  = 2                      // exchanges without a byte until a dialled connection counts as dead
)

// progress is what is known of the exchange under way.
type progress struct {
	sent     bool                     // some of the request may be on the line
	out      uint64                   // Seq of its frame
	sentAt   time.Time                // when its last character is on the line
	firstIn  time.Time                // when the first byte of what came did
	in       int                      // bytes that came
	overhear func(b []byte) Overheard // the request's
}

// exchange runs one exchange within the turn.
func (p *Port) exchange(ctx context.Context, c *Client, q *Request) ([]byte, error) {
	if len(q.Frame) > maxRequest {
		return nil, fmt.Errorf("%s: a request of %d bytes is longer than %d", p.label, len(q.Frame), maxRequest)
	}
	p.x = progress{overhear: q.Overhear}
	p.listens = p.listens || len(q.Frame) == 0
	c.noteIn(0)
	answer, err := p.attempt(ctx, c, q)
	p.ended, p.last = time.Now(), c
	p.exchanges++
	p.asked = append(p.asked[:0], q.Frame...)
	if err != nil {
		err = p.failed(c, q, err)
	}
	p.account(c, q, err)
	return answer, err
}

func (p *Port) attempt(ctx context.Context, c *Client, q *Request) ([]byte, error) {
	if err := p.ready(ctx, c, q); err != nil {
		return nil, err
	}
	if err := p.send(ctx, c, q); err != nil {
		return nil, err
	}
	return p.receive(ctx, c, q)
}

// failed says what an error means for the line, and where it happened.
func (p *Port) failed(c *Client, q *Request, err error) error {
	noReply, isNoReply := errors.AsType[*NoReplyError](err)
	switch {
	case errors.Is(err, ErrHungUp):
		if !p.x.sentAt.IsZero() {
			p.noteHangUp()
		}
		err = errors.Join(err, p.hangUp())
	case isNoReply:
		p.unanswered(c, q, noReply)
	case p.x.sent && p.matched(q):
		// Whoever gave up, its answer is still to come; it is passed over by its id. Half of one
		// is not.
		if p.x.in > 0 {
			_ = p.hangUp()
		}
	case p.x.sent:
		p.dirty = true
		p.expectLate(c, q)
	}
	if !p.x.sent && len(q.Frame) > 0 {
		err = &notSent{err}
	}
	return fmt.Errorf("%s: %w", p.label, err)
}

// unanswered prepares the line for an answer that comes too late after all.
func (p *Port) unanswered(c *Client, q *Request, err *NoReplyError) {
	now := time.Now()
	if p.x.in > 0 {
		p.dirty, p.silences = true, 0
		if p.matched(q) {
			_ = p.hangUp() // the rest of an answer would be taken for the beginning of the next
		}
		if now.Before(p.lateUntil) {
			p.expectLate(c, q) // what came may have been another's
		}
		return
	}
	if len(q.Frame) == 0 || q.Quiet {
		return
	}
	p.silences++
	p.overdue = c
	p.lateUntil = now.Add(lateWindow)
	p.frames.judge(p.x.out, err.Error())
	p.expectLate(c, q)
	// What a DTU's connection is worth only the DTU knows: to come back takes it half a minute.
	if p.silences >= maxSilent && p.opened.Dial != "" {
		_ = p.hangUp()
	}
}

func (p *Port) expectLate(c *Client, q *Request) {
	if late := q.late(); late > 0 {
		c.holdBack(time.Now().Add(late))
	}
}

// matched says whether the answers tell themselves apart, which on a serial line they do not.
func (p *Port) matched(q *Request) bool { return q.Matched && p.serial == nil }

// keeps says whether bytes behind an answer belong to a later exchange.
func (p *Port) keeps(q *Request) bool { return p.matched(q) || len(q.Frame) == 0 }

// ready makes the line open, quiet, and set as the request wants it.
func (p *Port) ready(ctx context.Context, c *Client, q *Request) error {
	fresh, err := p.open(ctx, q.Timeout)
	if err != nil {
		return err
	}
	err = p.prepare(ctx, c, q)
	if fresh || !errors.Is(err, ErrHungUp) {
		return err
	}
	// It went away since the last exchange; perhaps it is back. A connection that was closed while
	// nobody used it is no loss, an adapter that was pulled is.
	if p.serial != nil {
		p.noteHangUp()
	}
	if err := p.hangUp(); err != nil {
		return err
	}
	if _, again := p.open(ctx, q.Timeout); again != nil {
		return fmt.Errorf("%w: %w", ErrHungUp, again)
	}
	return p.prepare(ctx, c, q)
}

func (p *Port) prepare(ctx context.Context, c *Client, q *Request) error {
	if p.matched(q) {
		if p.exchanges > 0 || time.Since(p.lastByte) < idle {
			return nil
		}
		return p.stream.ended()
	}
	silence := p.opened.silence(p.character)
	if p.serial != nil {
		wanted := p.opened.Character
		if q.Character != nil {
			wanted = q.Character.withDefaults()
		}
		if err := p.change(wanted); err != nil {
			return err
		}
		// The devices at the other rate have heard nothing but noise so far.
		silence = max(silence, p.opened.silence(p.character))
	}
	if p.dirty {
		silence = max(silence, p.gap(q))
	}
	if len(q.Frame) == 0 {
		if p.exchanges > 0 {
			return nil // what has come since belongs to who listens
		}
		silence = 0 // nothing to disturb: only what is old goes
	}
	p.rest = p.rest[:0]
	if err := p.settle(ctx, c, q, silence); err != nil {
		return err
	}
	p.dirty = false
	return nil
}

func (p *Port) change(c Character) error {
	if err := p.serial.change(c, p.lastByte); err != nil {
		return err
	}
	p.character = c
	return nil
}

func (p *Port) gap(q *Request) time.Duration {
	if q.Gap > 0 {
		return q.Gap
	}
	return p.opened.gap(p.character)
}

// settle waits until the line has been quiet for the silence, and throws away what arrives until
// then: an answer that came too late for its request.
func (p *Port) settle(ctx context.Context, c *Client, q *Request, silence time.Duration) error {
	begin := c.heldBack() // in the turns of others it waited outside
	if p.last != c && p.opened.Turnaround > 0 {
		begin = later(begin, p.ended.Add(p.opened.Turnaround))
	}
	if p.dirty {
		begin = later(begin, p.ended.Add(p.gap(q))) // the pause that ended the answer was its first
	}
	if len(q.Frame) == 0 {
		begin = time.Time{}
	}
	var giveUp, theirs time.Time
	thrown := 0
	for {
		// Reading comes before the clock: what lies in the queue already must be thrown away even
		// when the silence is long over.
		if len(p.thrown) == cap(p.thrown) {
			p.showThrown()
		}
		room := p.thrown[len(p.thrown):cap(p.thrown)]
		quiet := later(later(begin, theirs), p.lastByte.Add(silence))
		n, err := p.read(ctx, room, quiet)
		if err != nil {
			p.showThrown()
			return err
		}
		if n > 0 {
			p.lastByte = time.Now()
			n = len(p.beats.strip(room[:n], n))
		}
		if n == 0 {
			if !time.Now().Before(later(later(begin, theirs), p.lastByte.Add(silence))) {
				p.showThrown()
				return nil
			}
			continue
		}
		thrown += n
		p.echo.tail()
		p.thrown = p.thrown[:len(p.thrown)+n]
		// Another master waits for its answer, which could be taken for ours.
		if theirs = (time.Time{}); p.asksOther(p.thrown) {
			theirs = p.lastByte.Add(q.Timeout)
		}
		switch {
		case giveUp.IsZero():
			giveUp = later(begin, p.lastByte).Add(silence + q.Timeout)
		case p.lastByte.After(giveUp):
			p.showThrown()
			p.noteNoise()
			return fmt.Errorf("%w: bytes kept coming for %v, %d of them", ErrNoise, silence+q.Timeout, thrown)
		}
	}
}

// showThrown lets the monitor see what was thrown away.
func (p *Port) showThrown() {
	if len(p.thrown) > 0 {
		p.frames.put(p.lastByte, In, p.thrown, "", "", "nobody waited for this any more")
		p.strays(p.thrown, p.asked, true)
	}
	if p.thrown == nil {
		p.thrown = make([]byte, 0, 512)
	}
	p.thrown = p.thrown[:0]
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// send puts the request on the line and says when it will be there as a whole.
func (p *Port) send(ctx context.Context, c *Client, q *Request) error {
	now := time.Now()
	if end, ok := ctx.Deadline(); ok && !end.After(now) {
		return context.DeadlineExceeded // the context's own timer is a little late
	}
	p.x.sentAt = now
	if len(q.Frame) == 0 {
		return nil
	}
	p.x.sent = true
	err := p.line.write(q.Frame)
	// The device has the request by now, and this happens while it works on it.
	verdict := ""
	if err != nil {
		verdict = err.Error()
	}
	p.x.out = p.frames.put(now, Out, q.Frame, c.device, q.Protocol, verdict)
	if err != nil {
		return err
	}
	p.lastByte = now
	if p.serial == nil {
		return nil
	}
	p.x.sentAt = now.Add(p.character.wireTime(len(q.Frame)))
	p.lastByte = p.x.sentAt
	if q.After != nil {
		return p.change(q.After.withDefaults())
	}
	return nil
}

// read waits for bytes until that moment, and never long without looking at ctx and at Close. It
// returns 0 when none came.
func (p *Port) read(ctx context.Context, b []byte, until time.Time) (int, error) {
	look := glance
	if p.stream != nil {
		look = glanceTCP
	}
	for {
		if p.isGone() {
			return 0, ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		now := time.Now()
		stop, last := now.Add(look), false
		if !until.After(stop) {
			stop, last = until, true
		}
		if end, ok := ctx.Deadline(); ok && end.Before(stop) {
			if !end.After(now) {
				return 0, context.DeadlineExceeded
			}
			stop, last = end, false
		}
		n, err := p.line.read(b, stop)
		if n > 0 || err != nil || last && !time.Now().Before(until) {
			return n, err
		}
	}
}
