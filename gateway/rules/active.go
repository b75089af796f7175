package rules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/gateway/message"
)

// Alarm is one that is raised.
type Alarm struct {
	ID, Alarm, Severity, Device, Point string
	Text, TextZH                       string
	Since                              int64 // Unix milliseconds
	Ending                             bool  // what it is about is over, and clear_after not yet
	Value                              message.Value
	Acked                              *Acknowledgement
}

// Active gives what is raised, the worst first and of those the newest.
func (e *Engine) Active() []Alarm {
	e.mu.Lock()
	list := make([]Alarm, 0, len(e.core.open))
	for _, s := range e.core.open {
		list = append(list, show(s))
	}
	e.mu.Unlock()
	slices.SortFunc(list, func(a, b Alarm) int {
		return cmp.Or(severities[b.Severity]-severities[a.Severity], cmp.Compare(b.Since, a.Since), cmp.Compare(a.ID, b.ID))
	})
	return list
}

func show(s *state) Alarm {
	return Alarm{
		ID: s.id, Alarm: s.rule.Name, Severity: s.rule.Severity, Device: s.device, Point: s.point, Since: s.since,
		Ending: s.phase == clearing, Value: s.value, Acked: s.acked,
		Text: s.text, TextZH: s.textZH,
	}
}

// Count is how many alarms are raised, by their severity, and how many of them nobody has acknowledged.
// Excess is what the bounds kept from being watched or raised.
type Count struct {
	Severity map[string]int
	Open     int
	Excess   uint64
}

// Count counts.
func (e *Engine) Count() Count {
	count := Count{Severity: map[string]int{}}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.core.open {
		count.Severity[s.rule.Severity]++
		if s.acked == nil {
			count.Open++
		}
	}
	count.Excess = e.core.excess
	return count
}

// ErrUnknown is the answer to an identifier that no raised alarm has.
var ErrUnknown = errors.New("no such alarm is raised")

// Acknowledge says that somebody has seen an alarm. It returns when that is durable; once more it changes
// nothing.
func (e *Engine) Acknowledge(ctx context.Context, id, by, note string) (Alarm, error) {
	e.mu.Lock()
	s := e.core.open[id]
	if s == nil {
		e.mu.Unlock()
		return Alarm{}, ErrUnknown
	}
	if s.acked != nil {
		defer e.mu.Unlock()
		return show(s), nil
	}
	now := time.Now().UnixMilli()
	event := e.core.event(s, Acknowledged, now)
	event.By, event.Note = by, note
	e.mu.Unlock()
	ctx, stop := context.WithTimeout(ctx, eventWait)
	defer stop()
	if _, err := e.put(ctx, []Event{event}); err != nil {
		return Alarm{}, fmt.Errorf("acknowledge an alarm: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.core.told(&event)
	if s = e.core.open[id]; s == nil {
		return Alarm{}, ErrUnknown // it has ended meanwhile
	}
	return show(s), nil
}

// Event is the alarm as it was raised, told once more.
func (a *Alarm) Event(gateway string) Event {
	e := Event{
		Gateway: gateway, Alarm: a.Alarm, State: Raised, Severity: a.Severity, Device: a.Device, Point: a.Point,
		Text: a.Text, TextZH: a.TextZH, Time: a.Since, Since: a.Since, ID: a.ID,
	}
	if !a.Value.Absent() {
		e.Value = a.Value.AppendJSON(nil)
	}
	return e
}
