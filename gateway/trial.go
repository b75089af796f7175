package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"sluice/collectors"
	drivers "sluice/collectors/all"
	"sluice/collectors/bus"
	"sluice/gateway/config"
	"sluice/web"
)

const (
	trialsAtOnce = 4
	mostTried    = 500 // points that are shown of a trial
)

// trier is the name under which trials ask, for the monitor.
const trier = "trial"

// trials sees to it that devices are tried one at a time on each line, and few at once.
type trials struct {
	gateway *Gateway

	mu   sync.Mutex // guards what follows
	busy map[string]bool
}

func newTrials(g *Gateway) *trials { return &trials{gateway: g, busy: make(map[string]bool)} }

// begin takes a place; the caller calls end.
func (t *trials) begin(line string) (end func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.busy[line]:
		return nil, fmt.Errorf("%w at %s; try again in a moment", web.ErrTrying, line)
	case len(t.busy) >= trialsAtOnce:
		return nil, fmt.Errorf("%w: %d are at once", web.ErrTrying, trialsAtOnce)
	}
	t.busy[line] = true
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.busy, line)
	}, nil
}

// trial is a device made ready for one poll.
type trial struct {
	device   collectors.Device
	derived  []collectors.Derived
	line     string // what it must not share with another trial
	warnings []web.SectionProblem
	lines    *bus.Set // of its own; nil: it uses the gateway's
}

func (t *trial) close() error {
	err := t.device.Close()
	if t.lines != nil {
		err = errors.Join(err, t.lines.Close())
	}
	return err
}

// Try asks a device once.
func (d fieldDevices) Try(ctx context.Context, wanted web.TrialRequest) (web.Trial, error) {
	t, err := d.trial(wanted)
	if err != nil {
		return web.Trial{}, err
	}
	end, err := d.trials.begin(t.line)
	if err != nil {
		return web.Trial{}, errors.Join(err, t.close())
	}
	defer end()
	shown := t.run(ctx)
	if err := t.close(); err != nil {
		d.log.Warn("a device that was tried did not close well", "line", t.line, "err", err)
	}
	return shown, nil
}

func (t *trial) run(ctx context.Context) web.Trial {
	shown := web.Trial{Points: []web.TriedPoint{}, Problems: append([]web.SectionProblem{}, t.warnings...)}
	if t.lines != nil { // a DTU may have to call first
		ctx, stop := context.WithCancel(ctx)
		var serving sync.WaitGroup
		defer serving.Wait()
		defer stop()
		serving.Go(func() { _ = t.lines.Run(ctx) }) // it returns nil when ctx ends
	}
	device := t.device
	if whole, divisible := device.(collectors.Divisible); divisible && len(device.Points()) > mostTried {
		first := make([]int, mostTried)
		for i := range first {
			first[i] = i
		}
		device = whole.Part(first)
		defer device.Close()
	}
	shown.More = max(0, len(t.device.Points())-mostTried)
	began := time.Now()
	samples, err := collectors.Once(ctx, device, t.derived)
	shown.Took = milliseconds(time.Since(began))
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		shown.Error = fmt.Sprintf("no answer within %v", time.Since(began).Round(time.Second))
	case err != nil:
		shown.Error = strings.TrimPrefix(err.Error(), trier+": ")
	}
	for i := range samples[:min(len(samples), mostTried+len(t.derived))] {
		s := &samples[i]
		p := web.TriedPoint{Name: s.Name, Unit: s.Unit, Raw: s.Raw, Error: s.Error}
		if !s.Value.Absent() {
			p.Value = s.Value
		}
		shown.Points = append(shown.Points, p)
	}
	return shown
}

// trial checks a section and opens the device, on the line that runs if there is one.
func (d fieldDevices) trial(wanted web.TrialRequest) (*trial, error) {
	running := d.Config()
	c, err := sectionOf(running, wanted)
	if err != nil {
		return nil, err
	}
	section := &c.Devices[0]
	keepSecrets(section, running)
	t := &trial{line: endpoint(section.Options), warnings: problemsOf(c.Warnings, len(c.Buses)-1)}
	known := d.drivers
	if wanted.Bus != nil {
		if t.lines, err = d.newLine(&c.Buses[len(c.Buses)-1], running); err != nil {
			return nil, err
		}
		if t.lines != nil {
			known = drivers.Drivers(t.lines, d.log)
		}
	}
	if t.device, err = known[section.Driver].Open(trier, section.Options); err != nil {
		at := []string{"device"}
		if strings.Contains(t.line, "://") {
			at = append(at, "address") // the only thing that a section which is sound in itself can be wrong about
		}
		err = &web.SectionError{Problems: []web.SectionProblem{{Path: at, Text: strings.TrimPrefix(err.Error(), "device "+trier+": ")}}}
		if t.lines != nil {
			err = errors.Join(err, t.lines.Close())
		}
		return nil, err
	}
	if t.derived, err = derivedOf(*section, t.device.Points()); err != nil {
		at := []string{"device", "derived"}
		if wrong, ok := errors.AsType[*derivedError](err); ok {
			at, err = append(at, fmt.Sprint(wrong.index), "expression"), wrong.err
		}
		return nil, errors.Join(&web.SectionError{Problems: []web.SectionProblem{{Path: at, Text: err.Error()}}}, t.close())
	}
	var wrong []web.SectionProblem
	collectors.CheckGroups(t.device, groupsOf(*section), t.derived, func(path, problem string) {
		wrong = append(wrong, web.SectionProblem{Path: append([]string{"device"}, steps(path)...), Text: problem})
	})
	if wrong != nil {
		return nil, errors.Join(&web.SectionError{Problems: wrong}, t.close())
	}
	return t, nil
}

// newLine makes a line for a trial alone; nil when the gateway has this very line.
func (d fieldDevices) newLine(b *config.Bus, running *config.Config) (*bus.Set, error) {
	refuse := func(key, text string) error {
		return &web.SectionError{Problems: []web.SectionProblem{{Path: []string{"bus", key}, Text: text}}}
	}
	settings := lineOf(b)
	for i := range running.Buses {
		has := lineOf(&running.Buses[i])
		switch name := running.Buses[i].Name; {
		case name == b.Name && reflect.DeepEqual(has, settings):
			return nil, nil
		case name == b.Name:
			return nil, refuse("name", fmt.Sprintf("the line %s runs with other settings; save those of the line first", name))
		case settings.Collides(has) || settings.Serial != "" && real(settings.Serial) == real(has.Serial):
			return nil, refuse(lineKey(b), fmt.Sprintf("it belongs to the line %s: choose that", name))
		}
	}
	lines, err := bus.NewSet(map[string]bus.Settings{b.Name: settings})
	if err != nil {
		return nil, refuse(lineKey(b), err.Error())
	}
	return lines, nil
}

// lineKey is the key that says where a line is.
func lineKey(b *config.Bus) string {
	switch {
	case b.Serial != "":
		return "serial"
	case b.TCP != "":
		return "tcp"
	}
	return "listen"
}

// sectionOf reads the sections of a request as they would be read from the file, beside the lines of the
// configuration. The device is the first, its line the last.
func sectionOf(running *config.Config, wanted web.TrialRequest) (*config.Config, error) {
	device, err := section(wanted.Device)
	if err != nil {
		return nil, err
	}
	if _, named := device["name"]; !named {
		device["name"] = trier
	}
	var buses []any
	if wanted.Bus != nil {
		line, err := section(wanted.Bus)
		if err != nil {
			return nil, err
		}
		buses = append(buses, line)
	}
	// Of the others nothing but the names counts here.
	var others []any
	for i, b := range running.Buses {
		if len(buses) == 1 && buses[0].(map[string]any)["name"] == b.Name {
			continue
		}
		others = append(others, map[string]any{"name": b.Name, "tcp": fmt.Sprintf("line-%d.invalid:1", i)})
	}
	buses = append(others, buses...)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text) // whose output YAML reads too
	encoder.SetEscapeHTML(false)
	whole := map[string]any{"devices": []any{device}}
	if len(buses) > 0 {
		whole["buses"] = buses
	}
	if err := encoder.Encode(whole); err != nil {
		return nil, fmt.Errorf("write the section down: %w", err)
	}
	kinds := Kinds()
	kinds.Devices = nil // it would open lines; the trial looks at its one device itself
	c, err := config.Parse("device", text.Bytes(), kinds)
	if wrong, ok := errors.AsType[config.Problems](err); ok {
		if found := problemsOf(wrong, len(buses)-1); len(found) > 0 {
			return nil, &web.SectionError{Problems: found}
		}
	}
	return c, err
}

// section decodes an object without rounding its numbers.
func section(text json.RawMessage) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, &web.SectionError{Problems: []web.SectionProblem{{Path: []string{"device"}, Text: "is not an object"}}}
	}
	return object, nil
}

// problemsOf puts what is wrong with the device, or with the line that has that number, in terms of the
// request.
func problemsOf(all config.Problems, line int) (found []web.SectionProblem) {
	for _, p := range all {
		path := steps(p.Path)
		if len(path) < 2 {
			continue
		}
		switch {
		case path[0] == "devices":
			found = append(found, web.SectionProblem{Path: append([]string{"device"}, path[2:]...), Text: p.Message})
		case path[0] == "buses" && path[1] == fmt.Sprint(line):
			found = append(found, web.SectionProblem{Path: append([]string{"bus"}, path[2:]...), Text: p.Message})
		}
	}
	return found
}

// steps takes a path such as points[3].address apart.
func steps(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

// keepSecrets gives a section the secrets of the device of its name, where it has only what is shown of
// them.
func keepSecrets(section *config.Device, running *config.Config) {
	for i := range running.Devices {
		if running.Devices[i].Name != section.Name || running.Devices[i].Driver != section.Driver {
			continue
		}
		to, from := reflect.ValueOf(section.Options).Elem(), reflect.ValueOf(running.Devices[i].Options).Elem()
		for k := range to.NumField() {
			if secret, is := to.Field(k).Interface().(config.Secret); is && string(secret) == secret.String() {
				to.Field(k).Set(from.Field(k))
			}
		}
	}
}
