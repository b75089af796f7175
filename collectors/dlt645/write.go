package dlt645

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/meterline"
	"sluice/gateway/config"
	"sluice/gateway/message"
)

// Write sends a point's value once, with password and operator, in one turn with a read before, which
// shows that the meter is there, and one after, which shows what became of it.
func (m *meter) Write(ctx context.Context, name string, value json.RawMessage) (message.Value, error) {
	at := slices.IndexFunc(m.points, func(p point) bool { return p.spec.Name == name })
	if at < 0 {
		return message.Value{}, fmt.Errorf("there is no point %q", name)
	}
	p := &m.points[at]
	if !p.writable {
		return message.Value{}, fmt.Errorf("point %s is read-only; its access is not rw", name)
	}
	write := m.writeValue
	if p.id == clockID {
		write = m.writeClock
	}
	back, err := write(ctx, p, value)
	if err != nil {
		return back, fmt.Errorf("point %s: %w", name, err)
	}
	return back, nil
}

func (m *meter) writeValue(ctx context.Context, p *point, value json.RawMessage) (message.Value, error) {
	data, err := p.format.encode(value)
	if err != nil {
		return message.Value{}, err
	}
	rights, err := m.rights()
	if err != nil {
		return message.Value{}, fmt.Errorf("not written: %w", err)
	}
	turn, err := m.client.Take(ctx, true)
	if err != nil {
		return message.Value{}, fmt.Errorf("not written: %w", err)
	}
	defer turn.Release()
	if _, err := m.fetch(ctx, turn, p.id); err != nil {
		return message.Value{}, fmt.Errorf("not written: %w", err)
	}
	if err := m.put(ctx, turn, p.id, rights, data); err != nil {
		return message.Value{}, err
	}
	back, err := m.fetch(ctx, turn, p.id)
	if err != nil {
		return message.Value{}, fmt.Errorf("the meter took %s, but reading it back failed: %w", value, err)
	}
	shown, err := p.format.Value(back)
	if err != nil {
		return message.Value{}, fmt.Errorf("the meter took %s, but reads back something else: %w", value, err)
	}
	if !bytes.Equal(back, data) {
		return shown, fmt.Errorf("the meter took %s, but reads back %s", value, shown)
	}
	return shown, nil
}

// put writes data behind an identifier, once.
func (l *link) put(ctx context.Context, line meterline.Exchanger, id ID, rights, data []byte) error {
	_, err := l.ask(ctx, line, question{
		edition: l.edition, meter: l.number, function: l.edition.writeFunction(), id: id, writes: slices.Concat(rights, data),
	})
	_, refused := errors.AsType[*answerError](err)
	switch {
	case err == nil:
		return nil
	case refused || errors.Is(err, bus.ErrNotSent):
		return fmt.Errorf("not written: %w", err)
	}
	return fmt.Errorf("outcome unknown: %w", err)
}

// rights are the password and, since 2007, the operator's code, as they stand before the data. The
// files are read for every write, so that a changed one counts at once.
func (l *link) rights() ([]byte, error) {
	if l.passwordFile == "" {
		return nil, errors.New("there is no password_file")
	}
	password, err := secretDigits("password_file", l.passwordFile)
	if err != nil {
		return nil, err
	}
	// The level comes first, then the password with its low byte first.
	rights := []byte{password[0], password[3], password[2], password[1]}
	if l.edition == Edition1997 {
		return rights, nil
	}
	operator := make([]byte, 4)
	if l.operatorFile != "" {
		if operator, err = secretDigits("operator_file", l.operatorFile); err != nil {
			return nil, err
		}
		slices.Reverse(operator)
	}
	return append(rights, operator...), nil
}

func secretDigits(key, path string) ([]byte, error) {
	text, err := config.ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	digits, err := hex.DecodeString(string(text))
	if err != nil || len(digits) != 4 {
		return nil, fmt.Errorf("%s: %s does not hold 8 digits", key, path)
	}
	return digits, nil
}

// encode is the inverse of Value: the bytes of a command's value, low byte first. What the format
// cannot hold is refused, not bent.
func (f Format) encode(value json.RawMessage) ([]byte, error) {
	var b []byte
	var err error
	switch f.kind {
	case number:
		b, err = f.encodeNumber(value)
	case bits:
		b, err = f.encodeBits(value)
	default:
		b, err = f.encodeText(value)
	}
	if err != nil {
		return nil, err
	}
	slices.Reverse(b)
	return b, nil
}

func (f Format) encodeNumber(value json.RawMessage) ([]byte, error) {
	v, err := strconv.ParseFloat(string(value), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return nil, fmt.Errorf("%.40s is not a number", value)
	}
	scaled := v * math.Pow10(f.decimals)
	n := math.Round(scaled)
	if math.Abs(scaled-n) > 1e-6*max(1, math.Abs(n)*1e-6) {
		return nil, fmt.Errorf("%s has more decimals than %s", value, f)
	}
	negative := n < 0
	digits := strconv.FormatFloat(math.Abs(n), 'f', 0, 64)
	if negative && !f.signed || len(digits) > 2*f.bytes {
		return nil, fmt.Errorf("%s does not fit %s", value, f)
	}
	b, err := hex.DecodeString(strings.Repeat("0", 2*f.bytes-len(digits)) + digits)
	if err != nil {
		return nil, fmt.Errorf("%s does not fit %s", value, f)
	}
	if f.signed {
		if b[0]&0x80 != 0 {
			return nil, fmt.Errorf("%s does not fit %s, whose top bit is the sign", value, f)
		}
		if negative {
			b[0] |= 0x80
		}
	}
	return b, nil
}

func (f Format) encodeBits(value json.RawMessage) ([]byte, error) {
	n, err := strconv.ParseUint(string(value), 10, 8*f.bytes)
	if err != nil {
		return nil, fmt.Errorf("%.40s is not a whole number of %d bits", value, 8*f.bytes)
	}
	b := make([]byte, f.bytes)
	for i := range b {
		b[i] = byte(n >> (8 * (f.bytes - 1 - i)))
	}
	return b, nil
}

// encodeText takes what Value shows: "2026-11-22", "12:00:00", digits, ASCII.
func (f Format) encodeText(value json.RawMessage) ([]byte, error) {
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return nil, fmt.Errorf("%.40s is not a text", value)
	}
	var b []byte
	switch f.kind {
	case characters:
		if len(text) > f.bytes || strings.Trim(text, asciiSigns) != "" {
			return nil, fmt.Errorf("%q does not fit %s", text, f)
		}
		return append(b, text+strings.Repeat("\x00", f.bytes-len(text))...), nil
	case digits:
		b, _ = hex.DecodeString(text)
	default:
		b = f.encodeMoment(text)
	}
	if len(b) != f.bytes {
		return nil, fmt.Errorf("%q is not like %s", text, f)
	}
	if back, err := f.Value(reversed(b)); err != nil || back != message.Text(text) {
		return nil, fmt.Errorf("%q is not like %s", text, f)
	}
	return b, nil
}

// asciiSigns are what a text may have in it.
var asciiSigns = func() string {
	var b strings.Builder
	for c := byte(0x20); c < 0x7F; c++ {
		b.WriteByte(c)
	}
	return b.String()
}()

// encodeMoment gives the bytes of a date, a time or both, the highest first; nil when text is none.
func (f Format) encodeMoment(text string) []byte {
	layout := strings.NewReplacer("YY", "2006-", "MM", "01-", "DD", "02", "WW", "", "hh", "T15", "mm", ":04", "ss", ":05").Replace(f.text)
	layout = strings.TrimPrefix(layout, "T")
	at, err := time.Parse(layout, text)
	if err != nil {
		return nil
	}
	var b []byte
	for i := 0; i < len(f.text); i += 2 {
		switch f.text[i : i+2] {
		case "YY":
			b = append(b, digitPair(at.Year()))
		case "MM":
			b = append(b, digitPair(int(at.Month())))
		case "DD":
			b = append(b, digitPair(at.Day()))
		case "WW":
			b = append(b, byte(at.Weekday()))
		case "hh":
			b = append(b, digitPair(at.Hour()))
		case "mm":
			b = append(b, digitPair(at.Minute()))
		case "ss":
			b = append(b, digitPair(at.Second()))
		}
	}
	return b
}

func reversed(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}
