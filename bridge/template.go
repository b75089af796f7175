package bridge

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"sluice/gateway/message"
)

// Template makes the topic at the receiver out of the topic here. It knows {topic}, {gateway} and
// {device}, {lane} and {point}.
type Template struct {
	text  string
	parts []part
}

type part struct {
	literal string
	fill    placeholder
}

type placeholder byte

const (
	literal placeholder = iota
	wholeTopic
	gatewayName
	deviceName
	laneName
	pointName
)

var placeholders = map[string]placeholder{"topic": wholeTopic, "gateway": gatewayName, "device": deviceName,
	"lane": laneName, "point": pointName}

// ParseTemplate reads a template or tells what is wrong with it.
func ParseTemplate(text string) (*Template, error) {
	if text == "" {
		return nil, errors.New("the topic template is empty")
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("the topic template %q is not UTF-8", text)
	}
	t := &Template{text: text}
	for rest := text; rest != ""; {
		plain, after, opened := strings.Cut(rest, "{")
		if strings.ContainsAny(plain, "+#\x00") {
			return nil, fmt.Errorf("the topic template %q has a wildcard: it names one topic", text)
		}
		if strings.Contains(plain, "}") {
			return nil, fmt.Errorf("the topic template %q has a } without its {", text)
		}
		if plain != "" {
			t.parts = append(t.parts, part{literal: plain})
		}
		if !opened {
			break
		}
		name, behind, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("the topic template %q has a { without its }", text)
		}
		fill, known := placeholders[name]
		if !known {
			return nil, fmt.Errorf("the topic template %q has {%s}, which is unknown: use {topic}, {gateway}, {device}, {lane} or {point}", text, name)
		}
		t.parts = append(t.parts, part{fill: fill})
		rest = behind
	}
	return t, nil
}

// String gives the text that the template was read from.
func (t *Template) String() string { return t.text }

// Fill is what the placeholders of a Template stand for.
type Fill struct{ Topic, Gateway, Device, Lane, Point string }

// Expand fills the template in.
func (t *Template) Expand(f Fill) string {
	var b strings.Builder
	for _, p := range t.parts {
		switch p.fill {
		case literal:
			b.WriteString(p.literal)
		case wholeTopic:
			b.WriteString(f.Topic)
		case gatewayName:
			b.WriteString(f.Gateway)
		case deviceName:
			b.WriteString(f.Device)
		case laneName:
			b.WriteString(f.Lane)
		case pointName:
			b.WriteString(f.Point)
		}
	}
	return b.String()
}

func (t *Template) uses(fill placeholder) bool {
	for _, p := range t.parts {
		if p.fill == fill {
			return true
		}
	}
	return false
}

// DeviceOf names the device that a topic speaks of: the third level of the appliance's own topics
// (readings/{gateway}/{device} and its like), else the last level.
func DeviceOf(topic string) string {
	kind, rest, _ := strings.Cut(topic, "/")
	switch kind {
	case "readings", "status", "commands", "replies", "alarms":
		if _, device, found := strings.Cut(rest, "/"); found {
			device, _, _ = strings.Cut(device, "/")
			return device
		}
	}
	return topic[strings.LastIndexByte(topic, '/')+1:]
}

// maxKnownTopics bounds the memory of a topicMap. A gateway has a few hundred devices.
const maxKnownTopics = 1024

// topicMap remembers what a template made of each topic, so that a message costs no allocation. It
// has one user at a time.
type topicMap struct {
	to      *Template
	gateway string
	lane    string
	known   map[string]string
}

func (m *topicMap) of(topic, point string) string {
	if point != "" && m.to.uses(pointName) {
		return m.to.Expand(Fill{topic, m.gateway, DeviceOf(topic), m.lane, point})
	}
	if known, ok := m.known[topic]; ok {
		return known
	}
	if m.known == nil || len(m.known) >= maxKnownTopics {
		m.known = make(map[string]string) // starting over is rare and cheap
	}
	// The record's topic may be a part of a whole block's memory: keep a copy, not the block.
	topic = strings.Clone(topic)
	made := m.to.Expand(Fill{topic, m.gateway, DeviceOf(topic), m.lane, ""})
	m.known[topic] = made
	return made
}

// ReceiveRoute says what to ask the cloud for and where to publish it here. From may have {gateway}
// and wildcards; {device} in To is what the last '+' of From stood for.
type ReceiveRoute struct{ From, To string }

// Check tells what is wrong with the route for a gateway of that name.
func (r ReceiveRoute) Check(gateway string) error {
	_, err := r.compile(gateway)
	return err
}

// receiver is a compiled ReceiveRoute.
type receiver struct {
	filter  string
	gateway string
	to      *Template
	level   int // which level of the topic names the device; -1: none does
}

func (r ReceiveRoute) compile(gateway string) (*receiver, error) {
	filter := strings.ReplaceAll(r.From, "{gateway}", gateway)
	if strings.ContainsAny(strings.ReplaceAll(r.From, "{gateway}", ""), "{}") {
		return nil, fmt.Errorf("the filter %q has a placeholder other than {gateway}", r.From)
	}
	if err := message.CheckFilter(filter); err != nil {
		return nil, err
	}
	to, err := ParseTemplate(r.To)
	if err != nil {
		return nil, err
	}
	if to.uses(laneName) || to.uses(pointName) {
		return nil, fmt.Errorf("%q has {lane} or {point}, which only what goes up has", r.To)
	}
	c := &receiver{filter: filter, gateway: gateway, to: to, level: -1}
	for i, level := range strings.Split(filter, "/") {
		if level == "+" {
			c.level = i
		}
	}
	if c.level < 0 && to.uses(deviceName) {
		return nil, fmt.Errorf("%q wants {device}, but %q has no + that could name it", r.To, r.From)
	}
	return c, nil
}

// topic gives the local topic for one that the cloud has sent.
func (r *receiver) topic(received string) (string, error) {
	if !message.Match(r.filter, received) {
		return "", fmt.Errorf("the cloud sent %q, which %q does not ask for", received, r.filter)
	}
	device := ""
	if r.level >= 0 {
		device = strings.Split(received, "/")[r.level]
	}
	local := r.to.Expand(Fill{Topic: received, Gateway: r.gateway, Device: device})
	if err := message.CheckTopic(local); err != nil {
		return "", err
	}
	return local, nil
}
