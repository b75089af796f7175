package dlt645

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/meterline"
	"sluice/gateway/message"
)

// clockNotation is what date and time make together.
const clockNotation = "YYMMDDWWhhmmss"

// clockSlack is how far a clock that was set may be off when it is read back.
const clockSlack = 10 * time.Second

// dateAndTime are the identifiers of the two.
func (e Edition) dateAndTime() (date, clock ID) {
	if e == Edition1997 {
		return ID{0xC010, 2}, ID{0xC011, 2}
	}
	return ID{0x04000101, 4}, ID{0x04000102, 4}
}

// fetchClock brings time and date, low byte first, as one. Around midnight the date is read again: it
// may be that of the day before.
func (l *link) fetchClock(ctx context.Context, line meterline.Exchanger) ([]byte, error) {
	dateID, timeID := l.edition.dateAndTime()
	date, err := l.fetch(ctx, line, dateID)
	if err != nil {
		return nil, err
	}
	clock, err := l.fetch(ctx, line, timeID)
	if err != nil {
		return nil, err
	}
	if len(date) != 4 || len(clock) != 3 {
		return nil, &answerError{fmt.Sprintf("the meter sent %d bytes of date and %d of time, not 4 and 3", len(date), len(clock))}
	}
	if clock[2] == 0 && clock[1] == 0 {
		if date, err = l.fetch(ctx, line, dateID); err != nil {
			return nil, err
		}
		if len(date) != 4 {
			return nil, &answerError{fmt.Sprintf("the meter sent %d bytes of date, not 4", len(date))}
		}
	}
	return slices.Concat(clock, date), nil
}

// clockLayout is how a clock is written, in the meter's own time, without a zone.
const clockLayout = "2006-01-02T15:04:05"

// clockTime reads a command's value: "now", which is the gateway's time in its zone, or a time.
func clockTime(value json.RawMessage) (at time.Time, now bool, err error) {
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return time.Time{}, false, fmt.Errorf("%.40s is neither \"now\" nor a time such as \"2026-11-22T12:00:00\"", value)
	}
	if text == "now" {
		return time.Time{}, true, nil
	}
	at, err = time.Parse(clockLayout, text)
	if err != nil || at.Year() < 2000 || at.Year() > 2099 {
		return time.Time{}, false, fmt.Errorf("%q is neither \"now\" nor a time such as \"2026-11-22T12:00:00\"", text)
	}
	return at, false, nil
}

// wallClock is now as a meter on the wall should show it, to be compared without zones.
func wallClock() time.Time {
	text := time.Now().Format(clockLayout)
	at, err := time.Parse(clockLayout, text)
	if err != nil {
		panic("bug: a layout does not read what it wrote: " + err.Error())
	}
	return at
}

func digitPair(n int) byte { return byte(n/10%10<<4 | n%10) }

// clockBytes are ss mm hh, dateBytes WW DD MM YY, where WW counts from Sunday as 0.
func clockBytes(at time.Time) []byte {
	return []byte{digitPair(at.Second()), digitPair(at.Minute()), digitPair(at.Hour())}
}

func dateBytes(at time.Time) []byte {
	return []byte{byte(at.Weekday()), digitPair(at.Day()), digitPair(int(at.Month())), digitPair(at.Year())}
}

// writeClock sets date and time in one turn, each sent once, and reads them back.
func (m *meter) writeClock(ctx context.Context, p *point, value json.RawMessage) (message.Value, error) {
	at, now, err := clockTime(value)
	if err != nil {
		return message.Value{}, err
	}
	var rights []byte
	if !m.broadcast {
		if rights, err = m.rights(); err != nil {
			return message.Value{}, fmt.Errorf("not written: %w", err)
		}
	}
	turn, err := m.client.Take(ctx, true)
	if err != nil {
		return message.Value{}, fmt.Errorf("not written: %w", err)
	}
	defer turn.Release()
	if _, err := m.fetchClock(ctx, turn); err != nil {
		return message.Value{}, fmt.Errorf("not written: %w", err)
	}
	if now {
		at = wallClock()
	}
	sent := time.Now()
	if m.broadcast {
		err = m.broadcastClock(ctx, turn, at)
	} else {
		err = m.setClock(ctx, turn, rights, at)
	}
	if err != nil {
		return message.Value{}, err
	}
	data, err := m.fetchClock(ctx, turn)
	if err != nil {
		return message.Value{}, fmt.Errorf("the time was sent, but reading it back failed: %w", err)
	}
	shown, err := p.value(data, -1)
	if err != nil {
		return message.Value{}, fmt.Errorf("the time was sent, but the meter reads back none: %w", err)
	}
	off := clockOf(data).Sub(at.Add(time.Since(sent)))
	if off.Abs() > clockSlack {
		hint := ""
		if m.broadcast {
			hint = "; meters take a broadcast once a day, and only when they are less than 5 minutes off"
		}
		return shown, fmt.Errorf("%s was sent, but the meter shows %s%s", at.Format(clockLayout), shown, hint)
	}
	return shown, nil
}

// clockOf turns checked bytes of fetchClock into a time.
func clockOf(data []byte) time.Time {
	n := func(i int) int { return int(data[i]>>4)*10 + int(data[i]&0xF) }
	return time.Date(2000+n(6), time.Month(n(5)), n(4), n(2), n(1), n(0), 0, time.UTC)
}

// setClock writes the date, then the time.
func (m *meter) setClock(ctx context.Context, line meterline.Exchanger, rights []byte, at time.Time) error {
	dateID, timeID := m.edition.dateAndTime()
	if err := m.put(ctx, line, dateID, rights, dateBytes(at)); err != nil {
		return err
	}
	if err := m.put(ctx, line, timeID, rights, clockBytes(at)); err != nil {
		return fmt.Errorf("the date was written, the time not: %w", err)
	}
	return nil
}

// broadcastClock tells every meter on the line the time. None of them answers.
func (m *meter) broadcastClock(ctx context.Context, line meterline.Exchanger, at time.Time) error {
	data := append(clockBytes(at), dateBytes(at)[1:]...)
	all := MeterNumber{0x99, 0x99, 0x99, 0x99, 0x99, 0x99}
	frame := Frame{Meter: all, Control: broadcastTime, Data: data}.Append(meterline.Begin())
	_, err := line.Exchange(ctx, bus.Request{
		Frame: frame, Timeout: afterBroadcast, Protocol: "dlt645", Late: -1, Quiet: true,
		Answer: func([]byte) ([]byte, bool) { return nil, false },
	})
	if _, ok := errors.AsType[*bus.NoReplyError](err); ok {
		return nil
	}
	if errors.Is(err, bus.ErrNotSent) {
		return fmt.Errorf("not written: %w", err)
	}
	return fmt.Errorf("outcome unknown: %w", err)
}

// afterBroadcast lets meters set themselves before they are asked.
const afterBroadcast = 200 * time.Millisecond
