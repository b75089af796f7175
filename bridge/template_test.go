package bridge

import (
	"strings"
	"testing"

	"sluice/gateway/message"
)

func TestTemplateMakesTopics(t *testing.T) {
	for _, c := range []struct{ template, topic, want string }{
		{"plants/{topic}", "readings/line-3/press", "plants/readings/line-3/press"},
		{"{gateway}/{device}/data", "readings/other/press", "line-3/press/data"},
		{"x/{device}", "readings/line-3/press/raw", "x/press"},
		{"x/{device}", "shop/floor/sensor-7", "x/sensor-7"},
		{"x/{device}", "lonely", "x/lonely"},
		{"x/{device}", "readings/lonely", "x/lonely"},
		{"fixed", "a/b", "fixed"},
		{"{topic}{topic}", "a", "aa"},
		{"värme/{topic}", "温度", "värme/温度"},
	} {
		to, err := ParseTemplate(c.template)
		if err != nil {
			t.Errorf("template %q: %v", c.template, err)
			continue
		}
		m := topicMap{to: to, gateway: "line-3"}
		for range 2 { // the second comes from memory
			if got := m.of(c.topic, ""); got != c.want {
				t.Errorf("template %q makes %q of %q, want %q", c.template, got, c.topic, c.want)
			}
		}
	}
}

func TestTemplateRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for text, want := range map[string]string{
		"":               "empty",
		"a/{tpoic}":      "{tpoic}",
		"a/{topic":       "without its }",
		"a/topic}":       "without its {",
		"a/{}":           "{}",
		"a/{{topic}}":    "{{topic}",
		"a/#":            "wildcard",
		"a/+/{topic}":    "wildcard",
		"a\x00b":         "wildcard",
		"a/\xff/{topic}": "UTF-8",
	} {
		if _, err := ParseTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("template %q gives %v, want an error with %q", text, err, want)
		}
	}
}

func TestTopicMapForgetsRatherThanGrows(t *testing.T) {
	to, _ := ParseTemplate("x/{topic}")
	m := topicMap{to: to}
	for i := range 5 * maxKnownTopics {
		topic := strings.Repeat("a", i%3000+1)
		if got := m.of(topic, ""); got != "x/"+topic {
			t.Fatalf("got %q for %q", got, topic)
		}
		if len(m.known) > maxKnownTopics {
			t.Fatalf("%d topics are remembered", len(m.known))
		}
	}
}

func TestReceiveRouteMapsTopics(t *testing.T) {
	for _, c := range []struct{ from, to, topic, want string }{
		{"plants/commands/{gateway}/+", "commands/{gateway}/{device}", "plants/commands/line-3/press", "commands/line-3/press"},
		{"+/commands/+", "commands/{gateway}/{device}", "north/commands/saw", "commands/line-3/saw"},
		{"down/#", "in/{topic}", "down/a/b", "in/down/a/b"},
		{"down/+/#", "in/{device}", "down/a/b", "in/a"},
		{"down/+", "in/{device}/x", "down/", "in//x"},
	} {
		r, err := ReceiveRoute{From: c.from, To: c.to}.compile("line-3")
		if err != nil {
			t.Errorf("route %q to %q: %v", c.from, c.to, err)
			continue
		}
		if got, err := r.topic(c.topic); err != nil || got != c.want {
			t.Errorf("route %q to %q makes %q (%v) of %q, want %q", c.from, c.to, got, err, c.topic, c.want)
		}
		if got, err := r.topic("somewhere/else/entirely/x"); err == nil {
			t.Errorf("route %q takes a topic that it did not ask for, as %q", c.from, got)
		}
	}
	for _, r := range []ReceiveRoute{
		{"a/b", "commands/{device}"}, {"a/{device}", "b"}, {"a/#/b", "b"}, {"a/+", "b/{x}"}, {"", "b"}, {"a/+", ""}, {"a}", "b"},
	} {
		if err := r.Check("line-3"); err == nil {
			t.Errorf("route %+v is accepted", r)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"plants/{topic}", "{gateway}/{device}", "{", "}", "{{topic}}", "a+{topic}", "é{topic}"} {
		f.Add(text, "readings/line-3/press")
	}
	f.Fuzz(func(t *testing.T, text, topic string) {
		to, err := ParseTemplate(text)
		if err != nil {
			return // refusing is fine, panicking is not
		}
		var again strings.Builder
		for _, p := range to.parts {
			for name, fill := range placeholders {
				if p.fill == fill {
					again.WriteString("{" + name + "}")
				}
			}
			again.WriteString(p.literal)
		}
		if again.String() != text {
			t.Errorf("%q was read as %q", text, again.String())
		}
		made := to.Expand(Fill{Topic: topic, Gateway: "line-3", Device: DeviceOf(topic)})
		if message.CheckTopic(topic) == nil && made != "" && len(made) <= message.MaxTopicBytes && message.CheckTopic(made) != nil {
			t.Errorf("template %q makes the topic %q of %q: %v", text, made, topic, message.CheckTopic(made))
		}
	})
}
