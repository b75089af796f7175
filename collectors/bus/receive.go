package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// receive waits for the answer.
func (p *Port) receive(ctx context.Context, c *Client, q *Request) ([]byte, error) {
	received := q.Buffer[:0]
	if p.keeps(q) && len(p.rest) > 0 {
		received = append(received, p.rest...)
		p.rest = p.rest[:0]
	}
	if len(q.Frame) == 0 && len(received) > 0 {
		p.x.firstIn, p.x.in = time.Now(), len(received)
		if frame, complete := q.Answer(received); complete {
			return p.answered(c, q, received, frame), nil
		}
	}
	first := p.x.sentAt.Add(q.Timeout)
	until := first
	for {
		if len(received) == cap(received) {
			received = slices.Grow(received, 256)
		}
		n, err := p.read(ctx, received[len(received):cap(received)], until)
		if err != nil || n == 0 {
			return p.giveUp(c, q, received, err)
		}
		p.lastByte = time.Now()
		if p.x.in == 0 {
			p.x.firstIn = p.lastByte
		}
		received = p.beats.strip(received[:len(received)+n], n)
		p.x.in = len(received)
		if p.x.in == 0 {
			continue
		}
		heard, hold := p.heard(q, received)
		if !hold {
			if frame, complete := q.Answer(heard); complete {
				return p.answered(c, q, received, frame), nil
			}
		}
		if len(received) > maxReply {
			p.noteNoise()
			p.show(c, q, received, "no end")
			return nil, fmt.Errorf("%w: %d bytes without an answer among them", ErrNoise, len(received))
		}
		until = p.patience(q, first, len(heard), hold)
	}
}

// heard is the part of received to look for the answer in; with hold it is too early for that.
func (p *Port) heard(q *Request, received []byte) (heard []byte, hold bool) {
	if p.beats.partial(received) {
		return nil, true
	}
	if p.matched(q) {
		return received, false
	}
	heard, hold = p.echo.cut(q.Frame, received)
	return heard, hold || len(heard) == 0
}

// patience is until when the next byte must have come.
func (p *Port) patience(q *Request, first time.Time, heard int, hold bool) time.Time {
	if p.matched(q) || hold {
		return first
	}
	pause := p.lastByte.Add(p.gap(q))
	if heard < glitch || p.lastByte.Before(p.lateUntil) {
		// Not the answer, perhaps, but a disturbance, or somebody else's that is late. The answer
		// has its time all the same.
		return later(first, pause)
	}
	return pause
}

// answered gives the answer to whoever asked.
func (p *Port) answered(c *Client, q *Request, received, frame []byte) []byte {
	end := len(received)
	if p.keeps(q) {
		end = endOf(received, frame)
		p.rest = append(p.rest[:0], received[end:]...)
	} else {
		p.echo.learn(q.Frame, received, true)
	}
	p.silences = 0
	p.show(c, q, received[:end], "")
	if len(frame) > 0 && len(frame) < end {
		p.strays(received[:max(0, endOf(received, frame)-len(frame))], q.Frame, false)
	}
	return frame
}

// show keeps what came for the monitor, an echo in front of it by itself.
func (p *Port) show(c *Client, q *Request, received []byte, verdict string) {
	if !p.keeps(q) && p.echo.state == echoHeard {
		if answer, hold := p.echo.cut(q.Frame, received); !hold && len(answer) < len(received) {
			p.frames.put(p.x.firstIn, In, received[:len(received)-len(answer)], c.device, q.Protocol, "echo of the request")
			received = answer
		}
	}
	if len(received) > 0 {
		c.noteIn(p.frames.put(p.x.firstIn, In, received, c.device, q.Protocol, verdict))
	}
}

// endOf says where in received the frame ends that is a part of it.
func endOf(received, frame []byte) int {
	if len(frame) == 0 {
		return len(received)
	}
	last := &frame[len(frame)-1]
	for i := len(received) - 1; i >= 0; i-- {
		if &received[i] == last {
			return i + 1
		}
	}
	return len(received) // a copy, against the rule of Matched: nothing is known of what is behind it
}

// giveUp ends an exchange in which the time ran out, or err happened.
func (p *Port) giveUp(c *Client, q *Request, received []byte, err error) ([]byte, error) {
	timeIsUp := err == nil || errors.Is(err, context.DeadlineExceeded)
	heard, hold := p.heard(q, received)
	if timeIsUp && hold && len(received) > 0 && p.echo.state != echoHeard {
		// Nothing came behind it. So it is an answer that looks like its request, or none.
		heard, hold = received, false
		if frame, complete := q.Answer(heard); complete {
			return p.answered(c, q, received, frame), nil
		}
	}
	// A copy of the request that nothing came behind is nobody's answer to a question which allows any.
	if err == nil && !hold && q.AtPause != nil && len(heard) > 0 && (p.echo.mode == "off" || !lone(q.Frame, received)) {
		if frame, complete := q.AtPause(heard); complete {
			return p.answered(c, q, received, frame), nil
		}
	}
	if p.matched(q) && p.x.in == 0 {
		p.rest = append(p.rest[:0], received...) // as it was
		received, heard = nil, nil
	}
	if !timeIsUp {
		p.show(c, q, received, err.Error())
		return nil, err
	}
	echo := !p.matched(q) && lone(q.Frame, received)
	if len(heard) == 0 && !echo {
		heard = received
	}
	noReply := &NoReplyError{Waited: q.Timeout, Received: heard, Echo: echo}
	if waited := time.Since(p.x.sentAt); waited < q.Timeout || len(heard) > 0 {
		noReply.Waited = max(waited, 0).Round(time.Millisecond)
	}
	if !p.keeps(q) {
		p.echo.learn(q.Frame, received, false)
	}
	p.show(c, q, received, noReply.Error())
	if len(received) > 0 && p.strays(received, q.Frame, false) {
		p.overdue = c // another's answer, so its own is still to come
	}
	return nil, noReply
}
