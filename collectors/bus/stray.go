package bus

import (
	"bytes"
	"time"
)

// Overheard is what sound frames there are among bytes that answered nothing.
type Overheard struct {
	Requests int  // which another master must have sent
	Answers  int  // which are late, or that master's
	Pending  bool // the last of all is a request, whose answer has not come
}

// Request counts one.
func (o *Overheard) Request() { o.Requests, o.Pending = o.Requests+1, true }

// Answer counts one.
func (o *Overheard) Answer() { o.Answers, o.Pending = o.Answers+1, false }

// strays draws from bytes that answered nothing what there is to know: who else asks on this line, who
// answers too late, and whether somebody speaks whom nobody asked. own is the request whose echo may be
// in front; unasked says that nobody waited for an answer. late says that an answer was among the bytes.
func (p *Port) strays(b, own []byte, unasked bool) (late bool) {
	b, copied := bytes.CutPrefix(b, own)
	copied = copied && len(own) > 0
	var heard Overheard
	if p.x.overhear != nil && len(b) > 0 {
		heard = p.x.overhear(b)
	}
	// The other master's answers come with its requests.
	late = heard.Answers > heard.Requests
	p.mu.Lock()
	if copied && p.echo.mode == "off" && p.x.in > len(own) {
		p.stats.echoes++ // in front of something
	}
	p.stats.foreign += uint64(heard.Requests)
	// The rest of what was damaged has been asked for, and so has what nobody recognises as late.
	if unasked && heard.Requests+heard.Answers == 0 && !p.dirty && !p.listens && time.Now().After(p.lateUntil) {
		p.stats.unasked += uint64(len(b))
	}
	p.mu.Unlock()
	if late && p.overdue != nil {
		p.overdue.noteLate()
		p.overdue = nil
	}
	return late
}

// asksOther says whether somebody else has asked and had no answer yet.
func (p *Port) asksOther(b []byte) bool {
	if p.x.overhear == nil {
		return false
	}
	if rest, own := bytes.CutPrefix(b, p.asked); own && len(p.asked) > 0 {
		b = rest
	}
	return p.x.overhear(b).Pending
}

func (p *Port) noteHangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.hangUps++
}
