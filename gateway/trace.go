package gateway

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/bridge"
	"sluice/gateway/broker"
	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/web"
)

const (
	mostFollowed = 4  // readings at once
	mostSteps    = 64 // of one reading that nobody has taken yet; what is more is not told
	shownValues  = 4  // of a reading
)

// tracer follows readings from the poll to the acknowledgement. While nobody watches it costs one atomic
// load for each reading.
type tracer struct {
	gateway *Gateway
	watched atomic.Int32

	mu      sync.Mutex // guards what follows
	follows []*follow
}

// follow is one reading that is followed.
type follow struct {
	device string
	steps  chan web.TraceStep

	mu  sync.Mutex // guards what follows
	seq uint64     // 0 until there is a reading
}

// Trace implements web.Tracer.
func (t *tracer) Trace(ctx context.Context, device string, report func(web.TraceStep)) (complete bool, err error) {
	if _, err := (fieldPoints{t.gateway}).device(device); err != nil {
		return false, err
	}
	f := &follow{device: device, steps: make(chan web.TraceStep, mostSteps)}
	if !t.add(f) {
		return false, web.ErrTracing
	}
	defer t.remove(f)
	for _, u := range t.gateway.uplinks() {
		defer u.forwarder.Watch(&followed{f, u.config.Name})()
	}
	var open map[string]bool // uplinks whose acknowledgement is still to come; nil: it is not known yet
	early := map[string]bool{}
	for {
		select {
		case step := <-f.steps:
			switch step.Step {
			case "stored":
				open = map[string]bool{}
				for _, name := range step.Uplinks {
					open[name] = !early[name]
				}
				maps.DeleteFunc(open, func(_ string, waits bool) bool { return !waits })
			case "acknowledged":
				early[step.Uplink] = true
				delete(open, step.Uplink)
			}
			report(step)
			if open != nil && len(open) == 0 {
				return true, nil
			}
		case <-ctx.Done():
			return false, nil
		}
	}
}

func (t *tracer) add(f *follow) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.follows) == mostFollowed {
		return false
	}
	t.follows = append(t.follows, f)
	t.watched.Add(1)
	return true
}

func (t *tracer) remove(f *follow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched.Add(-1)
	i := slices.Index(t.follows, f)
	t.follows = slices.Delete(t.follows, i, i+1)
}

// forwarders names the uplinks that forward a topic.
func (t *tracer) forwarders(topic string) []string {
	names := []string{}
	c := t.gateway.Config()
	for _, u := range c.Uplinks {
		if slices.ContainsFunc(u.Forward, func(r config.ForwardRoute) bool {
			return message.Match(strings.ReplaceAll(r.From, "{gateway}", c.Gateway.Name), topic)
		}) {
			names = append(names, u.Name)
		}
	}
	return names
}

// tell hands a step on, unless nobody has taken the ones before.
func (f *follow) tell(step web.TraceStep) {
	step.Device = f.device
	select {
	case f.steps <- step:
	default:
	}
}

// claim makes seq the reading that is followed, if there is none yet.
func (f *follow) claim(seq uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seq != 0 {
		return false
	}
	f.seq = seq
	return true
}

func (f *follow) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq = 0
}

func (f *follow) is(r *message.Record) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return r.Seq == f.seq && r.Device == f.device && f.seq != 0
}

// tracedSink is the broker as devices publish to it.
type tracedSink struct {
	*broker.Broker
	tracer *tracer
}

// Publish is the broker's.
func (s tracedSink) Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error {
	if s.tracer.watched.Load() == 0 || m.Device == "" {
		return s.Broker.Publish(ctx, m, ack, token)
	}
	return s.tracer.publish(ctx, s.Broker, m, ack, token)
}

// publish tells those who wait for a reading of this device that there is one.
func (t *tracer) publish(ctx context.Context, to *broker.Broker, m *message.Message, ack message.Acknowledger, token uint64) error {
	var claimed []*follow
	t.mu.Lock()
	for _, f := range t.follows {
		if f.device == m.Device && f.claim(m.Seq) {
			claimed = append(claimed, f)
		}
	}
	t.mu.Unlock()
	if len(claimed) == 0 {
		return to.Publish(ctx, m, ack, token)
	}
	value, bytes, seq, uplinks := firstValues(m.Payload), len(m.Payload), m.Seq, t.forwarders(m.Topic)
	for _, f := range claimed {
		f.tell(web.TraceStep{Step: "polled", At: time.UnixMilli(m.Time), Seq: seq, Bytes: bytes, Value: value})
	}
	stored := message.AcknowledgeFunc(func(token uint64, at message.Position, err error) {
		ack.Acknowledge(token, at, err)
		for _, f := range claimed {
			if err != nil {
				f.release() // the next one is followed instead
				continue
			}
			f.tell(web.TraceStep{Step: "stored", At: time.Now(), Seq: seq, Position: uint64(at), Bytes: bytes, Uplinks: uplinks})
		}
	})
	err := to.Publish(ctx, m, stored, token)
	if err != nil {
		for _, f := range claimed {
			f.release()
		}
	}
	return err
}

// firstValues gives some of a reading's points.
func firstValues(payload []byte) map[string]any {
	var reading struct {
		Values map[string]any `json:"values"`
	}
	if json.Unmarshal(payload, &reading) != nil {
		return nil // a reading is ours; but the values are for people alone
	}
	for i, name := range slices.Sorted(maps.Keys(reading.Values)) {
		if i >= shownValues {
			delete(reading.Values, name)
		}
	}
	return reading.Values
}

// followed tells what becomes of the reading on its way to one uplink.
type followed struct {
	*follow
	uplink string
}

// Sent implements bridge.Watcher.
func (f *followed) Sent(_ *bridge.Route, r *message.Record, bytes int, _ bool) {
	if f.is(r) {
		f.tell(web.TraceStep{Step: "sent", At: time.Now(), Seq: r.Seq, Position: uint64(r.Position), Uplink: f.uplink, Bytes: bytes})
	}
}

// Acknowledged implements bridge.Watcher.
func (f *followed) Acknowledged(_ *bridge.Route, r *message.Record) {
	if f.is(r) {
		f.tell(web.TraceStep{Step: "acknowledged", At: time.Now(), Seq: r.Seq, Position: uint64(r.Position), Uplink: f.uplink})
	}
}
