package rules

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"sluice/gateway/message"
)

// saved is everything that the engine knows as of a position. It is written now and then; what came behind
// is found again in the log.
type saved struct {
	Version  int              `json:"version"`
	Epoch    uint64           `json:"epoch"` // of the log that the position is one of
	Position message.Position `json:"position"`
	Time     int64            `json:"ts"` // when it was written
	States   []savedState     `json:"states"`
}

type savedState struct {
	Alarm    string           `json:"alarm"`
	When     string           `json:"when"`
	Severity string           `json:"severity"`
	Device   string           `json:"device"`
	Point    string           `json:"point,omitempty"`
	Phase    phase            `json:"phase,omitempty"`
	ID       string           `json:"id,omitempty"`
	Since    int64            `json:"since,omitempty"`
	Due      int64            `json:"due,omitempty"`
	Seen     int64            `json:"seen"`
	Position message.Position `json:"position,omitempty"`
	Value    json.RawMessage  `json:"value,omitempty"`
	Acked    *Acknowledgement `json:"acknowledged,omitempty"`
	Text     string           `json:"text,omitempty"`
	TextZH   string           `json:"text_zh,omitempty"`
	From     int64            `json:"from,omitempty"`
	Base     float64          `json:"base,omitempty"`
	Ran      bool             `json:"ran,omitempty"`
}

const savedVersion = 1

func (s *saved) encode() []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic("bug: what the engine knows cannot fail to marshal: " + err.Error())
	}
	return text
}

var errSaved = errors.New("what was saved of the alarms cannot be read")

func decodeSaved(text []byte) (*saved, error) {
	var s saved
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", errSaved, err)
	}
	if s.Version != savedVersion {
		return nil, fmt.Errorf("%w: it has the version %d", errSaved, s.Version)
	}
	for i := range s.States {
		st := &s.States[i]
		if st.Phase > clearing || (st.Phase == normal) != (st.ID == "") {
			return nil, fmt.Errorf("%w: %s of %s has the phase %d", errSaved, st.Alarm, st.Device, st.Phase)
		}
	}
	return &s, nil
}

// save gives what must be known again: what is not normal, and what is compared with the value before.
func (c *core) save() (list []savedState) {
	for _, s := range c.states {
		if s.phase == normal && (s.seen == 0 || s.rule.When != "changes" && s.rule.When != "rate" && s.rule.When != "silence") {
			continue
		}
		one := savedState{
			Alarm: s.rule.Name, When: s.rule.When, Severity: s.rule.Severity, Device: s.device, Point: s.point, Phase: s.phase, ID: s.id, Since: s.since,
			Due: s.due, Seen: s.seen, Position: s.position, Acked: s.acked, Text: s.text, TextZH: s.textZH, From: s.from, Base: s.base, Ran: s.ran,
		}
		if !s.value.Absent() {
			one.Value = s.value.AppendJSON(nil)
		}
		list = append(list, one)
	}
	return list
}

// restore takes up what was saved. What is raised of a rule that is gone, or watches something else now, ends.
func (c *core) restore(list []savedState, now int64) {
	for i := range list {
		old := &list[i]
		raised := old.Phase == active || old.Phase == clearing
		s := c.reach(old, now)
		switch {
		case s == nil && raised:
			c.out = append(c.out, c.farewell(old, now))
		case s == nil || s.rule.When != old.When && !raised:
		default:
			s.phase, s.id, s.since, s.seen, s.position, s.acked = old.Phase, old.ID, old.Since, old.Seen, old.Position, old.Acked
			s.from, s.base, s.ran, s.text, s.textZH = old.From, old.Base, old.Ran, old.Text, old.TextZH
			s.value = scalar(old.Value, message.Value{})
			c.schedule(s, old.Due)
			if raised {
				c.open[s.id] = s
			}
			if raised && s.text == "" {
				s.text, s.textZH = s.rule.words(s, false)
			}
		}
	}
}

// reach gives the state that something saved was of; nil when no rule wants it any more.
func (c *core) reach(old *savedState, now int64) *state {
	w := c.watch(old.Device, now)
	if w == nil {
		return nil
	}
	if old.Point != "" {
		c.of(w, old.Device, []byte(old.Point), now)
	}
	return c.find(old.Alarm, old.Device, old.Point)
}

func (c *core) farewell(old *savedState, now int64) Event {
	return Event{
		Gateway: c.gateway, Alarm: old.Alarm, State: Cleared, Severity: cmp.Or(old.Severity, "warning"), Device: old.Device, Point: old.Point, Value: old.Value,
		Time: now, ID: old.ID, Since: old.Since,
		Text: old.Alarm + ": the rule is gone", TextZH: old.Alarm + "：规则已不存在",
	}
}

// wake lets no silence count for which nobody listened: the gateway did not run for so many milliseconds.
func (c *core) wake(after int64) {
	for _, s := range c.states {
		if s.rule.When == "silence" && s.phase == normal && s.due != 0 {
			c.schedule(s, s.due+after)
		}
	}
}

// tale is what the log tells of alarms behind the position that was saved: what need not be told again.
type tale struct {
	told map[string]bool  // identifier and state
	last map[string]Event // of each alarm, by what it is about
}

func newTale() *tale { return &tale{map[string]bool{}, map[string]Event{}} }

func (t *tale) add(e *Event) {
	t.told[e.ID+e.State] = true
	if e.State != Acknowledged {
		t.last[e.Alarm+"\x00"+e.Device+"\x00"+e.Point] = *e
	}
}

// settle makes what the core knows and what the log has told agree: where a clock or a kill has let them
// part, the alarm ends or begins once more.
func (t *tale) settle(c *core, now int64) {
	for _, name := range sortedKeys(t.last) {
		e := t.last[name]
		s := c.find(e.Alarm, e.Device, e.Point)
		switch {
		case s == nil || !s.raised():
			if e.State == Raised {
				e.State, e.Time = Cleared, now
				c.out = append(c.out, e)
			}
		case e.State == Raised && s.id != e.ID:
			c.out = slices.DeleteFunc(c.out, func(decided Event) bool { return decided.ID == s.id && decided.State == Raised })
			delete(c.open, s.id)
			s.id = e.ID
			c.open[s.id] = s
		case e.State == Cleared:
			delete(c.open, s.id)
			s.id += "a"
			c.open[s.id] = s
			c.tell(s, Raised, now)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
