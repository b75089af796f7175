package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/store"
)

// gaps tells the world what the log had to drop although a cursor still wanted it: an entry in the
// stream itself, on alarms/{gateway}/{device}, so that nobody takes a gap for a fault of the line.
type gaps struct {
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	waiting map[string]gap
	dropped uint64
	wake    chan struct{}
}

// gap is a span of sequence numbers that one device lost, both inclusive. Spans that follow each
// other before the first was told become one: the queue is as long as there are devices.
type gap struct{ from, to uint64 }

func newGaps(log *slog.Logger) *gaps {
	return &gaps{log: log, waiting: map[string]gap{}, wake: make(chan struct{}, 1)}
}

// put is called by the log's committing goroutine and neither blocks nor appends.
func (g *gaps) put(lost store.Gap) {
	g.mu.Lock()
	g.dropped += lost.Messages
	for _, d := range lost.Devices {
		span, waits := g.waiting[d.Device]
		if !waits {
			span = gap{from: d.From}
		}
		span.to = d.To
		g.waiting[d.Device] = span
	}
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// gapAlarm is the message that takes a gap's place.
type gapAlarm struct {
	Gateway string `json:"gateway"`
	Device  string `json:"device"`
	Alarm   string `json:"alarm"`
	Epoch   uint64 `json:"epoch"`
	From    uint64 `json:"from"`
	To      uint64 `json:"to"`
	Time    int64  `json:"ts"`
}

// run publishes what was put until ctx ends. At most once a second, so that a log that stays full
// does not fill itself with alarms.
func (g *gaps) run(ctx context.Context, gateway func() string, b *broker.Broker) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.wake:
		}
		g.publish(ctx, gateway(), b)
		pause.Reset(time.Second)
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	}
}

func (g *gaps) publish(ctx context.Context, gateway string, b *broker.Broker) {
	g.mu.Lock()
	waiting, dropped := g.waiting, g.dropped
	g.waiting, g.dropped = map[string]gap{}, 0
	g.mu.Unlock()
	if dropped > 0 {
		g.log.Error("the disk limit took messages that a cursor had not passed", "messages", dropped, "devices", len(waiting))
	}
	for device, span := range waiting {
		epoch, _, err := b.Sequence(device)
		if err != nil {
			g.log.Error("gap not published", "device", device, "err", err)
			continue
		}
		now := time.Now().UnixMilli()
		payload, err := json.Marshal(gapAlarm{gateway, device, "gap", epoch, span.from, span.to, now})
		if err != nil {
			panic("bug: a gap cannot fail to marshal: " + err.Error())
		}
		m := message.Message{Topic: "alarms/" + gateway + "/" + device, Payload: payload, Time: now, QoS: 1}
		if err := b.Publish(ctx, &m, nil, 0); err != nil && ctx.Err() == nil {
			g.log.Error("gap not published", "device", device, "from", span.from, "to", span.to, "err", err)
		}
	}
}
