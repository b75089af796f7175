package bridge

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what goes up; the zero value bounds nothing.
type Limits struct {
	Messages float64 // a second; 0: any number
	Bytes    float64 // a second, topics and payloads; 0: any number
	Hours    []Hours // times of day at which anything is sent; none: always
}

// Hours is a span of the day in local time, in minutes since midnight: From is in it, To is not. It
// passes over midnight when To is not behind From.
type Hours struct{ From, To int }

// ParseHours reads "22:00-06:00".
func ParseHours(text string) (Hours, error) {
	from, to, found := strings.Cut(text, "-")
	first, err := time.Parse("15:04", strings.TrimSpace(from))
	second, err2 := time.Parse("15:04", strings.TrimSpace(to))
	if !found || err != nil || err2 != nil {
		return Hours{}, fmt.Errorf("%q is no span of the day: write 22:00-06:00", text)
	}
	return Hours{minute(first), minute(second)}, nil
}

func minute(at time.Time) int { return at.Hour()*60 + at.Minute() }

func (h Hours) include(at time.Time) bool {
	m := minute(at)
	if h.From < h.To {
		return h.From <= m && m < h.To
	}
	return m >= h.From || m < h.To
}

// OpensAt is when the hours next let anything go: at itself, when they do then.
func (l Limits) OpensAt(at time.Time) time.Time {
	if len(l.Hours) == 0 {
		return at
	}
	var opens time.Time
	for _, h := range l.Hours {
		if h.include(at) {
			return at
		}
		next := h.begin(at, 0)
		if !next.After(at) {
			next = h.begin(at, 1)
		}
		if opens.IsZero() || next.Before(opens) {
			opens = next
		}
	}
	return opens
}

// begin is when the span begins on the day that is so many days behind that of at.
func (h Hours) begin(at time.Time, days int) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day()+days, 0, h.From, 0, 0, at.Location())
}

// pace holds a stream to its Limits. Many lanes may share one.
type pace struct {
	messages, bytes *rate.Limiter // nil: no bound
	hours           []Hours
}

// burst is the part of a second's worth that may go at once.
const burst = 10

func newPace(l Limits) *pace {
	p := &pace{hours: l.Hours}
	if l.Messages > 0 {
		p.messages = rate.NewLimiter(rate.Limit(l.Messages), max(1, int(l.Messages/burst)))
	}
	if l.Bytes > 0 {
		p.bytes = rate.NewLimiter(rate.Limit(l.Bytes), max(1, int(l.Bytes/burst)))
	}
	return p
}

// wait returns when a message of that size may go, or with ctx's error.
func (p *pace) wait(ctx context.Context, size int) error {
	for !p.open() {
		// Short steps: the clock may be set meanwhile.
		if !pause(ctx, 10*time.Second) {
			return ctx.Err()
		}
	}
	if p.messages != nil {
		if err := p.messages.Wait(ctx); err != nil {
			return err
		}
	}
	for p.bytes != nil && size > 0 {
		step := min(size, p.bytes.Burst())
		if err := p.bytes.WaitN(ctx, step); err != nil {
			return err
		}
		size -= step
	}
	return nil
}

func (p *pace) open() bool {
	if len(p.hours) == 0 {
		return true
	}
	now := time.Now()
	for _, h := range p.hours {
		if h.include(now) {
			return true
		}
	}
	return false
}
