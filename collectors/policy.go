package collectors

import (
	"fmt"
	"math"
	"time"

	"sluice/gateway/message"
)

// Policy says when a point is polled and which of its values become part of readings. Drivers embed
// it in their points' options; the Poller obeys it. What is empty is as the device says.
type Policy struct {
	Group           string        `yaml:"group" doc:"the scan group that polls the point; empty: the device's own interval"`
	Report          string        `yaml:"report" doc:"always: the point is in every reading; change: only in readings after it has changed, by its deadband if it has one, or after max_silence; empty: as the device says" enum:"always,change"`
	Deadband        float64       `yaml:"deadband" doc:"a change smaller than this is none: the reading repeats the value reported last" min:"0"`
	DeadbandPercent float64       `yaml:"deadband_percent" doc:"the same, in percent of the value reported last; of the two the wider counts" min:"0" max:"100"`
	MaxSilence      time.Duration `yaml:"max_silence" doc:"with report: change, how long the point may go unreported; 0: as the device says" min:"0s"`
	MinInterval     time.Duration `yaml:"min_interval" doc:"the point is in readings no more often than this, and never for what it was in between" min:"0s"`
	OnError         string        `yaml:"on_error" doc:"bad: a point that cannot be read is an error; hold: the reading repeats its last good value beside the error; empty: as the device says" enum:"bad,hold"`
}

// The values of Policy.Report and Policy.OnError.
const (
	ReportAlways = "always"
	ReportChange = "change"
	ErrorBad     = "bad"
	ErrorHold    = "hold"
)

// under fills what p leaves open with what the device says.
func (p Policy) under(device Policy) Policy {
	if p.Report == "" {
		p.Report = device.Report
	}
	if p.MaxSilence == 0 {
		p.MaxSilence = device.MaxSilence
	}
	if p.OnError == "" {
		p.OnError = device.OnError
	}
	return p
}

// ValidateFor reports what makes no sense for a point, which is a number or is not.
func (p *Policy) ValidateFor(number bool, report func(key, problem string)) {
	for key, share := range map[string]float64{"deadband": p.Deadband, "deadband_percent": p.DeadbandPercent} {
		switch {
		case share != 0 && !number:
			report(key, "goes with numbers only")
		case math.IsNaN(share) || math.IsInf(share, 0):
			report(key, "must be a finite number")
		case share < 0:
			report(key, "must not be negative")
		}
	}
	for key, d := range map[string]time.Duration{"max_silence": p.MaxSilence, "min_interval": p.MinInterval} {
		if d < 0 {
			report(key, "must not be negative")
		}
	}
	if p.MaxSilence > 0 && p.MinInterval > p.MaxSilence {
		report("min_interval", fmt.Sprintf("is longer than max_silence, which is %v", p.MaxSilence))
	}
}

// gate keeps what was reported last of a point and decides what is reported next.
type gate struct {
	policy Policy

	reported bool
	at       time.Time
	value    message.Value // reported last
	failed   bool          // it was an error that was reported last
	good     message.Value // read last without an error
}

// forget makes the next value news again, after a reading that was reported and did not last.
func (g *gate) forget() { g.reported = false }

// pass says whether the point as it was read now belongs in the reading, and puts there what is to be
// reported: the value of before when the change is too small to count or the point could not be read.
func (g *gate) pass(p *message.Point, now time.Time) bool {
	failed := p.Error != ""
	changed := !g.reported || failed != g.failed
	switch {
	case failed && g.policy.OnError == ErrorHold && !g.good.Absent():
		p.Value, p.Held = g.good, true
	case failed:
	default:
		g.good = p.Value
		if !changed && p.Value != g.value {
			changed = !g.small(p.Value)
		}
	}
	since := now.Sub(g.at)
	overdue := g.policy.MaxSilence > 0 && since >= g.policy.MaxSilence
	switch {
	case g.reported && g.policy.MinInterval > 0 && since < g.policy.MinInterval:
		return false
	case g.policy.Report == ReportChange && !changed && !overdue:
		return false
	case !changed && !failed && !(g.policy.Report == ReportChange && overdue):
		p.Value = g.value // of a change that is too small to count nothing is told
	}
	g.reported, g.at, g.value, g.failed = true, now, p.Value, failed
	return true
}

// small says whether v lies within the deadband around the value reported last.
func (g *gate) small(v message.Value) bool {
	was, ok := g.value.Float()
	is, also := v.Float()
	if !ok || !also {
		return false
	}
	band := max(g.policy.Deadband, math.Abs(was)*g.policy.DeadbandPercent/100)
	return math.Abs(is-was) < band
}
