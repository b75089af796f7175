package gateway

import (
	"context"
	"encoding/hex"
	"io"
	"slices"
	"sync"
	"time"

	drivers "sluice/collectors/all"
	"sluice/collectors/bus"
	"sluice/collectors/capture"
	"sluice/collectors/diagnosis"
	"sluice/web"
)

// judgedFor is how far back, at least, a line is judged by its figures. What was mended is not held against
// it for more than twice as long, unless nobody has looked since.
const judgedFor = 2 * time.Minute

// busyFor is the time whose share bus.Stats.Busy is.
const busyFor = time.Minute

// fieldLines shows the gateway's lines.
type fieldLines struct {
	gateway *Gateway

	mu   sync.Mutex // guards what follows
	seen map[string]looks

	advising sync.Mutex // guards what follows
	advised  time.Time
	advice   map[string]*web.BusText // by device
}

// looks are an earlier look at a line, which it is judged by, and a later one that will take its place.
type looks struct{ before, next look }

// look is what a line's figures were at a time.
type look struct {
	at    time.Time
	stats bus.Stats
}

func newFieldLines(g *Gateway) *fieldLines {
	return &fieldLines{gateway: g, seen: make(map[string]looks)}
}

// List gives all lines as they are now.
func (b *fieldLines) List() (list []web.Bus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := make(map[string]looks) // without those of lines that have gone
	devices := b.gateway.devices()
	for _, p := range b.gateway.buses.Ports() {
		now := look{time.Now(), p.Stats()}
		earlier, known := b.seen[p.Name()]
		switch {
		case slices.ContainsFunc(now.stats.Clients, func(c bus.ClientStats) bool { return c.Device == searcher || c.Device == trier }):
			earlier = looks{now, now} // that nobody answers a search or a trial says nothing of the line
		case !known:
			earlier = looks{look{at: b.gateway.started}, now}
		case now.at.Sub(earlier.next.at) > judgedFor:
			earlier = looks{earlier.next, now}
		}
		seen[p.Name()] = earlier
		shown := show(&now.stats)
		evidence := diagnosis.Between(&earlier.before.stats, &now.stats)
		if now.at.Sub(earlier.before.at) < busyFor {
			evidence.Busy = 0 // it may be a search's or a trial's
		}
		for i := range shown.Devices {
			d := &shown.Devices[i]
			of := &evidence.Devices[i]
			d.Values, of.Swapped, d.Points = decoded(devices[d.Name])
			of.Values = d.Values
		}
		for _, f := range diagnosis.Diagnose(&evidence) {
			shown.Findings = append(shown.Findings, web.BusFinding{
				Rule: f.Row, Device: f.Device, Evidence: web.BusText(f.Evidence), Cause: web.BusText(f.Cause), Next: web.BusText(f.Next),
			})
		}
		shown.Seconds = now.at.Sub(earlier.before.at).Seconds()
		list = append(list, shown)
	}
	b.seen = seen
	return list
}

func show(s *bus.Stats) web.Bus {
	shown := web.Bus{
		Name: s.Name, Place: s.Place, Open: s.Open, LastError: s.LastError, Busy: s.Busy, Waiting: s.Waiting,
		Cycle: milliseconds(s.Cycle), Exchanges: s.Exchanges, Failures: s.Failures, Noise: s.Noise, Echo: s.Echo,
		HangUps: s.HangUps, Foreign: s.Foreign, Unasked: s.Unasked, Flaws: s.Flaws,
		BytesIn: s.BytesIn, BytesOut: s.BytesOut, Since: timeOrNil(s.Since), Devices: []web.BusDevice{}, Findings: []web.BusFinding{},
	}
	for i := range s.Clients {
		shown.Devices = append(shown.Devices, showClient(&s.Clients[i]))
	}
	return shown
}

func showClient(c *bus.ClientStats) web.BusDevice {
	shown := web.BusDevice{
		Name: c.Device, Exchanges: c.Exchanges, Answers: c.Answers, NoReply: c.NoReply, Garbled: c.Garbled, Damaged: c.Damaged,
		WrongUnit: c.WrongUnit, Unrelated: c.Unrelated, Dialect: c.AsTCP + c.AsRTU + c.AsASCII, Late: c.Late, Refused: c.Refused,
		Timeout: milliseconds(c.Timeout), Timed: c.Timed,
		Fastest: milliseconds(c.Fastest), Mean: milliseconds(c.Mean), Slowest: milliseconds(c.Slowest), LastGood: timeOrNil(c.LastGood),
	}
	for _, r := range c.Refusals {
		shown.Refusals = append(shown.Refusals, web.Refusals{Code: int(r.Code), Count: r.Count})
	}
	return shown
}

// devices are those in their places, by their names.
func (g *Gateway) devices() map[string]*device {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make(map[string]*device)
	for _, p := range g.placed {
		if d, ok := p.part.(*device); ok {
			all[d.config.Name] = d
		}
	}
	return all
}

// decoded tells how many points of a device have a value, how many of those look as if their words were
// swapped, and how many points it has.
func decoded(d *device) (values, swapped, points int) {
	if d == nil {
		return 0, 0, 0 // it has just gone
	}
	all := d.poller.State().Points
	for i := range all {
		if all[i].Error != "" || all[i].Value.Absent() {
			continue
		}
		values++
		if v, is := all[i].Value.Float(); is && diagnosis.WordsSwapped(v) {
			swapped++
		}
	}
	return values, swapped, len(all)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (b *fieldLines) port(name string) (*bus.Port, error) {
	for _, p := range b.gateway.buses.Ports() {
		if p.Name() == name {
			return p, nil
		}
	}
	return nil, web.ErrUnknown
}

// Frames gives what is kept of a line.
func (b *fieldLines) Frames(name string, after uint64) ([]web.BusFrame, error) {
	p, err := b.port(name)
	if err != nil {
		return nil, err
	}
	var list []web.BusFrame
	for _, f := range p.Recent(after) {
		list = append(list, dissected(&f))
	}
	return list, nil
}

func dissected(f *bus.Frame) web.BusFrame {
	return web.BusFrame{
		Seq: f.Seq, At: f.At, Out: f.Direction == bus.Out, Hex: hex.EncodeToString(f.Bytes), Cut: f.Cut,
		Device: f.Device, Protocol: f.Protocol, Verdict: f.Verdict, Summary: drivers.Dissect(f),
	}
}

// Watch reports frames until ctx ends or the line goes.
func (b *fieldLines) Watch(ctx context.Context, name string, after uint64, report func(web.BusFrame)) error {
	p, err := b.port(name)
	if err != nil {
		return err
	}
	w := p.Watch(after)
	defer w.Close()
	for {
		f, err := w.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		report(dissected(&f))
	}
}

// Capture writes what is kept of a line for Wireshark.
func (b *fieldLines) Capture(name string, to io.Writer) error {
	p, err := b.port(name)
	if err != nil {
		return err
	}
	w, err := capture.NewWriter(to, name, "sluice "+b.gateway.options.Version)
	if err != nil {
		return err
	}
	for _, f := range p.Recent(0) {
		frame := capture.Of(&f, drivers.Dissect(&f))
		if err := w.Write(&frame); err != nil {
			return err
		}
	}
	return nil
}
