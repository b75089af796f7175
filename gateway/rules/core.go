package rules

import (
	"container/heap"
	"hash/fnv"
	"strconv"
	"strings"

	"sluice/gateway/config"
	"sluice/gateway/message"
)

// The bounds of what is kept. Beyond them nothing new is watched, or raised, and that is counted.
const (
	maxStates = 50_000 // rule, device and point together: 200 bytes each
	maxActive = 10_000
)

type phase byte

const (
	normal phase = iota
	pending
	active
	clearing // active still, but what it is about is over
)

// state is where one rule stands with one point of one device, or with a device.
type state struct {
	rule          *rule
	device, point string
	phase         phase
	id            string // while it is not normal
	since         int64  // when what it is about began; the times are Unix milliseconds
	due           int64  // when the phase ends by itself; 0: never
	seen          int64  // of the last value
	position      message.Position
	value         message.Value
	acked         *Acknowledgement
	text, textZH  string // what was told when it was raised
	index         int    // in the heap of those that are due, from 1 on; 0: not there

	from int64 // of rate: when the window began, with which value, and how the last one ended
	base float64
	ran  bool
}

// Acknowledgement is who has seen an alarm.
type Acknowledgement struct {
	By   string `json:"by"`
	Note string `json:"note,omitempty"`
	Time int64  `json:"ts"`
}

func (s *state) raised() bool { return s.phase == active || s.phase == clearing }

// watched is what there is to ask about one device.
type watched struct {
	points map[string][]*state
	each   []*rule  // rules about every point
	states []*state // about the device's state
	silent []*state // about any reading
}

// core decides, from readings in the order of the log and from the time, and knows neither. It is not safe
// for several goroutines.
type core struct {
	gateway string
	rules   []*rule
	devices map[string]*watched
	states  []*state
	due     dueHeap
	open    map[string]*state // what is raised, by its identifier
	out     []Event           // decided and not taken yet
	excess  uint64            // what the bounds kept out

	position message.Position // of the record that is looked at
	reading  reading
}

func newCore(gateway string, alarms []config.Alarm) *core {
	c := &core{gateway: gateway, devices: map[string]*watched{}, open: map[string]*state{}}
	for _, a := range alarms {
		if a.Enabled {
			c.rules = append(c.rules, newRule(a))
		}
	}
	return c
}

// watch gives what is asked about a device; nil when no rule is about it.
func (c *core) watch(device string, now int64) *watched {
	if w, known := c.devices[device]; known {
		return w
	}
	var w *watched
	for _, r := range c.rules {
		if !r.Watches(device) {
			continue
		}
		if w == nil {
			w = &watched{points: map[string][]*state{}}
			device = strings.Clone(device)
		}
		switch {
		case r.When == "state":
			w.states = c.add(w.states, r, device, "", now)
		case r.ofDevice():
			w.silent = c.add(w.silent, r, device, "", now)
		case r.Point == "*":
			w.each = append(w.each, r)
		default:
			w.points[r.Point] = c.add(w.points[r.Point], r, device, r.Point, now)
		}
	}
	if len(c.devices) < maxStates {
		c.devices[device] = w
	}
	return w
}

// add begins to watch something.
func (c *core) add(to []*state, r *rule, device, point string, now int64) []*state {
	if len(c.states) >= maxStates {
		c.excess++
		return to
	}
	s := &state{rule: r, device: device, point: point, seen: now}
	c.states = append(c.states, s)
	if r.When == "silence" {
		c.schedule(s, now+r.confirm)
	}
	return append(to, s)
}

// of gives what is asked about a point. States of rules about every point stand behind the others.
func (c *core) of(w *watched, device string, point []byte, now int64) []*state {
	list := w.points[string(point)]
	if len(w.each) == 0 || len(list) > 0 && list[len(list)-1].rule.Point == "*" {
		return list
	}
	name := string(point)
	for _, r := range w.each {
		list = c.add(list, r, device, name, now)
	}
	if len(list) > 0 {
		w.points[name] = list
	}
	return list
}

// take looks at a reading: payload is what lies on readings/{gateway}/{device}, stored when the log took it.
func (c *core) take(device string, payload []byte, stored int64) {
	w := c.watch(device, stored)
	if w == nil || c.reading.read(payload) != nil {
		return
	}
	at := stored
	if c.reading.time > 0 && c.reading.time < stored {
		at = c.reading.time // what claims to be of the future is of now
	}
	for _, s := range w.silent {
		c.hear(s, message.Value{}, at)
	}
	if c.reading.values == nil {
		return
	}
	_ = walk(c.reading.values, func(name, token []byte) error {
		for _, s := range c.of(w, device, name, at) {
			v := scalar(token, s.value)
			if v.Absent() || c.bad(name) {
				continue // no value: it neither raises nor ends anything
			}
			c.hear(s, v, at)
		}
		return nil
	})
}

// bad says whether a point of the reading stands under errors: its value, if it has one, is an old one.
func (c *core) bad(name []byte) (found bool) {
	if c.reading.errors == nil {
		return false
	}
	_ = walk(c.reading.errors, func(other, _ []byte) error {
		found = found || string(other) == string(name)
		return nil
	})
	return found
}

// condition looks at a device's state, as status/{gateway}/{device} tells it.
func (c *core) condition(device, condition string, at int64) {
	w := c.watch(device, at)
	if w == nil {
		return
	}
	for _, s := range w.states {
		c.hear(s, message.Text(condition), at)
	}
}

// hear is a value of what a state watches.
func (c *core) hear(s *state, v message.Value, at int64) {
	if at < s.seen { // the clock went back, or somebody sends what is old: no time has passed
		c.shift(s, at-s.seen)
	}
	if s.due != 0 && at >= s.due {
		c.lapse(s)
	}
	raised := s.raised()
	holds := false
	switch s.rule.When {
	case "silence":
	case "state":
		word, _ := v.AsText()
		for _, wanted := range s.rule.states {
			holds = holds || word == wanted
		}
	default:
		holds = s.rule.holds(s, v, at, raised)
	}
	s.seen, s.position, s.value = at, c.position, v
	switch {
	case s.rule.When == "silence":
		c.unhold(s, at)
		if !s.raised() {
			c.schedule(s, at+s.rule.confirm)
		}
	case holds:
		c.hold(s, at)
	default:
		c.unhold(s, at)
	}
}

// hold: what the rule is about is so.
func (c *core) hold(s *state, at int64) {
	switch s.phase {
	case normal:
		s.phase, s.since, s.id = pending, at, c.name(s)
		c.schedule(s, at+s.rule.confirm)
		if s.rule.confirm == 0 {
			c.lapse(s)
		}
	case clearing:
		s.phase = active
		c.schedule(s, 0)
	}
	if s.rule.When == "changes" && s.phase == active { // a change is over at once
		s.phase = clearing
		c.schedule(s, at+s.rule.end)
	}
}

// unhold: it is not so.
func (c *core) unhold(s *state, at int64) {
	switch s.phase {
	case pending:
		s.phase, s.id = normal, ""
		c.schedule(s, 0)
	case active:
		s.phase = clearing
		c.schedule(s, at+s.rule.end)
		if s.rule.end == 0 {
			c.lapse(s)
		}
	}
}

// lapse: a state's time has come.
func (c *core) lapse(s *state) {
	at := s.due
	c.schedule(s, 0)
	switch s.phase {
	case normal: // silence
		s.id, s.since = c.name(s), s.seen
		c.raise(s, at)
	case pending:
		c.raise(s, at)
	case clearing:
		c.clear(s, at)
	}
}

func (c *core) raise(s *state, at int64) {
	if len(c.open) >= maxActive {
		c.excess++
		s.phase, s.id = normal, ""
		return
	}
	s.phase, s.acked = active, nil
	s.text, s.textZH = s.rule.words(s, false)
	c.open[s.id] = s
	c.tell(s, Raised, at)
}

func (c *core) clear(s *state, at int64) {
	s.phase = normal
	c.tell(s, Cleared, at)
	delete(c.open, s.id)
	s.id, s.acked = "", nil
	if s.rule.When == "silence" {
		c.schedule(s, s.seen+s.rule.confirm)
	}
}

// advance lets everything happen that is due by itself.
func (c *core) advance(now int64) {
	for len(c.due) > 0 && c.due[0].due <= now {
		c.lapse(c.due[0])
	}
}

// next is when something is due; 0: nothing is.
func (c *core) next() int64 {
	if len(c.due) == 0 {
		return 0
	}
	return c.due[0].due
}

// shift moves what waits of a state by as much as the clock was set, so that no wait ends by that.
func (c *core) shift(s *state, by int64) {
	s.seen += by
	if s.from != 0 {
		s.from += by
	}
	if s.phase == pending {
		s.since += by
	}
	if s.due != 0 {
		c.schedule(s, s.due+by)
	}
}

// name makes an alarm's identifier. It follows from what has begun it, so that after a kill the same alarm
// gets the same one.
func (c *core) name(s *state) string {
	h := fnv.New64a()
	for _, part := range []string{s.rule.Name, s.device, s.point} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	position := c.position
	if s.rule.When == "silence" {
		position = s.position // the last that was heard
	}
	_, _ = h.Write([]byte(strconv.FormatUint(uint64(position), 10)))
	return strconv.FormatUint(h.Sum64(), 36)
}

func (c *core) tell(s *state, what string, at int64) {
	c.out = append(c.out, c.event(s, what, at))
}

func (c *core) event(s *state, what string, at int64) Event {
	e := Event{
		Gateway: c.gateway, Alarm: s.rule.Name, State: what, Severity: s.rule.Severity, Device: s.device, Point: s.point,
		Time: at, ID: s.id, Since: s.since,
	}
	if !s.value.Absent() {
		e.Value = s.value.AppendJSON(nil)
	}
	if e.Text, e.TextZH = s.text, s.textZH; what == Cleared {
		e.Text, e.TextZH = s.rule.words(s, true)
	}
	return e
}

// told is an event of our own as the log has it. What was raised by the time alone comes back to us so after a
// kill; everything else is known already and changes nothing.
func (c *core) told(e *Event) {
	s := c.find(e.Alarm, e.Device, e.Point)
	if s == nil {
		return
	}
	switch {
	case e.State == Raised && !s.raised() && (s.phase == pending && s.id == e.ID || s.rule.When == "silence" && c.name(s) == e.ID):
		if s.phase == normal {
			s.since = s.seen
		}
		s.id, s.phase, s.acked, s.text, s.textZH = e.ID, active, nil, e.Text, e.TextZH
		c.open[s.id] = s
		c.schedule(s, 0)
	case e.State == Cleared && s.phase == clearing && s.id == e.ID:
		delete(c.open, s.id)
		s.phase, s.id, s.acked = normal, "", nil
		c.schedule(s, 0)
	case e.State == Acknowledged && s.raised() && s.id == e.ID && s.acked == nil:
		s.acked = &Acknowledgement{By: e.By, Note: e.Note, Time: e.Time}
	}
}

func (c *core) find(alarm, device, point string) *state {
	w := c.devices[device]
	if w == nil {
		return nil
	}
	for _, list := range [][]*state{w.points[point], w.states, w.silent} {
		for _, s := range list {
			if s.rule.Name == alarm && s.point == point {
				return s
			}
		}
	}
	return nil
}

func (c *core) schedule(s *state, due int64) {
	s.due = due
	switch {
	case due == 0 && s.index != 0:
		heap.Remove(&c.due, s.index-1)
	case due != 0 && s.index != 0:
		heap.Fix(&c.due, s.index-1)
	case due != 0:
		heap.Push(&c.due, s)
	}
}

// dueHeap has what is due first on top; of what is due together, what was watched first.
type dueHeap []*state

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	s := x.(*state)
	*h = append(*h, s)
	s.index = len(*h)
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.index = 0
	return s
}
