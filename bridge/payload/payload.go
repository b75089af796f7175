// Package payload makes what goes up out of what the log holds: a Maker turns a record into the bytes
// of a route's format, or of none where its filter says no. It hides how a stored reading is taken
// apart, the templates and expressions that users write, and, for those who speak it, the state that
// Sparkplug B keeps for a connection.
package payload

import (
	"fmt"
	"strings"

	"sluice/bridge"
	"sluice/gateway/message"
)

// Options say what the messages of a route become; docs/payloads.md explains each. The zero Options
// send everything as it is stored. The configuration has the same keys.
type Options struct{ Format, Template, Filter, Group, BigIntegers string }

// Validate reports every mistake in o, those in the template and the filter among them.
func (o *Options) Validate(report func(path, problem string)) {
	if _, known := formats[o.Format]; !known {
		report("format", fmt.Sprintf("is %q; there is %s", o.Format, formatNames))
	}
	switch {
	case o.Format == "template":
		if _, err := compileTemplate(o.Template); err != nil {
			report("template", err.Error())
		}
	case o.Template != "":
		report("template", "is of no use without format: template")
	}
	if o.Filter != "" {
		if _, err := compileFilter(o.Filter); err != nil {
			report("filter", err.Error())
		}
	}
	switch o.BigIntegers {
	case "", "number", "text":
	default:
		report("big_integers", fmt.Sprintf("is %q; there is number or text", o.BigIntegers))
	}
}

// Maker makes payloads for one route. It has one user at a time.
type Maker struct {
	gateway  string // as a JSON string
	format   format
	options  Options
	filter   *filter
	template *userTemplate
	reading  reading // kept for its memory
	scratch  []byte
}

// format makes messages of a reading.
type format func(m *Maker, dst []bridge.Made, in *reading) []bridge.Made

const formatNames = "stored, object, values, points, neuron, neuron-tags, thingsboard, thingsboard-device, alink, huawei, sparkplug or template"

// formats are those that there are; nil: not made of a reading's parts alone.
var formats = map[string]format{
	"": nil, "stored": nil, "sparkplug": nil, "template": nil,
	"object":             one(appendObject),
	"values":             one(appendValues),
	"points":             makePoints,
	"neuron":             one(appendNeuron),
	"neuron-tags":        one(appendNeuronTags),
	"thingsboard":        one(appendThingsBoard),
	"thingsboard-device": one(appendThingsBoardDevice),
	"alink":              one(appendAlink),
	"huawei":             one(appendHuawei),
}

// New compiles the options for a gateway of that name.
func New(o Options, gateway string) (*Maker, error) {
	var problems []string
	o.Validate(func(path, problem string) { problems = append(problems, path+": "+problem) })
	if len(problems) > 0 {
		return nil, fmt.Errorf("payload options: %s", strings.Join(problems, "; "))
	}
	if o.Group == "" {
		o.Group = "default"
	}
	m := &Maker{gateway: string(appendQuoted(nil, gateway)), format: formats[o.Format], options: o}
	var err error
	if o.Filter != "" {
		if m.filter, err = compileFilter(o.Filter); err != nil {
			return nil, err
		}
	}
	if o.Format == "template" {
		if m.template, err = compileTemplate(o.Template); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Make appends what r becomes: nothing when the filter says no, one message, or one for each point.
// What is appended stays valid for as long as somebody holds it, and may be r's own payload. An error
// is about this record alone: asking again gives it again.
func (m *Maker) Make(dst []bridge.Made, r *message.Record) ([]bridge.Made, error) {
	if m.format == nil && m.filter == nil && m.template == nil && m.options.Format != "sparkplug" {
		return append(dst, bridge.Made{Payload: r.Payload}), nil
	}
	known := m.reading.parse(r, m.gateway)
	if m.filter != nil {
		wanted, err := m.filter.wants(r, &m.reading)
		if err != nil || !wanted {
			return dst, err
		}
	}
	switch {
	case m.template != nil:
		made, err := m.template.execute(r, &m.reading)
		if err != nil {
			return dst, err
		}
		return append(dst, bridge.Made{Payload: made}), nil
	case m.options.Format == "sparkplug" && !known:
		return dst, errNoReading(r)
	case m.format == nil || !known:
		return append(dst, bridge.Made{Payload: r.Payload}), nil
	}
	return m.format(m, dst, &m.reading), nil
}

func errNoReading(r *message.Record) error {
	return fmt.Errorf("the message on %q is no reading, and Sparkplug carries nothing else", r.Topic)
}

// one is a format that makes one message of a reading.
func one(appendTo func(m *Maker, b []byte, in *reading) []byte) format {
	return func(m *Maker, dst []bridge.Made, in *reading) []bridge.Made {
		m.scratch = appendTo(m, m.scratch[:0], in)
		return append(dst, bridge.Made{Payload: m.keep()})
	}
}

// maxKeptScratch bounds what a Maker holds between messages after a very large one.
const maxKeptScratch = 256 << 10

// keep gives a copy of the scratch that nobody writes to any more, of just the size.
func (m *Maker) keep() []byte {
	made := append(make([]byte, 0, len(m.scratch)), m.scratch...)
	if cap(m.scratch) > maxKeptScratch {
		m.scratch = nil
	}
	return made
}
