package custom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sluice/collectors/bus"
	"sluice/gateway/message"
)

// Write sends the point's bytes once, in one turn with a read before, which shows that the device is
// there, and one after, which shows what became of it. What the device reads back counts as what was
// written when it would make the same bytes.
func (d *device) Write(ctx context.Context, name string, raw json.RawMessage) (message.Value, error) {
	p := d.point(name)
	if p == nil {
		return message.Value{}, fmt.Errorf("there is no point %q", name)
	}
	if !p.writable {
		return message.Value{}, fmt.Errorf("point %s is read-only; its access is not rw", name)
	}
	frame, err := p.command(raw)
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: %w", name, err)
	}
	turn, err := d.client.Take(ctx, true)
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: not written: %w", name, err)
	}
	defer turn.Release()
	if _, err := d.readOne(ctx, turn, p); err != nil {
		return message.Value{}, fmt.Errorf("point %s: not written: %w", name, err)
	}
	err = d.send(ctx, turn, p, frame)
	if errors.Is(err, bus.ErrNotSent) {
		return message.Value{}, fmt.Errorf("point %s: not written: %w", name, err)
	}
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: outcome unknown: %w", name, err)
	}
	v, err := d.readOne(ctx, turn, p)
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: outcome unknown: %s was sent, but reading it back failed: %w", name, raw, err)
	}
	back, err := p.render(v.operand)
	if err != nil || !bytes.Equal(back, frame) {
		return v.shown, fmt.Errorf("point %s: %s was sent, but the device reads back %s", name, raw, v.shown)
	}
	return v.shown, nil
}

func (d *device) point(name string) *point {
	for _, i := range d.shown {
		if d.points[i].spec.Name == name {
			return &d.points[i]
		}
	}
	return nil
}

// command is what a value makes of the point's template.
func (p *point) command(raw json.RawMessage) ([]byte, error) {
	v, err := fromJSON(raw)
	if err != nil {
		return nil, err
	}
	return p.render(v)
}

func (p *point) render(v any) ([]byte, error) {
	if f, ok := v.(float64); ok {
		v = p.undo(f)
	}
	return p.write.render(v)
}

func (d *device) readOne(ctx context.Context, line exchanger, p *point) (value, error) {
	a := d.ask(ctx, line, &d.requests[p.request])
	return p.value(&a, nil)
}

// send puts the command on the line. Whether the device says something to it is its own business:
// what counts is what it reads back. So nothing is made of the answer, and none is no error.
func (d *device) send(ctx context.Context, line exchanger, p *point, command []byte) error {
	r := &d.requests[p.request]
	s := shape{terminator: r.shape.terminator, lengthAt: -1, silence: len(r.shape.terminator) == 0, trailer: r.shape.trailer}
	l := &listener{shape: &s}
	_, err := line.Exchange(ctx, bus.Request{
		Frame: d.seal.append(bytes.Clone(command)), Timeout: d.timeout, Answer: l.hear, AtPause: l.pause, Protocol: "custom",
		Late: -1, Quiet: true, // no answer is usual here; one that comes late is not like that to a read
	})
	if _, ok := errors.AsType[*bus.NoReplyError](err); ok {
		return nil
	}
	return err
}
