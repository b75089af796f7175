package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// TopicSettings is what an administrator, or the first producer, decided about a topic. New fields
// may come; what an older version does not know it forgets.
type TopicSettings struct {
	ReadQueues  int               `json:"read_queues,omitempty"`
	WriteQueues int               `json:"write_queues,omitempty"`
	Permission  int               `json:"permission,omitempty"` // 4 read, 2 write, 6 both
	Ordered     bool              `json:"ordered,omitempty"`
	Kind        string            `json:"kind,omitempty"` // "normal", "fifo", "delay", "transaction"; empty: any
	Attributes  map[string]string `json:"attributes,omitempty"`
}

// TopicStatus is one topic as Topics lists it.
type TopicStatus struct {
	Name     string
	Version  uint64 // grows with every change
	Settings TopicSettings
}

// maxSettings bounds the JSON of settings.
const maxSettings = 2 << 10

type topics struct {
	small *small
	slots
	byName map[string]*topic
}

type topic struct {
	slotted
	topicValue
	set *topics
}

type topicValue struct {
	name     string
	version  uint64
	settings TopicSettings
}

func newTopics(m *small) topics {
	return topics{small: m, slots: slots{kind: smallTopic, most: maxTopics}, byName: make(map[string]*topic)}
}

// PutTopic makes or replaces the settings of a topic and returns once they are durable, with their
// new version. With expect not 0 it refuses, ErrChanged, when the present version is another.
func (s *Store) PutTopic(ctx context.Context, name string, settings TopicSettings, expect uint64) (version uint64, err error) {
	m := &s.small
	m.mu.Lock()
	known, err := m.topics.putLocked(name, settings, expect)
	if err != nil {
		m.mu.Unlock()
		return 0, fmt.Errorf("put topic %q: %w", name, err)
	}
	version = known.version
	m.mu.Unlock()
	return version, m.sync(ctx, &known.tracked)
}

func (t *topics) putLocked(name string, settings TopicSettings, expect uint64) (*topic, error) {
	if err := checkName("topic", name); err != nil {
		return nil, err
	}
	known, ok := t.byName[name]
	if !ok {
		known = &topic{set: t, topicValue: topicValue{name: name}}
		known.item = known
	}
	if expect != 0 && expect != known.version {
		return nil, fmt.Errorf("%w: it has version %d", ErrChanged, known.version)
	}
	next := topicValue{name, known.version + 1, settings}
	body := next.append(nil)
	if len(body) > maxSettings {
		return nil, fmt.Errorf("settings of %d bytes, at most %d fit", len(body), maxSettings)
	}
	if err := t.small.roomLocked(len(body) - known.size); err != nil {
		return nil, err
	}
	if !ok {
		slot, err := t.takeLocked()
		if err != nil {
			return nil, err
		}
		known.slot = slot
		t.byName[name] = known
	}
	known.topicValue = next
	known.settings.Attributes = maps.Clone(settings.Attributes)
	t.small.sizeLocked(&known.slotted, len(body))
	t.small.soilLocked(&known.tracked)
	return known, nil
}

// Topic gives the settings of a topic.
func (s *Store) Topic(name string) (status TopicStatus, known bool) {
	s.small.mu.Lock()
	defer s.small.mu.Unlock()
	t, known := s.small.topics.byName[name]
	if !known {
		return TopicStatus{}, false
	}
	return t.status(), true
}

// Topics lists the topics that have settings, by name.
func (s *Store) Topics() []TopicStatus {
	s.small.mu.Lock()
	list := make([]TopicStatus, 0, len(s.small.topics.byName))
	for _, t := range s.small.topics.byName {
		list = append(list, t.status())
	}
	s.small.mu.Unlock()
	slices.SortFunc(list, func(a, b TopicStatus) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// DropTopic forgets the settings of a topic, durably. A name that is not known is none either.
func (s *Store) DropTopic(ctx context.Context, name string) error {
	m := &s.small
	m.mu.Lock()
	known, ok := m.topics.byName[name]
	if !ok {
		m.mu.Unlock()
		return nil
	}
	delete(m.topics.byName, name)
	m.dropLocked(&known.slotted)
	m.mu.Unlock()
	return m.sync(ctx, &known.tracked)
}

func (t *topic) status() TopicStatus {
	st := TopicStatus{t.name, t.version, t.settings}
	st.Settings.Attributes = maps.Clone(t.settings.Attributes)
	return st
}

func (t *topic) entriesLocked() ([]entry, func()) {
	if t.gone {
		return t.set.goneLocked(&t.slotted)
	}
	return []entry{t.set.entry(t.slot, t.append(nil))}, nil
}

func (v topicValue) append(b []byte) []byte {
	b = appendText(b, v.name)
	b = binary.AppendUvarint(b, v.version)
	return appendJSON(b, v.settings)
}

func decodeTopic(body []byte) (v topicValue, err error) {
	in := input{rest: body}
	v.name, v.version = in.name(), in.uvarint()
	in.settings(&v.settings)
	return v, in.end("a topic")
}

func (t *topics) recoverLocked(values []smallValue) {
	for _, v := range values {
		if v.kind != smallTopic {
			continue
		}
		t.slots.recoverLocked(v.slot)
		body, err := decodeTopic(v.body)
		if _, twice := t.byName[body.name]; v.mark == absent || err != nil || twice {
			t.giveLocked(v.slot)
			continue
		}
		known := &topic{slotted: slotted{slot: v.slot}, topicValue: body, set: t}
		known.item = known
		t.byName[body.name] = known
		t.small.sizeLocked(&known.slotted, len(v.body))
	}
}
