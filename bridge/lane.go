package bridge

import (
	"context"
	"fmt"

	"sluice/gateway/message"
)

// Route is one stream of messages to a cloud: what comes out of Source, which already is filtered by
// From, goes to the topic that To makes.
type Route struct {
	Name     string // of its place in the log, by which a Watcher knows it
	From     string // a filter; here for messages to people only
	To       string // a Template
	QoS      byte
	Retain   bool
	Priority int // routes with a higher one are served first; one message of the others goes on between
	Source   Source
	// Live brings what is new beside what Source, after an outage, still has to bring; nil: the
	// route is one stream in one order.
	Live LiveSource
	// Payload makes what goes up of a record; nil: its payload as it is.
	Payload Maker
}

// LiveSource is a second Source over the same cursor that begins with what is new.
type LiveSource interface {
	Source
	// Begin lets it start behind everything that is there now, which is left to the other Source,
	// unless nothing is waiting. It is called when a connection begins; nobody reads either meanwhile.
	Begin()
}

// Maker makes messages of a record. One goroutine at a time uses it.
type Maker interface {
	// Make appends what r becomes: nothing, one message or several. An error is the record's
	// fault: it is set aside.
	Make(dst []Made, r *message.Record) ([]Made, error)
}

// Made is one message that a Maker made.
type Made struct {
	Point   string // what {point} in the topic stands for
	Payload []byte
}

// What {lane} in a topic and the property LaneMark say.
const (
	LaneMark     = "sluice-lane"
	LiveLane     = "live"
	BackfillLane = "backfill"
)

// OriginMark names a gateway that a message has passed. A gateway takes no message from a cloud that
// has passed it before.
const OriginMark = "sluice-origin"

// lane is a route, or one of the two halves of a route with a live one, while Run runs.
type lane struct {
	*Route
	uplink   string
	source   Source
	priority int
	topics   topicMap
	marks    []message.Property
	paces    []*pace
	batch    []message.Record
	made     []Made
	out      Outgoing         // what is being sent
	sent     message.Position // the furthest that was ever sent: at or before it is a repetition
	acked    message.Position // everything up to it is done with
	retry    backoff          // for messages that the cloud refuses

	behind  map[message.Position]struct{} // acknowledged although one before it is not: not sent again
	refused map[message.Position]refusal  // what the cloud did not want and is still in the way
}

// refusal is what is known of a message that the cloud does not want.
type refusal struct {
	tries  int
	reason string
	final  bool // asking again cannot help
}

// lanes gives one lane for each route, two for one that sends what is new first.
func (f *Forwarder) lanes() ([]*lane, error) {
	all, backfill := newPace(f.Limits), newPace(f.Backfill)
	var lanes []*lane
	for i := range f.Routes {
		r := &f.Routes[i]
		to, err := ParseTemplate(r.To)
		if err != nil {
			return nil, fmt.Errorf("route from %s: %w", r.From, err)
		}
		add := func(source Source, priority int, name string, paces ...*pace) {
			marks := []message.Property{{Name: OriginMark, Value: f.Gateway}}
			if r.Live != nil {
				marks = append(marks, message.Property{Name: LaneMark, Value: name})
			}
			lanes = append(lanes, &lane{
				Route: r, uplink: f.Name, source: source, priority: priority,
				topics:  topicMap{to: to, gateway: f.Gateway, lane: name},
				marks:   marks,
				paces:   paces,
				retry:   backoff{random: f.random},
				behind:  make(map[message.Position]struct{}),
				refused: make(map[message.Position]refusal),
			})
		}
		if r.Live == nil {
			add(r.Source, 2*r.Priority+1, LiveLane, all)
			continue
		}
		add(r.Live, 2*r.Priority+1, LiveLane, all)
		add(r.Source, 2*r.Priority, BackfillLane, all, backfill)
	}
	return lanes, nil
}

// pace waits until the caps of the lane let a message of that size go.
func (l *lane) pace(ctx context.Context, bytes int) error {
	for _, p := range l.paces {
		if err := p.wait(ctx, bytes); err != nil {
			return err
		}
	}
	return nil
}

// compose fills made with what r becomes.
func (l *lane) compose(r *message.Record) (err error) {
	if from, known := r.Property(message.FromUplink); known && from == l.uplink {
		l.made = l.made[:0] // the cloud has it: it came from there
		return nil
	}
	if only, known := r.Property(message.OnlyUplink); known && only != l.uplink {
		l.made = l.made[:0] // the cloud has had it: it was another that did not want it
		return nil
	}
	if l.Payload == nil {
		l.made = append(l.made[:0], Made{Payload: r.Payload})
		return nil
	}
	l.made, err = l.Payload.Make(l.made[:0], r)
	return err
}
