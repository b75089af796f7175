package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/collectors"
	"sluice/collectors/modbus"
	"sluice/collectors/profiles"
	"sluice/collectors/sheet"
	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/web"
)

// fieldPoints shows how devices are asked and turns their points into files and back.
type fieldPoints struct{ *Gateway }

func (p fieldPoints) device(name string) (*device, error) {
	p.mu.Lock()
	parts := p.placed
	p.mu.Unlock()
	for _, each := range parts {
		if d, ok := each.part.(*device); ok && d.config.Name == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%w: device %q", web.ErrUnknown, name)
}

// Plan gives what a device is asked in each poll.
func (p fieldPoints) Plan(name string) (web.Plan, error) {
	d, err := p.device(name)
	if err != nil {
		return web.Plan{}, err
	}
	plans, able := d.poller.Explain()
	if !able {
		return web.Plan{}, unable("the driver %s does not say what it asks", d.config.Driver)
	}
	shown := web.Plan{Device: name, Requests: []web.PlanRequest{}, Groups: []web.PlanGroup{}, Learned: []string{}}
	var sentences []string
	for i, plan := range plans {
		group := web.PlanGroup{Group: plan.Group, Interval: milliseconds(plan.Interval), Requests: len(plan.Requests)}
		for _, r := range plan.Requests {
			group.Points += len(r.Points)
			shown.Requests = append(shown.Requests, web.PlanRequest{
				Group: plan.Group, Area: r.Area, Function: r.Function, Address: r.Address, Count: r.Count, Points: r.Points, Unwanted: r.Unwanted,
				Reason: textOrNil(r.Reason), Refused: textOrNil(r.Refused),
			})
		}
		shown.Groups = append(shown.Groups, group)
		sentences = append(sentences, planSentence(&plan, group.Points))
		if i == 0 { // what was learned is the device's, whatever group found it out
			for _, lesson := range plan.Learned {
				shown.Learned = append(shown.Learned, lesson.Text.English)
				shown.Lessons = append(shown.Lessons, web.PlanLesson{Text: web.BusText(lesson.Text), Since: lesson.Since})
			}
		}
	}
	shown.Summary = strings.Join(sentences, "; ")
	return shown, nil
}

func planSentence(plan *collectors.GroupPlan, points int) string {
	group := ""
	if plan.Group != "" {
		group = "group " + plan.Group + ": "
	}
	return fmt.Sprintf("%s%s for %s every %v", group, several(len(plan.Requests), "request"), several(points, "point"), config.Duration(plan.Interval))
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func textOrNil(t collectors.Text) *web.BusText {
	if t.English == "" {
		return nil
	}
	shown := web.BusText(t)
	return &shown
}

// Registers reads what a device holds, in a turn among those of its polls.
func (p fieldPoints) Registers(ctx context.Context, name, area string, address, count int) (web.Registers, error) {
	d, err := p.device(name)
	if err != nil {
		return web.Registers{}, err
	}
	inspector, able := d.poller.Device.(collectors.Inspector)
	if !able {
		return web.Registers{}, unable("a device of the driver %s has no registers to look at", d.config.Driver)
	}
	words, err := inspector.Inspect(ctx, area, address, count)
	if now, unknown := p.device(name); unknown != nil || now != d {
		d.Close() // it was replaced meanwhile: the connection that this may have opened is nobody's
	}
	if wrong, ok := errors.AsType[*collectors.SpanError](err); ok {
		return web.Registers{}, &web.FieldError{Field: wrong.Field, Text: wrong.Text}
	}
	if err != nil {
		return web.Registers{}, err
	}
	at := time.Now()
	shown := web.Registers{Device: name, Area: area, Address: address, At: &at, Words: hexWords(words), Interpretations: []web.Interpretation{}}
	if area == modbus.Holding.String() || area == modbus.Input.String() {
		shown.Interpretations = interpretations(words)
	}
	return shown, nil
}

// Interpret says what registers mean, without asking anybody.
func (p fieldPoints) Interpret(words []uint16) web.Registers {
	return web.Registers{Words: hexWords(words), Interpretations: interpretations(words)}
}

func hexWords(words []uint16) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%04X", w)
	}
	return out
}

// interpretations reads registers in every way from each of them on.
func interpretations(words []uint16) []web.Interpretation {
	all := []web.Interpretation{}
	for at := range words {
		for _, each := range modbus.Interpretations(words[at:]) {
			all = append(all, web.Interpretation{
				At: at, Type: string(each.Type), Order: string(each.Order), Byte: each.Byte, Registers: each.Registers,
				Value: each.Value, Text: valueText(each.Value), Plausible: each.Plausible,
			})
		}
	}
	return all
}

// valueText gives all digits of a number, which JavaScript would round, and names what JSON has no form for.
func valueText(v message.Value) string {
	if text, ok := v.Any().(string); ok {
		return text
	}
	if f, ok := v.Float(); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return v.String()
}

// Profiles lists the models of devices.
func (fieldPoints) Profiles() ([]web.Profile, error) { return listProfiles() }

var listProfiles = sync.OnceValues(func() (list []web.Profile, err error) {
	for _, name := range profiles.Names() {
		p, err := profiles.Open(name)
		if err != nil {
			return nil, err
		}
		shown := web.Profile{
			Name: name, Kind: p.Driver, Category: p.Kind, Vendor: p.Maker, Title: p.Maker + " " + p.Model, Points: len(p.Points),
			Summary: web.BusText{English: p.Summary.English, Chinese: p.Summary.Chinese}, Line: p.Line, Sources: p.Source,
		}
		if p.Maker == "any" { // the model of a standard
			shown.Title = p.Model
		}
		list = append(list, shown)
	}
	return list, nil
})

// ProfileFile gives a profile as it was written.
func (fieldPoints) ProfileFile(name string) ([]byte, error) {
	data, ok := profiles.YAML(name)
	if !ok {
		return nil, fmt.Errorf("%w: profile %q", web.ErrUnknown, name)
	}
	return data, nil
}

// Import says what a file with points holds.
func (p fieldPoints) Import(data []byte, how web.PointFileOptions) (web.PointFile, error) {
	return ReadPoints(data, how, p.Config())
}

// Export writes the points of a device as a file.
func (p fieldPoints) Export(name, format string, to io.Writer) ([]web.PointProblem, error) {
	return WritePoints(p.Config(), name, format, to)
}

// File gives a device's section of the configuration, its secrets hidden.
func (p fieldPoints) File(name string) ([]byte, error) {
	section, err := DeviceFile(p.Config(), name)
	return []byte(withoutSecrets(string(section))), err
}

// DeviceFile gives a device's section of a configuration, with its remarks, as one file.
func DeviceFile(c *config.Config, name string) ([]byte, error) {
	if _, err := deviceOf(c, name); err != nil {
		return nil, err
	}
	section, err := sheet.Section([]byte(c.Text), name)
	if err != nil {
		return nil, unable("%v", err)
	}
	return section, nil
}

// unable says why a device cannot do what is asked of it.
func unable(format string, args ...any) error {
	return &web.FieldError{Field: "device", Text: fmt.Sprintf(format, args...)}
}

func deviceOf(c *config.Config, name string) (*config.Device, error) {
	for i := range c.Devices {
		if c.Devices[i].Name == name {
			return &c.Devices[i], nil
		}
	}
	return nil, fmt.Errorf("%w: device %q", web.ErrUnknown, name)
}
