package journal

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// partKey is the attribute that names a component; parts bind it once.
const partKey = "part"

// Handler puts what it is given into the journal, and hands it to next as well, which sees what the
// journal's level lets through and nothing else. Secrets are hidden from both.
func (j *Journal) Handler(next slog.Handler) slog.Handler {
	return &handler{journal: j, next: next}
}

type handler struct {
	journal *Journal
	next    slog.Handler
	part    string
	prefix  string // of the open groups, with a dot behind each
	attrs   []Attr
}

// Enabled asks the journal alone: its level may change while the gateway runs.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return h.journal.levels.enabled(h.part, level)
}

// Handle keeps one record.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	text := h.journal.cleaned(r.Message, maxText)
	e := Entry{Time: r.Time, Level: r.Level, Part: h.part, Text: text, Attrs: slices.Clone(h.attrs)}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	shown := slog.NewRecord(r.Time, r.Level, text, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if h.prefix == "" && a.Key == partKey && e.Part == "" {
			e.Part = a.Value.String()
		} else {
			e.Attrs = h.journal.flat(e.Attrs, h.prefix, a)
		}
		shown.AddAttrs(h.journal.hide(a))
		return true
	})
	h.journal.put(e)
	return h.next.Handle(ctx, shown)
}

// WithAttrs binds attributes.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	bound := *h
	bound.attrs = slices.Clone(h.attrs)
	hidden := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		if h.prefix == "" && a.Key == partKey {
			bound.part = a.Value.String()
		} else {
			bound.attrs = h.journal.flat(bound.attrs, h.prefix, a)
		}
		hidden[i] = h.journal.hide(a)
	}
	bound.next = h.next.WithAttrs(hidden)
	return &bound
}

// WithGroup opens a group.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	bound := *h
	bound.prefix += name + "."
	bound.next = h.next.WithGroup(name)
	return &bound
}

// flat appends an attribute as text, a group as its members with their names joined by dots.
func (j *Journal) flat(to []Attr, prefix string, a slog.Attr) []Attr {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range value.Group() {
			to = j.flat(to, prefix, member)
		}
		return to
	}
	if a.Equal(slog.Attr{}) || len(to) >= maxAttrs {
		return to
	}
	text := value.String()
	if value.Kind() == slog.KindTime {
		text = value.Time().Format(time.RFC3339Nano)
	}
	return append(to, Attr{Key: j.cleaned(prefix+a.Key, 100), Value: j.cleaned(text, maxValue)})
}

// hide gives an attribute whose text shows no secret; most have none and stay what they are.
func (j *Journal) hide(a slog.Attr) slog.Attr {
	r := j.secrets.Load()
	if r == nil {
		return a
	}
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		members := slices.Clone(value.Group())
		for i := range members {
			members[i] = j.hide(members[i])
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(members...)}
	}
	if value.Kind() != slog.KindString && value.Kind() != slog.KindAny {
		return a
	}
	text := value.String()
	if clean := r.Replace(text); !strings.EqualFold(clean, text) {
		return slog.String(a.Key, clean)
	}
	return a
}
