package gateway

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/journal"
	"sluice/gateway/syslog"
	"sluice/web"
)

// records shows the gateway's own records.
type records struct {
	gateway *Gateway
	journal *journal.Journal
}

// records is nil without a journal.
func (g *Gateway) records() web.Logs {
	if g.options.Journal == nil {
		return nil
	}
	return records{g, g.options.Journal}
}

// logAs lets the journal follow a configuration: its level, and what may never stand in it.
func (g *Gateway) logAs(c *config.Config) {
	if g.options.Journal == nil {
		return
	}
	level := c.Log.Level
	if g.options.Level != "" {
		level = g.options.Level
	}
	g.options.Journal.SetLevel(levelOf(level))
	g.options.Journal.Hide(secretsOf(c))
}

func levelOf(name string) slog.Level {
	return map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[name] // else info, which is 0
}

func levelName(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "error"
	case level >= slog.LevelWarn:
		return "warn"
	case level >= slog.LevelInfo:
		return "info"
	}
	return "debug"
}

// taken says whether a filter lets an entry through.
func taken(f web.LogFilter) func(*journal.Entry) bool {
	least, text := levelOf(f.Level), strings.ToLower(f.Text)
	return func(e *journal.Entry) bool {
		if e.Level < least || f.Part != "" && e.Part != f.Part {
			return false
		}
		if text == "" || strings.Contains(strings.ToLower(e.Text), text) {
			return true
		}
		for _, a := range e.Attrs {
			if strings.Contains(strings.ToLower(a.Key+"="+a.Value), text) {
				return true
			}
		}
		return false
	}
}

func showEntries(entries []journal.Entry) (shown []web.LogRecord) {
	for _, e := range entries {
		one := web.LogRecord{Number: e.Number, Time: e.Time, Level: levelName(e.Level), Part: e.Part, Text: e.Text, Attrs: []web.LogAttr{}}
		for _, a := range e.Attrs {
			one.Attrs = append(one.Attrs, web.LogAttr(a))
		}
		shown = append(shown, one)
	}
	return shown
}

// Before gives older records.
func (r records) Before(wanted web.LogFilter, before uint64, limit int) []web.LogRecord {
	return showEntries(r.journal.Before(before, limit, taken(wanted)))
}

// After gives newer ones.
func (r records) After(wanted web.LogFilter, after uint64, limit int) (shown []web.LogRecord, upTo, lost uint64, grown <-chan struct{}) {
	entries, lost, grown := r.journal.After(after, limit)
	upTo = after
	if n := len(entries); n > 0 {
		upTo = entries[n-1].Number
	}
	take := taken(wanted)
	var found []journal.Entry
	for i := range entries {
		if take(&entries[i]) {
			found = append(found, entries[i])
		}
	}
	return showEntries(found), upTo, lost, grown
}

// Parts are those that have said something.
func (r records) Parts() []string { return r.journal.Parts() }

// Level is from which level on records are kept.
func (r records) Level() web.LogLevel {
	usual, now := r.journal.Level()
	shown := web.LogLevel{Level: levelName(usual)}
	if now != nil {
		shown.Override = &web.LogOverride{Level: levelName(now.Level), Part: now.Part, Until: now.Until}
	}
	r.gateway.mu.Lock()
	parts := r.gateway.placed
	r.gateway.mu.Unlock()
	for _, p := range parts {
		if s, ok := p.part.(syslogPart); ok {
			state := s.State()
			shown.Syslog = &web.SyslogState{Address: s.address, Connected: state.Connected, Lost: state.Lost, Error: state.Error}
		}
	}
	return shown
}

// SetLevel lets another level count for a time.
func (r records) SetLevel(level, part string, during time.Duration) {
	r.journal.Override(levelOf(level), part, during)
	r.gateway.log.Info("the level of the gateway's own records was changed", "level", level, "of", part, "for", during)
}

// syslogPart sends the journal to a server.
type syslogPart struct {
	*syslog.Sender
	address string
}

func (g *Gateway) syslogPlace(c *config.Config) place {
	type spec struct {
		config.Syslog
		host string
	}
	return place{name: "syslog", spec: spec{*c.Log.Syslog, c.Gateway.Name}, open: func(replaces part) (part, error) {
		options := syslog.Options{
			Address: c.Log.Syslog.Address, Facility: c.Log.Syslog.Facility, CA: c.Log.Syslog.CA, Host: c.Gateway.Name,
			Version: g.options.Version, Source: g.options.Journal, Log: g.log.With("part", "syslog"),
		}
		if before, ok := replaces.(syslogPart); ok {
			options.After = before.State().Sent // another server goes on where the last one was
		}
		sender, err := syslog.New(options)
		if err != nil {
			return nil, err
		}
		return syslogPart{sender, c.Log.Syslog.Address}, nil
	}}
}

// Run sends until ctx ends.
func (s syslogPart) Run(ctx context.Context) error { return s.Sender.Run(ctx) }

// Close has nothing to let go of: nothing is open before Run.
func (syslogPart) Close() {}
