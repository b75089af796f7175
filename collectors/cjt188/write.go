package cjt188

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sluice/collectors/bus"
	"sluice/gateway/message"
)

// What A017 carries.
const (
	openValve  = 0x55
	closeValve = 0x99
)

// lookAgain is the pause between two looks at a valve that moves.
const lookAgain = 2 * time.Second

// Write moves a valve: it sends the command once and then reads the meter's status until the valve
// is where it should be, or its time is over.
func (m *meter) Write(ctx context.Context, name string, value json.RawMessage) (message.Value, error) {
	p := m.point(name)
	if p == nil {
		return message.Value{}, fmt.Errorf("there is no point %q", name)
	}
	if !p.writable {
		return message.Value{}, fmt.Errorf("point %s is read-only; its access is not rw", name)
	}
	code, wanted, err := valveCommand(value)
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: %w", name, err)
	}
	if err := m.switchValve(ctx, code); err != nil {
		return message.Value{}, fmt.Errorf("point %s: %w", name, err)
	}
	return m.watchValve(ctx, p, wanted)
}

func (m *meter) point(name string) *point {
	for i := range m.points {
		if m.points[i].spec.Name == name {
			return &m.points[i]
		}
	}
	return nil
}

func valveCommand(value json.RawMessage) (code byte, wanted string, err error) {
	switch string(value) {
	case `"open"`, "true":
		return openValve, "open", nil
	case `"closed"`, `"close"`, "false":
		return closeValve, "closed", nil
	}
	return 0, "", fmt.Errorf("%.40s is neither \"open\" nor \"closed\"", value)
}

// switchValve sends the command in one turn with a read before it, which shows that the meter is
// there and in which order it wants its identifiers: the command itself cannot be tried again.
func (m *meter) switchValve(ctx context.Context, code byte) error {
	turn, err := m.client.Take(ctx, true)
	if err != nil {
		return fmt.Errorf("not written: %w", err)
	}
	defer turn.Release()
	if _, err := m.askOn(ctx, turn, currentData); err != nil {
		return fmt.Errorf("not written: %w", err)
	}
	q := question{
		kind: m.kind, meter: m.number, function: writeData, id: valveSwitch,
		order: m.orders()[0], serial: m.serial, data: []byte{code},
	}
	_, err = m.exchange(ctx, turn, q)
	if _, refused := errors.AsType[*refusalError](err); refused || errors.Is(err, bus.ErrNotSent) {
		return fmt.Errorf("not written: %w", err)
	}
	if err != nil {
		return fmt.Errorf("outcome unknown: %w", err)
	}
	return nil
}

// watchValve reads the status until it says what is wanted. In between the line is free for others.
func (m *meter) watchValve(ctx context.Context, p *point, wanted string) (message.Value, error) {
	deadline := time.Now().Add(m.valveTime)
	for {
		value, err := m.valve(ctx)
		if err != nil {
			return message.Value{}, fmt.Errorf("point %s: the meter took the command, but reading it back failed: %w", p.spec.Name, err)
		}
		if value == message.Text(wanted) {
			return value, nil
		}
		if !time.Now().Before(deadline) {
			return value, fmt.Errorf("point %s: the meter took the command, but after %v its valve is %s and not %s", p.spec.Name, m.valveTime, value, wanted)
		}
		select {
		case <-time.After(min(lookAgain, time.Until(deadline))):
		case <-ctx.Done():
			return value, fmt.Errorf("point %s: the meter took the command, but its valve is still %s", p.spec.Name, value)
		}
	}
}

func (m *meter) valve(ctx context.Context) (message.Value, error) {
	data, err := m.ask(ctx, currentData, true)
	if err != nil {
		return message.Value{}, err
	}
	if len(data) != m.class.length() {
		return message.Value{}, fmt.Errorf("the meter sent %d bytes where a %s meter has %d", len(data), m.class.name, m.class.length())
	}
	return statusValue(data[len(data)-statusBytes:], part{kind: valveState}), nil
}
