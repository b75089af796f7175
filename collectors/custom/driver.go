// Package custom talks to serial instruments that no other driver knows: what is sent, how an answer
// ends, what it must look like and where the values are is all said in the configuration. It hides
// how an answer is picked from a noisy line and how values are cut out of it.
package custom

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/formula"
	"sluice/gateway/message"
)

const (
	defaultTimeout = time.Second
	maxSilent      = 2 // requests without an answer until a device counts as absent
)

// Driver makes devices on the lines of Buses.
type Driver struct {
	Buses *bus.Set
}

// Options gives the defaults.
func (d *Driver) Options() any { return &Options{Timeout: defaultTimeout, Checksum: "none"} }

// Open makes a device from what Options gave and the configuration filled in.
func (d *Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options of type %T are not those of a custom device", name, options)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	client, err := d.Buses.Client(string(o.Address), name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	dev := &device{client: client, timeout: o.Timeout, seal: o.seal(o.Checksum)}
	for i := range o.Requests {
		dev.requests = append(dev.requests, newRequest(o, &o.Requests[i]))
	}
	for i := range o.Points {
		p, err := newPoint(o, i)
		if err != nil {
			return nil, fmt.Errorf("device %s: point %s: %w", name, o.Points[i].Name, err)
		}
		dev.points = append(dev.points, p)
		dev.shown = append(dev.shown, i)
	}
	dev.plan()
	return dev, nil
}

func (o *Options) seal(kind string) seal {
	return seal{name: kind, from: o.ChecksumFrom, text: o.ChecksumText, order: o.ChecksumOrder, tail: []byte(o.Tail)}
}

// request is a RequestOptions made ready.
type request struct {
	name  string
	frame []byte // as sent; nil: only listen
	gap   time.Duration
	shape shape
}

func newRequest(o *Options, r *RequestOptions) request {
	out := request{name: r.Name, gap: r.Gap, shape: shape{
		start: []byte(r.Start), length: r.Length, lengthAt: -1, lengthAdd: r.LengthAdd,
		terminator: []byte(r.Terminator), trailer: r.Trailer, silence: r.Gap > 0, seal: o.seal(o.Checksum),
	}}
	if o.AnswerChecksum != "" {
		out.shape.seal.name = o.AnswerChecksum
	}
	if r.LengthAt != nil {
		out.shape.lengthAt = *r.LengthAt
	}
	if r.Length == 0 && r.LengthAt == nil && len(r.Terminator) == 0 && !out.shape.silence {
		out.shape.terminator = []byte(o.Tail)
	}
	if r.Match != "" {
		out.shape.match, _ = newMatcher(r.Match) // Validate compiled it
	}
	if r.Send != "" {
		seal := o.seal(o.Checksum)
		out.frame = seal.append([]byte(r.Send))
	}
	return out
}

// point is a PointOptions made ready.
type point struct {
	spec     collectors.Spec
	request  int
	writable bool
	write    *template

	// Where the value is: one of these four.
	at      int
	length  int // of the bytes at that place; 0: it is not one of those
	find    *regexp.Regexp
	capture int
	program *formula.Program

	codec
}

func newPoint(o *Options, index int) (point, error) {
	from := &o.Points[index]
	p := point{
		spec:     collectors.Spec{Name: from.Name, Unit: from.Unit, Policy: from.Policy, Writable: from.Access == "rw"},
		request:  slices.IndexFunc(o.Requests, func(r RequestOptions) bool { return from.Request == "" || r.Name == from.Request }),
		writable: from.Access == "rw",
		codec:    codec{kind: from.Type, order: from.Order, bit: -1, scaling: scaling{from.Scale, from.Offset}},
	}
	if p.scale == 0 {
		p.scale = 1
	}
	if from.Bit != nil {
		p.bit = *from.Bit
	}
	if p.writable {
		var err error
		if p.write, err = parseTemplate(from.Write); err != nil {
			return p, err
		}
	}
	var err error
	switch from.source(o) {
	case "at":
		p.at, p.length = *from.At, max(sizes[from.Type], from.Length)
	case "find":
		p.find, err = regexp.Compile(from.Find)
	case "capture":
		p.capture = max(from.Capture, 1)
	case "formula":
		p.program, err = formula.Compile(from.Formula, o.names(index))
	}
	return p, err
}

// device is one device, or a part of one: shown are the points that it gives, needed those that it
// computes, asked the requests that these take.
type device struct {
	client   *bus.Client
	timeout  time.Duration
	seal     seal
	requests []request
	points   []point

	shown  []int
	needed []int
	asked  []int
}

// plan finds out what the points that are shown need: a formula's points, and everybody's answers.
func (d *device) plan() {
	byName := map[string]int{}
	for i := range d.points {
		byName[d.points[i].spec.Name] = i
	}
	wanted := make([]bool, len(d.points))
	for _, i := range d.shown {
		wanted[i] = true
	}
	for i := len(d.points) - 1; i >= 0; i-- { // formulas use the points above them
		if !wanted[i] || d.points[i].program == nil {
			continue
		}
		for _, name := range d.points[i].program.Uses() {
			if j, ok := byName[name]; ok && j < i {
				wanted[j] = true
			}
		}
	}
	d.needed, d.asked = nil, nil
	asked := make([]bool, len(d.requests))
	for i := range d.points {
		if wanted[i] {
			d.needed = append(d.needed, i)
			asked[d.points[i].request] = true
		}
	}
	for i := range asked {
		if asked[i] {
			d.asked = append(d.asked, i)
		}
	}
}

// Points are what Read fills in.
func (d *device) Points() []collectors.Spec {
	specs := make([]collectors.Spec, len(d.shown))
	for i, at := range d.shown {
		specs[i] = d.points[at].spec
	}
	return specs
}

// Part is the same device with some of its points.
func (d *device) Part(points []int) collectors.Device {
	part := &device{client: d.client, timeout: d.timeout, seal: d.seal, requests: d.requests, points: d.points}
	for _, i := range points {
		part.shown = append(part.shown, d.shown[i])
	}
	part.plan()
	return part
}

// Close lets go of the line; the other devices on it keep it.
func (d *device) Close() error {
	d.client.Rest()
	return nil
}

// silenceError is the lack of a valid answer; why says what came instead, if anything did.
type silenceError struct {
	waited    time.Duration
	why       string
	listening bool
}

func (e *silenceError) Error() string {
	switch {
	case e.why != "":
		return "no valid answer: " + e.why
	case e.listening:
		return fmt.Sprintf("nothing was heard within %v", e.waited)
	}
	return fmt.Sprintf("no answer within %v", e.waited)
}

// Read asks for everything that the points need. A device that answers nothing is given up after
// two requests.
func (d *device) Read(ctx context.Context, r *message.Reading) error {
	answers := make([]answer, len(d.requests))
	heard, silent := false, 0
	var failure error
	for n, i := range d.asked {
		if failure != nil {
			answers[i].err = fmt.Errorf("not asked: %w", failure)
			continue
		}
		answers[i] = d.ask(ctx, d.client, &d.requests[i])
		err := answers[i].err
		if err == nil {
			heard = true
			continue
		}
		if _, ok := errors.AsType[*silenceError](err); ok {
			if silent++; !heard && (silent == maxSilent || n+1 == len(d.asked)) {
				return err
			}
			continue
		}
		if !heard && silent == 0 {
			return err
		}
		failure = err
	}
	if !heard {
		return failure
	}
	d.fill(r, answers)
	return nil
}

// fill computes the needed points in their order and hands out those that are shown.
func (d *device) fill(r *message.Reading, answers []answer) {
	known := map[string]any{}
	outcomes := make([]message.Point, len(d.points))
	for _, i := range d.needed {
		p := &d.points[i]
		outcomes[i].Name = p.spec.Name
		v, err := p.value(&answers[p.request], known)
		if err != nil {
			outcomes[i].Error = err.Error()
			continue
		}
		outcomes[i].Value = v.shown
		known[p.spec.Name] = v.operand
	}
	r.Points = slices.Grow(r.Points[:0], len(d.shown))[:len(d.shown)]
	for at, i := range d.shown {
		r.Points[at] = outcomes[i]
	}
}

// exchanger is a line or a turn on it.
type exchanger interface {
	Exchange(ctx context.Context, q bus.Request) ([]byte, error)
	Verdict(fault bus.Fault, text string)
}

// ask does one request.
func (d *device) ask(ctx context.Context, line exchanger, r *request) answer {
	l := &listener{shape: &r.shape}
	q := bus.Request{Frame: r.frame, Timeout: d.timeout, Gap: r.gap, Answer: l.hear, AtPause: l.pause, Protocol: "custom"}
	if r.frame == nil && !r.shape.silence {
		q.Gap = d.timeout // between the end of one sentence, of which the beginning was missed, and the next
	}
	_, err := line.Exchange(ctx, q)
	noReply, ok := errors.AsType[*bus.NoReplyError](err)
	switch {
	case ok:
		silence := &silenceError{waited: noReply.Waited, why: l.why(noReply.Received), listening: r.frame == nil}
		if noReply.Echo {
			silence.why = "only the request was heard on the line"
		} else if silence.why != "" {
			line.Verdict(l.fault, silence.why)
		}
		return answer{err: silence}
	case err != nil:
		return answer{err: err}
	}
	return answer{frame: l.frame, match: r.shape.match}
}

// answer is what came for a request, and what has been made of it.
type answer struct {
	frame []byte
	match *matcher
	err   error

	taken    bool // the rest is filled in
	text     string
	captures []string
	bytes    []float64
}

// take makes what regular expressions and formulas see.
func (a *answer) take() {
	if a.taken {
		return
	}
	a.taken = true
	a.text = latin(a.frame)
	a.captures = a.match.captures(a.frame)
}

// value cuts the point out of the answer, or computes it.
func (p *point) value(a *answer, known map[string]any) (value, error) {
	if p.program != nil {
		return p.compute(a, known)
	}
	if a.err != nil {
		return value{}, a.err
	}
	if p.length > 0 {
		from := p.at
		if from < 0 {
			from += len(a.frame)
		}
		if from < 0 || from+p.length > len(a.frame) {
			return value{}, fmt.Errorf("the answer has %d bytes, too few for %d from byte %d on", len(a.frame), p.length, p.at)
		}
		return p.decode(a.frame[from : from+p.length])
	}
	text, err := p.text(a)
	if err != nil {
		return value{}, err
	}
	v, err := parse(p.kind, text)
	if err != nil {
		return value{}, err
	}
	return p.apply(v), nil
}

func (p *point) text(a *answer) (string, error) {
	if p.find == nil {
		a.take()
		if p.capture >= len(a.captures) {
			return "", fmt.Errorf("the answer has no group %d", p.capture)
		}
		return a.captures[p.capture], nil
	}
	found := p.find.FindSubmatch(a.frame)
	switch {
	case found == nil:
		return "", fmt.Errorf("%s is not in the answer %s", p.find, clip(a.frame))
	case len(found) > 1:
		return latin(found[1]), nil
	}
	return latin(found[0]), nil
}

func (p *point) compute(a *answer, known map[string]any) (value, error) {
	for _, name := range p.program.Uses() {
		switch name {
		case "text", "captures", "bytes":
			if a.err != nil {
				return value{}, a.err
			}
			a.take()
			known["text"], known["captures"] = a.text, a.captures
			if name == "bytes" && a.bytes == nil {
				a.bytes = make([]float64, len(a.frame))
				for i, c := range a.frame {
					a.bytes[i] = float64(c)
				}
			}
			known["bytes"] = a.bytes
		}
	}
	result, err := p.program.Run(known)
	if err != nil {
		return value{}, err
	}
	switch v := result.(type) {
	case float64:
		return floating(v), nil
	case bool:
		return value{message.Bool(v), v}, nil
	case string:
		return textual(v), nil
	}
	panic(fmt.Sprintf("bug: a formula gave a %T", result))
}
