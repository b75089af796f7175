package gateway

import (
	"time"

	"sluice/collectors"
	"sluice/web"
)

// light is what a line tells of a device's lamps.
type light struct {
	line     string
	open     bool
	refused  bool      // the line could not be opened
	lastGood time.Time // the last answer
}

// lit gives for each device that has used a line how that does. It is cheap: the status is made each second.
func (b *fieldLines) lit() map[string]light {
	all := make(map[string]light)
	for _, p := range b.gateway.buses.Ports() {
		stats := p.Stats()
		for i := range stats.Clients {
			c := &stats.Clients[i]
			all[c.Device] = light{line: stats.Name, open: stats.Open, refused: !stats.Open && stats.OpenError != "", lastGood: c.LastGood}
		}
	}
	return all
}

// The states of a lamp.
const (
	good    = "good"
	bad     = "bad"
	unknown = "unknown"
)

func lamp(is bool) string {
	if is {
		return good
	}
	return bad
}

// lampsOf says how far it is to a device's values. Behind a lamp that is bad nothing is known. A device
// without a line, such as a simulated one, has whatever there is of a port when it answers.
func lampsOf(d *web.Device, l light) web.Lamps {
	lamps := web.Lamps{Port: unknown, Frames: unknown, Values: unknown}
	answers := d.State == collectors.Online || d.State == collectors.Degraded || d.State == collectors.Paused
	switch {
	case answers || l.open:
		lamps.Port = good
	case l.refused:
		lamps.Port = bad
	}
	if d.LastPoll == nil || lamps.Port == bad {
		return lamps
	}
	answered := answers || !l.lastGood.IsZero() && !l.lastGood.Before(*d.LastPoll)
	lamps.Frames = lamp(answered)
	if !answered {
		return lamps
	}
	lamps.Values = good
	for i := range d.Points {
		if d.Points[i].Error != "" || d.Points[i].Value == nil {
			lamps.Values = bad
		}
	}
	return lamps
}

// adviceAge is how old advice may be: judging the lines takes more than a status may.
const adviceAge = 5 * time.Second

// adviceFor gives what is wrong with a device most likely, and what to do next; nil: nobody knows.
func (b *fieldLines) adviceFor(device string) *web.BusText {
	b.advising.Lock()
	defer b.advising.Unlock()
	if now := time.Now(); b.advice == nil || now.Sub(b.advised) >= adviceAge {
		b.advice, b.advised = b.judge(), now
	}
	return b.advice[device]
}

// judge takes for each device the first finding that is about it, or else about its line.
func (b *fieldLines) judge() map[string]*web.BusText {
	advice := make(map[string]*web.BusText)
	for _, line := range b.List() {
		var whole *web.BusText
		for i := range line.Findings {
			f := &line.Findings[i]
			text := &web.BusText{English: f.Cause.English + " " + f.Next.English, Chinese: f.Cause.Chinese + f.Next.Chinese}
			switch {
			case f.Device == "" && whole == nil:
				whole = text
			case f.Device != "" && advice[f.Device] == nil:
				advice[f.Device] = text
			}
		}
		for _, d := range line.Devices {
			if whole != nil && advice[d.Name] == nil {
				advice[d.Name] = whole
			}
		}
	}
	return advice
}
