package payload

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"

	"sluice/gateway/message"
)

// What a template may cost. text/template itself sets no bounds: {{range 1000000000}} is legal, and so
// are templates that call themselves.
const (
	maxTemplateText   = 16 << 10
	maxTemplateOutput = 256 << 10
	maxTemplateSteps  = 100_000 // pieces written and turns of loops
)

var (
	errTooMuch  = fmt.Errorf("the template writes more than %d KiB", maxTemplateOutput>>10)
	errTooLong  = fmt.Errorf("the template takes more than %d steps", maxTemplateSteps)
	errTextSize = fmt.Errorf("a text in the template grows over %d KiB", maxTemplateOutput>>10)
)

// rootTemplate is what text/template calls the text outside of every define.
const rootTemplate = "template"

// userTemplate is a compiled template with its output's memory.
type userTemplate struct {
	compiled *template.Template
	out      boundedWriter
}

// templateData is what a template sees.
type templateData struct {
	Reading         bool // whether the message is a reading; the payload is all there is otherwise
	Topic           string
	Gateway, Device string
	Epoch, Seq      int64
	TS              int64 // Unix milliseconds
	Clock           string
	Values          map[string]any
	Errors          map[string]string
	Points          []templatePoint
	Payload         string
	Properties      map[string]string
}

// templatePoint is one point of {{range .Points}}, in the order of the device's configuration.
type templatePoint struct {
	Name  string
	Value any
	Error string
}

func compileTemplate(text string) (*userTemplate, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, errors.New("is empty: write what the payload shall be, for example {{json .Values}}")
	case len(text) > maxTemplateText:
		return nil, fmt.Errorf("has %d bytes; at most %d are possible", len(text), maxTemplateText)
	}
	t, err := template.New(rootTemplate).Option("missingkey=zero").Funcs(templateFunctions).Parse(text)
	if err != nil {
		return nil, errors.New(plainTemplateError(err))
	}
	for _, each := range t.Templates() {
		if each.Tree == nil {
			continue
		}
		prepare := preparation{within: each.Name()}
		prepare.list(each.Root)
		if prepare.nested {
			return nil, errors.New("has a template that calls a template; only the text outside of define may")
		}
	}
	u := &userTemplate{compiled: t}
	// A field that does not exist is found only by running it.
	probe := message.Record{Message: message.Message{Topic: "readings/gateway/device", Payload: []byte(`{"values":{}}`)}}
	var in reading
	in.parse(&probe, `"gateway"`)
	if _, err := u.execute(&probe, &in); err != nil && strings.Contains(err.Error(), "can't evaluate field") {
		return nil, err
	}
	return u, nil
}

// preparation puts an empty text in front of everything that can be repeated, since each text is one
// call of the writer, which counts them. Templates that call each other it only finds: their depth
// would cost memory before it cost steps.
type preparation struct {
	within string
	nested bool
}

func (p *preparation) list(of *parse.ListNode) {
	if of == nil {
		return
	}
	for _, n := range of.Nodes {
		switch n := n.(type) {
		case *parse.RangeNode:
			p.branch(&n.BranchNode)
		case *parse.IfNode:
			p.branch(&n.BranchNode)
		case *parse.WithNode:
			p.branch(&n.BranchNode)
		case *parse.TemplateNode:
			p.nested = p.nested || p.within != rootTemplate || n.Name == rootTemplate
		}
	}
	of.Nodes = append([]parse.Node{&parse.TextNode{NodeType: parse.NodeText}}, of.Nodes...)
}

func (p *preparation) branch(b *parse.BranchNode) {
	p.list(b.List)
	p.list(b.ElseList)
}

func (u *userTemplate) execute(r *message.Record, in *reading) ([]byte, error) {
	u.out = boundedWriter{memory: u.out.memory[:0]}
	if err := u.compiled.Execute(&u.out, newTemplateData(r, in)); err != nil {
		for _, bound := range []error{errTooMuch, errTooLong, errTextSize} {
			if errors.Is(err, bound) {
				return nil, bound
			}
		}
		return nil, errors.New(plainTemplateError(err))
	}
	return bytes.Clone(u.out.memory), nil
}

func newTemplateData(r *message.Record, in *reading) *templateData {
	d := &templateData{
		Reading: in.known, Topic: r.Topic, Gateway: text(in.gateway), Device: text(in.device),
		Epoch: whole(in.epoch), Seq: whole(in.seq), TS: whole(in.ts), Payload: string(r.Payload),
		Values: make(map[string]any, len(in.points)), Errors: map[string]string{},
		Points: make([]templatePoint, 0, len(in.points)), Properties: propertiesOf(r),
	}
	if in.clock != nil {
		d.Clock = text(in.clock)
	}
	for i := range in.points {
		p := &in.points[i]
		told := templatePoint{Name: text(p.name)}
		if p.value != nil {
			told.Value = goValue(p.value)
			d.Values[told.Name] = told.Value
		} else {
			told.Error = text(p.problem)
			d.Errors[told.Name] = told.Error
		}
		d.Points = append(d.Points, told)
	}
	return d
}

// propertiesOf gives what users call properties; of a name that repeats the first.
func propertiesOf(r *message.Record) map[string]string {
	known := make(map[string]string, len(r.Properties))
	for _, p := range r.Properties {
		if _, repeated := known[p.Name]; !repeated && !strings.HasPrefix(p.Name, "\x00") {
			known[p.Name] = p.Value
		}
	}
	return known
}

// templatePlace is what text/template begins a message with, behind its own name.
var templatePlace = regexp.MustCompile(`^template:(\d+)(?::(\d+))?: `)

// plainTemplateError takes from text/template's messages what speaks of its insides.
func plainTemplateError(err error) string {
	said := strings.TrimPrefix(err.Error(), "template: ")
	place, rest, found := strings.Cut(said, ": executing \""+rootTemplate+"\" at ")
	if found {
		said = place + ": at " + rest
	}
	said = strings.ReplaceAll(said, " in type *payload.templateData", "; there are Reading, Topic, Gateway, Device, Epoch, Seq, TS, Clock, Values, Errors, Points, Payload and Properties")
	said = strings.ReplaceAll(said, " in type payload.templatePoint", "; a point has Name, Value and Error")
	if m := templatePlace.FindStringSubmatch(said); m != nil {
		where := "line " + m[1]
		if offset, err := strconv.Atoi(m[2]); err == nil {
			where += fmt.Sprintf(", column %d", offset+1)
		}
		return where + ": " + said[len(m[0]):]
	}
	return said
}

// boundedWriter is where a template writes to, for as long as it stays within its bounds.
type boundedWriter struct {
	memory []byte
	steps  int
}

// Write implements io.Writer.
func (w *boundedWriter) Write(p []byte) (int, error) {
	if w.steps++; w.steps > maxTemplateSteps {
		return 0, errTooLong
	}
	if len(w.memory)+len(p) > maxTemplateOutput {
		return 0, errTooMuch
	}
	if string(p) == "<no value>" { // what text/template prints, in one piece, for a point without a value
		w.memory = append(w.memory, "null"...)
		return len(p), nil
	}
	w.memory = append(w.memory, p...)
	return len(p), nil
}
