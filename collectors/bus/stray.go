package bus

import (
	"bytes"
	"time"
)

// strays draws from bytes that answered nothing what there is to know: who else asks on this line, who
// answers too late, and whether somebody speaks whom nobody asked. own is the request whose echo may be
// in front; unasked says that nobody waited for an answer. late says that an answer was among the bytes.
func (p *Port) strays(b, own []byte, unasked bool) (late bool) {
	b, copied := bytes.CutPrefix(b, own)
	copied = copied && len(own) > 0
	requests, answers := 0, 0
	if p.x.overheard != nil && len(b) > 0 {
		requests, answers = p.x.overheard(b)
	}
	// The other master's answers come with its requests.
	late = answers > requests
	p.mu.Lock()
	if copied && p.echo.mode == "off" && p.x.in > len(own) {
		p.stats.echoes++ // in front of something
	}
	p.stats.foreign += uint64(requests)
	// The rest of what was damaged has been asked for, and so has what nobody recognises as late.
	if unasked && requests+answers == 0 && !p.dirty && !p.listens && time.Now().After(p.lateUntil) {
		p.stats.unasked += uint64(len(b))
	}
	p.mu.Unlock()
	if late && p.overdue != nil {
		p.overdue.noteLate()
		p.overdue = nil
	}
	return late
}

func (p *Port) noteHangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.hangUps++
}
