package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"sluice/gateway/message"
	"sluice/gateway/rules"
)

const (
	maxLines = 200  // of a message; the rest is counted
	maxSent  = 1000 // times of sendings within an hour, as the configuration allows at most
)

// outbox is what is still to be told, and what bounds it. It is written down before the log may go, so that
// an outage of the mail server costs a file and not the log.
type outbox struct {
	Version  int              `json:"version"`
	Epoch    uint64           `json:"epoch"` // of the log that the position is one of
	Position message.Position `json:"position"`
	Lines    []Line           `json:"lines"`
	More     int              `json:"more"` // events beyond those lines
	Sent     []int64          `json:"sent"` // when, within the last hour, Unix milliseconds
	Reminded int64            `json:"reminded"`
	Number   uint64           `json:"number"` // of the next message
}

// Line is one alarm in a message: its beginning, its end, or both.
type Line struct {
	rules.Event
	Began *int64 `json:"raised,omitempty"`  // Unix milliseconds
	Ended *int64 `json:"cleared,omitempty"` // both: it began and ended before anybody was told
}

const outboxVersion = 1

func (o *outbox) encode() []byte {
	text, err := json.Marshal(o)
	if err != nil {
		panic("bug: an outbox cannot fail to marshal: " + err.Error())
	}
	return text
}

var errOutbox = errors.New("what was saved of a notification cannot be read")

func decodeOutbox(text []byte) (*outbox, error) {
	var o outbox
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, fmt.Errorf("%w: %w", errOutbox, err)
	}
	if o.Version != outboxVersion || len(o.Lines) > maxLines || len(o.Sent) > maxSent || o.More < 0 {
		return nil, errOutbox
	}
	return &o, nil
}

// add takes an event in: the end of an alarm that nobody was told of yet joins its beginning.
func (o *outbox) add(e rules.Event) {
	at := e.Time
	if e.State == rules.Cleared || e.State == rules.Acknowledged {
		if i := slices.IndexFunc(o.Lines, func(l Line) bool { return l.ID == e.ID && l.Began != nil && l.Ended == nil }); i >= 0 {
			if e.State == rules.Cleared {
				o.Lines[i].Ended = &at
			}
			return
		}
	}
	if e.State == rules.Acknowledged {
		return // people know
	}
	if len(o.Lines) >= maxLines {
		o.More++
		return
	}
	line := Line{Event: e}
	if e.State == rules.Cleared {
		line.Ended = &at
	} else {
		line.Began = &at
	}
	o.Lines = append(o.Lines, line)
}

const hour = 3_600_000

// wait is for how many milliseconds nothing more may be sent, with at most so many within an hour.
func (o *outbox) wait(now int64, most int) int64 {
	o.Sent = slices.DeleteFunc(o.Sent, func(at int64) bool { return at <= now-hour || at > now })
	if len(o.Sent) < most {
		return 0
	}
	return o.Sent[len(o.Sent)-most] + hour - now
}

// sent notes that everything up to so many lines was told.
func (o *outbox) sent(lines, more int, now int64) {
	o.Lines = slices.Delete(o.Lines, 0, lines)
	o.More -= more
	o.Number++
	o.Sent = append(o.Sent, now)
	if len(o.Sent) > maxSent {
		o.Sent = slices.Delete(o.Sent, 0, len(o.Sent)-maxSent)
	}
}
