package bus

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Visited is a line that devices open to the gateway and that their driver serves itself, such as the
// address at which data loggers report. Nobody takes turns on it: it stands among the set's lines
// because the driver tells what passes, so that people see it as they see all others. The methods may be
// called from anywhere; those of a nil Visited do nothing.
type Visited struct {
	set  *Set
	port *Port

	mu          sync.Mutex // guards what follows
	connections int
	troubled    time.Time // when the trouble came that LastError tells of
}

// troubleLasts is how long a trouble that is no device's own is told: whoever causes it, a stranger
// mostly, comes again every few minutes, and the good reports of others lie between.
const troubleLasts = 10 * time.Minute

// VisitedName is how the line is called that devices open at an address.
func VisitedName(address string) string { return "listen://" + address }

// IsVisited says whether a line of that name is a Visited one: those of the configuration have no such
// names.
func IsVisited(name string) bool { return strings.HasPrefix(name, "listen://") }

// Visited shows a line that a driver listens for at address, until it is closed. A nil Set has none.
func (s *Set) Visited(address string) *Visited {
	if s == nil {
		return nil
	}
	name := VisitedName(address)
	p := newPort(name, name, newRing(busFrames, busBytes), Settings{Listen: address}.withDefaults())
	p.stats.lastError = fmt.Sprintf("%v: nobody has come to %s yet", ErrNotCalled, address)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.links[name] = p
	return &Visited{set: s, port: p}
}

// Close takes the line from among those that are shown.
func (v *Visited) Close() {
	if v == nil {
		return
	}
	v.set.mu.Lock()
	defer v.set.mu.Unlock()
	name := v.port.name
	if v.set.links[name] == v.port { // else the set is closed, or another has the address already
		delete(v.set.links, name)
	}
}

// Enter tells that a connection was opened.
func (v *Visited) Enter() {
	if v != nil {
		v.connected(+1)
	}
}

// Leave tells that one has ended.
func (v *Visited) Leave() {
	if v != nil {
		v.connected(-1)
	}
}

func (v *Visited) connected(change int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.connections += change
	v.port.noteOpen(v.connections > 0)
	p := v.port
	p.mu.Lock()
	defer p.mu.Unlock()
	absent := strings.HasPrefix(p.stats.lastError, ErrNotCalled.Error())
	switch {
	case v.connections > 0 && absent:
		p.stats.lastError = ""
	case v.connections == 0 && p.stats.lastError == "":
		p.stats.lastError = fmt.Sprintf("%v: whoever had come to %s has gone", ErrNotCalled, p.settings.Listen)
	}
}

// Heard keeps what came in one piece, with what is wrong with it, and gives its number for Judge. device is empty
// where nobody knows whose it is.
func (v *Visited) Heard(b []byte, device, protocol, verdict string) (frame uint64) {
	if v == nil {
		return 0
	}
	v.count(func(s *portStats) { s.in += uint64(len(b)) })
	return v.port.frames.put(time.Now(), In, b, device, protocol, verdict)
}

// Said keeps what goes out in one piece.
func (v *Visited) Said(b []byte, device, protocol string) (frame uint64) {
	if v == nil {
		return 0
	}
	v.count(func(s *portStats) { s.out += uint64(len(b)) })
	return v.port.frames.put(time.Now(), Out, b, device, protocol, "")
}

// Judge says what was wrong with a frame after all.
func (v *Visited) Judge(frame uint64, verdict string) {
	if v != nil {
		v.port.frames.judge(frame, verdict)
	}
}

// Trouble tells of something wrong that is no known device's: a stranger, noise.
func (v *Visited) Trouble(text string) {
	if v == nil {
		return
	}
	v.mu.Lock()
	v.troubled = time.Now()
	v.mu.Unlock()
	v.count(func(s *portStats) {
		s.exchanges, s.failures = s.exchanges+1, s.failures+1
		s.lastError = text
	})
}

func (v *Visited) count(change func(*portStats)) {
	v.port.mu.Lock()
	defer v.port.mu.Unlock()
	change(&v.port.stats)
}

// recovered forgets a trouble that did not come again for a while.
func (v *Visited) recovered() {
	v.mu.Lock()
	over := !v.troubled.IsZero() && time.Since(v.troubled) > troubleLasts
	if over {
		v.troubled = time.Time{}
	}
	v.mu.Unlock()
	if over {
		v.count(func(s *portStats) { s.lastError = "" })
	}
}

// Visitor is one known device on a Visited line. The methods of a nil Visitor do nothing.
type Visitor struct {
	visited *Visited
	client  *Client
}

// Visitor counts for a device that is expected on the line, until it departs.
func (v *Visited) Visitor(device string) *Visitor {
	if v == nil {
		return nil
	}
	c := &Client{set: v.set, address: v.port.name, device: device, port: v.port, awake: true}
	v.port.join(c)
	return &Visitor{visited: v, client: c}
}

// Depart says that the device is expected no longer.
func (r *Visitor) Depart() {
	if r != nil {
		r.visited.port.leave(r.client)
	}
}

// Good counts something that the device said and that was understood.
func (r *Visitor) Good() {
	if r == nil {
		return
	}
	r.visited.recovered()
	r.account(answered)
}

// Damaged counts what did not arrive as it was sent.
func (r *Visitor) Damaged() {
	if r != nil {
		r.account(faulty + outcome(Damaged))
	}
}

// TurnedAway counts what the device said and was not allowed to, because of its password.
func (r *Visitor) TurnedAway() {
	if r != nil {
		r.account(refused)
	}
}

// Unanswered counts a request of the gateway that the device did not answer.
func (r *Visitor) Unanswered() {
	if r != nil {
		r.account(silent)
	}
}

func (r *Visitor) account(o outcome) {
	r.visited.count(func(s *portStats) {
		s.exchanges++
		if o != answered {
			s.failures++
		}
	})
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	r.client.stats.counts[o]++
	if o == answered {
		r.client.stats.lastGood = time.Now()
	}
}
