package mqtt

import (
	"context"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/gateway/message"
)

// growing is a log with a cursor, both in memory, for simulated time: readings of three devices, to
// which one is added every 500 ms, of each device in turn.
type growing struct {
	payload int // bytes of ballast in each reading

	mu      sync.Mutex // guards what follows
	records []message.Record
	next    int
	acked   message.Position
	grown   chan struct{}
	paused  bool
	broken  error // what Next answers
	stuck   error // what SetAside answers
	aside   []message.Message
}

var growingDevices = []string{"press", "oven", "meter"}

const growingEvery = 500 * time.Millisecond

// grow adds readings until ctx ends.
func (g *growing) grow(ctx context.Context) {
	for ticker := time.NewTicker(growingEvery); ; {
		select {
		case <-ticker.C:
			g.add()
		case <-ctx.Done():
			ticker.Stop()
			return
		}
	}
}

func (g *growing) add() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.paused {
		return
	}
	at := len(g.records)
	r := message.Reading{Gateway: "line-3", Device: growingDevices[at%len(growingDevices)], Epoch: 1, Seq: uint64(at/len(growingDevices) + 1)}
	payload := r.AppendJSON(nil)
	for range g.payload { // white space behind JSON is JSON
		payload = append(payload, ' ')
	}
	g.records = append(g.records, message.Record{Position: message.Position(at + 1),
		Message: message.Message{Topic: "readings/line-3/" + r.Device, Payload: payload}})
	g.wakeLocked()
}

func (g *growing) wakeLocked() {
	if g.grown != nil {
		close(g.grown)
	}
	g.grown = make(chan struct{})
}

// pause lets nothing more come, for a while.
func (g *growing) pause(paused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused = paused
}

// fail breaks the log, or with nil repairs it.
func (g *growing) fail(next, setAside error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.broken, g.stuck = next, setAside
	g.wakeLocked()
}

func (g *growing) Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error) {
	for {
		g.mu.Lock()
		if err := g.broken; err != nil {
			g.mu.Unlock()
			return dst, err
		}
		n := min(max, len(g.records)-g.next)
		dst = append(dst, g.records[g.next:g.next+n]...)
		g.next += n
		if g.grown == nil {
			g.grown = make(chan struct{})
		}
		grown := g.grown
		g.mu.Unlock()
		if n > 0 {
			return dst, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return dst, ctx.Err()
		}
	}
}

func (g *growing) Ack(upTo message.Position) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acked = upTo
}

func (g *growing) Rewind() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next = int(g.acked)
}

func (g *growing) SetAside(_ context.Context, at message.Position, m *message.Message) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stuck != nil {
		return g.stuck
	}
	g.acked = at
	g.aside = append(g.aside, *m)
	return nil
}

// waiting is how many records are not acknowledged.
func (g *growing) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.records) - int(g.acked)
}

func (g *growing) setAside() []message.Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]message.Message(nil), g.aside...)
}

// picky is an uplink to a cloud that refuses messages, which MQTT 3.1.1 itself has no words for.
type picky struct {
	*Uplink
	mu      sync.Mutex // guards what follows
	refuse  func(o *bridge.Outgoing) error
	offered int // times that refuse said no
}

func (p *picky) set(refuse func(o *bridge.Outgoing) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

func (p *picky) refusals() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.offered
}

func (p *picky) Connect(ctx context.Context) (bridge.Link, error) {
	l, err := p.Uplink.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &pickyLink{l.(*link), p}, nil
}

type pickyLink struct {
	*link
	picky *picky
}

func (l *pickyLink) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	l.picky.mu.Lock()
	var err error
	if l.picky.refuse != nil {
		if err = l.picky.refuse(o); err != nil {
			l.picky.offered++
		}
	}
	l.picky.mu.Unlock()
	if err != nil {
		return err
	}
	return l.link.Send(ctx, o, done)
}

var _ bridge.Source = (*growing)(nil)

// eventuallyIn waits in simulated time and gives how long it took.
func eventuallyIn(t *testing.T, limit time.Duration, what string, come func() bool) time.Duration {
	t.Helper()
	from := time.Now()
	for !come() {
		if time.Since(from) > limit {
			t.Fatalf("waited %s in vain until %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(from)
}
