package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"sluice/gateway/message"
)

// What an event tells of an alarm. A gap is a message of the log itself: what the disk limit took before it
// was delivered.
const (
	Raised       = "raised"
	Cleared      = "cleared"
	Acknowledged = "acknowledged"
	Gap          = "gap"
)

// Event is a message on alarms/{gateway}/{device}.
type Event struct {
	Gateway  string          `json:"gateway"`
	Alarm    string          `json:"alarm"`
	State    string          `json:"state"`
	Severity string          `json:"severity"`
	Device   string          `json:"device"`
	Point    string          `json:"point,omitempty"`
	Value    json.RawMessage `json:"value,omitempty"` // a scalar; missing where there was none
	Text     string          `json:"text"`
	TextZH   string          `json:"text_zh,omitempty"`
	Time     int64           `json:"ts"`             // Unix milliseconds
	ID       string          `json:"id"`             // of the alarm, the same from its raising to its end
	Since    int64           `json:"since"`          // when what it is about began, Unix milliseconds
	By       string          `json:"by,omitempty"`   // who acknowledged
	Note     string          `json:"note,omitempty"` // and said what
}

// mark is on every event that the gateway's rules made. No client can send a property with such a name, so
// nobody else's message changes what the rules know.
const mark = "\x00alarm"

// Message is the event as it goes into the log. It is not retained: a device may have several alarms, of
// which the topic could keep but the last event.
func (e *Event) Message() *message.Message {
	payload, err := json.Marshal(e)
	if err != nil {
		panic("bug: an event cannot fail to marshal: " + err.Error())
	}
	return &message.Message{
		Topic: "alarms/" + e.Gateway + "/" + e.Device, Payload: payload, QoS: 1,
		Properties: []message.Property{{Name: mark, Value: e.ID}},
	}
}

// Own says whether a record is an event that the gateway's rules made.
func Own(r *message.Record) bool {
	_, marked := r.Property(mark)
	return marked && r.Client == ""
}

var errNoEvent = errors.New("no event of an alarm")

// DecodeEvent reads what lies on alarms/…: an event of a rule, or the message of a gap.
func DecodeEvent(payload []byte) (Event, error) {
	var read struct {
		Event
		From uint64 `json:"from"`
		To   uint64 `json:"to"`
	}
	if !utf8.Valid(payload) {
		return Event{}, errNoEvent
	}
	if err := json.Unmarshal(payload, &read); err != nil {
		return Event{}, fmt.Errorf("%w: %w", errNoEvent, err)
	}
	e := read.Event
	if len(e.Value) > 0 && (e.Value[0] == '{' || e.Value[0] == '[') {
		return Event{}, errNoEvent
	}
	if string(e.Value) == "null" {
		e.Value = nil
	}
	switch e.State {
	case Raised, Cleared, Acknowledged:
		if e.Alarm == "" || e.ID == "" || severities[e.Severity] == 0 {
			return Event{}, errNoEvent
		}
	case "":
		if e.Alarm != Gap || e.Device == "" {
			return Event{}, errNoEvent
		}
		e.State, e.Severity, e.Since = Gap, "warning", e.Time
		e.Text = fmt.Sprintf("%s: readings %d to %d were lost at the disk limit before they were delivered", e.Device, read.From, read.To)
		e.TextZH = fmt.Sprintf("%s：磁盘已达上限，第 %d 至 %d 条读数未送达即被丢弃", e.Device, read.From, read.To)
	default:
		return Event{}, errNoEvent
	}
	return e, nil
}

// severities orders them: the greater is the worse.
var severities = map[string]int{"info": 1, "warning": 2, "critical": 3}

// Words is the event's text in a language, en or zh.
func (e *Event) Words(language string) string {
	if language == "zh" && e.TextZH != "" {
		return e.TextZH
	}
	return e.Text
}
