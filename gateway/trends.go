package gateway

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/collectors"
	"sluice/gateway/curve"
	"sluice/gateway/message"
	"sluice/store"
	"sluice/web"
)

// trends lets the log be what the page asks about the past.
type trends struct{ *Gateway }

// pastDevice is a device of which points are asked for.
type pastDevice struct {
	name    string
	wanted  []int // places of its points in the request
	scanner *curve.Scanner
	samples []curve.Sample
}

// pastDevices divides the points that are asked for among their devices. The topics are those of each
// device's readings, behind them those of each device's states.
func (t trends) pastDevices(points []web.TrendPoint) (devices []*pastDevice, topics []string) {
	gateway := t.Config().Gateway.Name
	for i, p := range points {
		at := slices.IndexFunc(devices, func(d *pastDevice) bool { return d.name == p.Device })
		if at < 0 {
			at = len(devices)
			devices = append(devices, &pastDevice{name: p.Device})
		}
		devices[at].wanted = append(devices[at].wanted, i)
	}
	for _, d := range devices {
		var names []string
		for _, i := range d.wanted {
			names = append(names, points[i].Point)
		}
		d.scanner, d.samples = curve.NewScanner(names), make([]curve.Sample, len(names))
		topics = append(topics, "readings/"+gateway+"/"+d.name)
	}
	for _, d := range devices {
		topics = append(topics, "status/"+gateway+"/"+d.name)
	}
	return devices, topics
}

// course is one point while it is gathered.
type course struct {
	thin   *curve.Thinned
	rhythm curve.Rhythm
	nature pointNature
	last   float64 // the value that holds, if any does
	holds  bool
}

// Trend implements web.Trends.
func (t trends) Trend(ctx context.Context, wanted web.TrendRequest, budget time.Duration) (web.Trend, error) {
	begun := time.Now()
	since, until := wanted.From.UnixMilli(), wanted.To.UnixMilli()
	devices, topics := t.pastDevices(wanted.Points)
	courses := make([]course, len(wanted.Points))
	for i, p := range wanted.Points {
		courses[i].thin = curve.NewThinned(since, until, wanted.Width)
		courses[i].nature = t.nature(p)
		courses[i].rhythm.Typical = courses[i].nature.interval.Milliseconds()
	}
	at, err := resume(wanted.Next, courses)
	if err != nil {
		return web.Trend{}, err
	}
	reached := since
	for at != 0 {
		at, err = t.store.Visit(at, since, until, topics, func(r store.Stored) {
			reached = max(reached, r.Time)
			if r.Topic >= len(devices) {
				devices[r.Topic-len(devices)].condition(r.Payload, courses)
				return
			}
			devices[r.Topic].reading(r.Payload, courses)
		})
		if err != nil {
			return web.Trend{}, fmt.Errorf("read trends from the log: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return web.Trend{}, err
		}
		if at != 0 && time.Since(begun) > budget {
			break
		}
	}
	shown := web.Trend{From: wanted.From, To: wanted.To, Series: make([]web.TrendSeries, len(courses)), Complete: at == 0}
	if at != 0 {
		shown.Next = bookmark(at, courses)
		until := time.UnixMilli(min(reached, until))
		shown.Until = &until
	}
	for i := range courses {
		if shown.Complete {
			courses[i].holdUntil(min(until-1, begun.UnixMilli()))
		}
		shown.Series[i] = courses[i].show(wanted.Points[i])
	}
	shown.Took = float64(time.Since(begun).Microseconds()) / 1000
	return shown, nil
}

// reading takes one of the device's readings into the courses of its points.
func (d *pastDevice) reading(payload []byte, courses []course) {
	at, ok := d.scanner.Scan(payload, d.samples)
	if !ok {
		return
	}
	for i, sample := range d.samples {
		if sample.Kind == curve.Missing {
			continue
		}
		c := &courses[d.wanted[i]]
		if from, missing := c.rhythm.Step(at); missing && !c.nature.onChange {
			c.thin.Break(from)
		}
		switch c.holds = sample.Kind == curve.Number; sample.Kind {
		case curve.Number:
			c.last = sample.Value
			c.nature.steps = c.nature.steps || sample.Bool
			c.thin.Add(at, sample.Value)
		case curve.Text:
			c.thin.Word(at)
		case curve.Failed:
			c.thin.Fail(at)
		}
	}
}

// condition takes a change of the device's condition: while it is away nothing is known.
func (d *pastDevice) condition(payload []byte, courses []course) {
	at, state, ok := curve.State(payload)
	if !ok || state != collectors.Offline {
		return
	}
	for _, i := range d.wanted {
		c := &courses[i]
		c.holdUntil(at - 1)
		c.holds = false
		c.thin.Break(at)
	}
}

// holdUntil draws a value that is reported on change as far as it is known to hold.
func (c *course) holdUntil(at int64) {
	if c.nature.onChange && c.holds && at > c.rhythm.Last {
		c.thin.Hold(at, c.last)
	}
}

func (c *course) show(p web.TrendPoint) web.TrendSeries {
	s := web.TrendSeries{TrendPoint: p, Unit: c.nature.unit, Steps: c.nature.steps || c.nature.onChange, Count: c.thin.Count, Errors: c.thin.Errors, Texts: c.thin.Texts}
	s.Times, s.Values = c.thin.Course()
	if c.thin.Count > 0 {
		mean := c.thin.Mean()
		s.Min, s.Max, s.Mean = &c.thin.Min, &c.thin.Max, &mean
	}
	return s
}

// bookmark says where to go on, and what of each course is remembered: position;last,typical;…
func bookmark(at message.Position, courses []course) string {
	var b strings.Builder
	b.WriteString(strconv.FormatUint(uint64(at), 10))
	for i := range courses {
		fmt.Fprintf(&b, ";%d,%d", courses[i].rhythm.Last, courses[i].rhythm.Typical)
	}
	return b.String()
}

// resume reads a bookmark; an empty one is the start.
func resume(text string, courses []course) (message.Position, error) {
	if text == "" {
		return 1, nil
	}
	wrong := &web.FieldError{Field: "next", Text: "next is what the answer before has under that name, to the same request"}
	parts := strings.Split(text, ";")
	at, err := strconv.ParseUint(parts[0], 10, 63)
	if err != nil || at == 0 || len(parts) != len(courses)+1 {
		return 0, wrong
	}
	for i, part := range parts[1:] {
		last, typical, _ := strings.Cut(part, ",")
		r := &courses[i].rhythm
		var problems [2]error
		r.Last, problems[0] = strconv.ParseInt(last, 10, 64)
		r.Typical, problems[1] = strconv.ParseInt(typical, 10, 64)
		if problems[0] != nil || problems[1] != nil || r.Last < 0 || r.Typical < 0 {
			return 0, wrong
		}
	}
	return message.Position(at), nil
}

// TrendRows implements web.Trends.
func (t trends) TrendRows(ctx context.Context, wanted web.TrendRequest, take func(*web.TrendRow) error) error {
	since, until := wanted.From.UnixMilli(), wanted.To.UnixMilli()-1
	devices, topics := t.pastDevices(wanted.Points)
	topics = topics[:len(devices)]
	var rows []web.TrendRow // of one visit: whoever takes them may be slow, and the log must not wait for that
	for at := message.Position(1); at != 0; {
		rows = rows[:0]
		var err error
		at, err = t.store.Visit(at, since, until, topics, func(r store.Stored) {
			if row, some := devices[r.Topic].row(r.Payload); some && row.Time >= since && row.Time <= until {
				rows = append(rows, row)
			}
		})
		if err != nil {
			return fmt.Errorf("read trends from the log: %w", err)
		}
		for i := range rows {
			if err := take(&rows[i]); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (d *pastDevice) row(payload []byte) (row web.TrendRow, some bool) {
	at, ok := d.scanner.Scan(payload, d.samples)
	if !ok {
		return row, false
	}
	row = web.TrendRow{Device: d.name, Time: at}
	for i, sample := range d.samples {
		cell := web.TrendCell{Point: d.wanted[i]}
		switch sample.Kind {
		case curve.Missing:
			continue
		case curve.Number:
			cell.Number, cell.Value = true, string(sample.Raw)
		case curve.Failed:
			cell.Error = textOf(sample.Raw)
		case curve.Text:
			cell.Value = textOf(sample.Raw)
		}
		row.Cells = append(row.Cells, cell)
	}
	return row, len(row.Cells) > 0
}

// textOf gives a text without its quotes, and everything else as it stands.
func textOf(raw []byte) string {
	if text, ok := curve.Unquoted(raw); ok {
		return text
	}
	return string(raw)
}

// TrendUnits implements web.Trends.
func (t trends) TrendUnits(points []web.TrendPoint) (units []string) {
	for _, p := range points {
		units = append(units, t.nature(p).unit)
	}
	return units
}

// pointNature is what the configuration says of a point.
type pointNature struct {
	unit     string
	interval time.Duration // of its readings; 0: not known
	onChange bool
	steps    bool
}

// nature is the zero value for a point that is not configured any more.
func (t trends) nature(p web.TrendPoint) pointNature {
	d, err := fieldPoints(t).device(p.Device)
	if err != nil {
		return pointNature{}
	}
	for _, spec := range d.poller.Device.Points() {
		if spec.Name == p.Point {
			return d.natureOf(spec)
		}
	}
	for _, derived := range d.poller.Derived {
		if derived.Name == p.Point {
			return d.natureOf(derived.Spec)
		}
	}
	return pointNature{interval: d.poller.Interval}
}

func (d *device) natureOf(spec collectors.Spec) pointNature {
	n := pointNature{unit: spec.Unit, interval: d.poller.Interval}
	for _, g := range d.poller.Groups {
		if g.Name == spec.Policy.Group {
			n.interval = g.Interval
		}
	}
	n.interval = max(n.interval, spec.Policy.MinInterval)
	report := spec.Policy.Report
	if report == "" {
		report = d.poller.Defaults.Report
	}
	n.onChange = report == collectors.ReportChange
	return n
}
