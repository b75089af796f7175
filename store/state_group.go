package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// GroupSettings is what an administrator, or the first consumer, decided about a consumer group. Zero
// values are the ordinary ones.
type GroupSettings struct {
	ConsumeDisabled   bool              `json:"consume_disabled,omitempty"`
	BroadcastDisabled bool              `json:"broadcast_disabled,omitempty"`
	Ordered           bool              `json:"ordered,omitempty"`
	RetryQueues       int               `json:"retry_queues,omitempty"`
	MaxRetries        int               `json:"max_retries,omitempty"`
	ConsumeTimeout    time.Duration     `json:"consume_timeout,omitempty"`
	Attributes        map[string]string `json:"attributes,omitempty"`
}

// GroupStatus is one consumer group as Groups lists it.
type GroupStatus struct {
	Name     string
	Version  uint64 // of the settings; grows with every change, 0: nobody set them
	Settings GroupSettings
	Idle     time.Duration // since it was last used, by the log clock
	Limit    time.Duration // of Idle, after which its offsets expire; 0: never
}

// GroupOffset is the place of a group in one queue.
type GroupOffset struct {
	Topic string
	Queue int
	Next  int64 // the offset of the message that comes next
}

// DefaultGroupIdle is how long the offsets of a group are kept that nobody uses.
const DefaultGroupIdle = 3 * 24 * time.Hour

// maxQueues bounds the queues of a topic that a group can have an offset in: their offsets are one
// value.
const maxQueues = 256

// ErrChanged is what a change of settings gives that was made from another version.
var ErrChanged = errors.New("somebody else changed it meanwhile")

// groups are the consumer groups and their offsets: one value a group, and one for each topic that it
// consumes. The value of a topic names the group by a number that is never given out again, so that
// what a dropped group leaves behind is nobody's.
type groups struct {
	small *small
	slots
	inTopics slots
	byName   map[string]*consumers
	offsets  int
	expired  uint64
}

type consumers struct {
	slotted
	groupValue
	set    *groups
	noted  int64 // used as it is on disk
	topics map[string]*offsets
}

type groupValue struct {
	name       string
	number     uint64
	version    uint64
	used, idle int64 // ms of the log clock
	settings   GroupSettings
}

type offsets struct {
	slotted
	offsetsValue
	of *consumers
}

type offsetsValue struct {
	number uint64 // the group's
	topic  string
	next   []int64 // by queue; -1: none
}

func newGroups(m *small) groups {
	return groups{
		small: m, slots: slots{kind: smallGroup, most: maxGroups}, inTopics: slots{kind: smallOffsets, most: maxOffsets},
		byName: make(map[string]*consumers),
	}
}

// OpenGroup makes a consumer group, or finds it and notes that it is in use. Its offsets are forgotten
// when nobody has used it for idle, counted by the log clock; 0 is never. Whoever opens it last decides.
func (s *Store) OpenGroup(name string, idle time.Duration) error {
	s.small.mu.Lock()
	defer s.small.mu.Unlock()
	g, err := s.small.groups.openLocked(name, idle)
	if err != nil {
		return fmt.Errorf("open group %q: %w", name, err)
	}
	if limit := max(0, idle.Milliseconds()); g.idle != limit {
		g.idle = limit
		s.small.soilLocked(&g.tracked)
	}
	return nil
}

func (gs *groups) openLocked(name string, idle time.Duration) (*consumers, error) {
	if err := checkName("group", name); err != nil {
		return nil, err
	}
	g, ok := gs.byName[name]
	if !ok {
		if err := gs.small.roomLocked(len(name) + 32); err != nil {
			return nil, err
		}
		slot, err := gs.takeLocked()
		if err != nil {
			return nil, err
		}
		g = &consumers{set: gs, slotted: slotted{slot: slot}, topics: make(map[string]*offsets)}
		g.item = g
		g.groupValue = groupValue{name: name, number: rand.Uint64(), idle: max(0, idle.Milliseconds())}
		gs.byName[name] = g
		gs.small.sizeLocked(&g.slotted, len(name)+32)
		gs.small.soilLocked(&g.tracked)
	}
	g.useLocked()
	return g, nil
}

// useLocked notes that the group is in use, on disk as exactly as it is worth.
func (g *consumers) useLocked() {
	g.used = g.set.small.store.clock()
	if g.used-g.noted >= max(usedEvery.Milliseconds(), g.idle/64) {
		g.set.small.soilLocked(&g.tracked)
	}
}

// CommitOffset records where a group goes on in a queue; it becomes durable within 200 ms, or at once
// when wanted by SyncGroup. It may lead back. A group that is not known is made.
func (s *Store) CommitOffset(group, topic string, queue int, next int64) error {
	m := &s.small
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.groups.commitLocked(group, topic, queue, next); err != nil {
		return fmt.Errorf("commit offset %d of group %q in queue %d of topic %q: %w", next, group, queue, topic, err)
	}
	return nil
}

func (gs *groups) commitLocked(group, topic string, queue int, next int64) error {
	if err := checkName("topic", topic); err != nil {
		return err
	}
	if queue < 0 || queue >= maxQueues || next < 0 {
		return fmt.Errorf("queues are 0 to %d, offsets not negative", maxQueues-1)
	}
	g, err := gs.openLocked(group, DefaultGroupIdle)
	if err != nil {
		return err
	}
	o, ok := g.topics[topic]
	if ok && queue < len(o.next) {
		if o.next[queue] != next {
			o.next[queue] = next
			gs.small.soilLocked(&o.tracked)
		}
		return nil
	}
	grown := (queue + 1) * 5
	if err := gs.small.roomLocked(len(topic) + 12 + grown); err != nil {
		return err
	}
	if !ok {
		slot, err := gs.inTopics.takeLocked()
		if err != nil {
			return err
		}
		o = &offsets{slotted: slotted{slot: slot}, offsetsValue: offsetsValue{number: g.number, topic: topic}, of: g}
		o.item, o.with = o, &g.tracked
		g.topics[topic] = o
		gs.offsets++
	}
	for len(o.next) <= queue {
		o.next = append(o.next, -1)
	}
	o.next[queue] = next
	gs.small.sizeLocked(&o.slotted, len(topic)+12+grown)
	gs.small.soilLocked(&o.tracked)
	return nil
}

// Offset gives the offset that a group goes on at in a queue.
func (s *Store) Offset(group, topic string, queue int) (next int64, known bool) {
	s.small.mu.Lock()
	defer s.small.mu.Unlock()
	g, known := s.small.groups.byName[group]
	if !known {
		return 0, false
	}
	o, known := g.topics[topic]
	if !known || queue < 0 || queue >= len(o.next) || o.next[queue] < 0 {
		return 0, false
	}
	return o.next[queue], true
}

// Offsets lists all that a group has committed, by topic and queue.
func (s *Store) Offsets(group string) []GroupOffset {
	s.small.mu.Lock()
	defer s.small.mu.Unlock()
	g, known := s.small.groups.byName[group]
	if !known {
		return nil
	}
	var list []GroupOffset
	for _, o := range g.topics {
		for queue, next := range o.next {
			if next >= 0 {
				list = append(list, GroupOffset{o.topic, queue, next})
			}
		}
	}
	slices.SortFunc(list, func(a, b GroupOffset) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Queue, b.Queue))
	})
	return list
}

// SyncGroup waits until what a group has committed so far is durable.
func (s *Store) SyncGroup(ctx context.Context, group string) error {
	m := &s.small
	m.mu.Lock()
	var values []*tracked
	if g, known := m.groups.byName[group]; known {
		values = append(values, &g.tracked)
		for _, o := range g.topics {
			values = append(values, &o.tracked)
		}
	}
	m.mu.Unlock()
	return m.sync(ctx, values...)
}

// PutGroup makes or replaces the settings of a group and returns once they are durable, with their new
// version. With expect not 0 it refuses, ErrChanged, when the present version is another.
func (s *Store) PutGroup(ctx context.Context, name string, settings GroupSettings, expect uint64) (version uint64, err error) {
	m := &s.small
	m.mu.Lock()
	g, err := m.groups.putLocked(name, settings, expect)
	if err != nil {
		m.mu.Unlock()
		return 0, fmt.Errorf("put group %q: %w", name, err)
	}
	version = g.version
	m.mu.Unlock()
	return version, m.sync(ctx, &g.tracked)
}

func (gs *groups) putLocked(name string, settings GroupSettings, expect uint64) (*consumers, error) {
	if known, ok := gs.byName[name]; expect != 0 && (!ok || known.version != expect) {
		return nil, ErrChanged
	}
	settings.Attributes = maps.Clone(settings.Attributes)
	size := len(groupValue{name: name, settings: settings}.append(nil)) + 24
	if size > maxSettings {
		return nil, fmt.Errorf("settings of %d bytes, at most %d fit", size, maxSettings)
	}
	g, err := gs.openLocked(name, DefaultGroupIdle)
	if err == nil {
		err = gs.small.roomLocked(size - g.size)
	}
	if err != nil {
		return nil, err
	}
	g.version++
	g.settings = settings
	gs.small.sizeLocked(&g.slotted, size)
	gs.small.soilLocked(&g.tracked)
	return g, nil
}

// Group gives one group.
func (s *Store) Group(name string) (status GroupStatus, known bool) {
	s.small.mu.Lock()
	defer s.small.mu.Unlock()
	g, known := s.small.groups.byName[name]
	if !known {
		return GroupStatus{}, false
	}
	return g.statusLocked(), true
}

// Groups lists the groups by name.
func (s *Store) Groups() []GroupStatus {
	s.small.mu.Lock()
	list := make([]GroupStatus, 0, len(s.small.groups.byName))
	for _, g := range s.small.groups.byName {
		list = append(list, g.statusLocked())
	}
	s.small.mu.Unlock()
	slices.SortFunc(list, func(a, b GroupStatus) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (g *consumers) statusLocked() GroupStatus {
	st := GroupStatus{
		Name: g.name, Version: g.version, Settings: g.settings, Limit: time.Duration(g.idle) * time.Millisecond,
		Idle: time.Duration(max(0, g.set.small.store.clock()-g.used)) * time.Millisecond,
	}
	st.Settings.Attributes = maps.Clone(g.settings.Attributes)
	return st
}

// DropGroup forgets a group with its offsets and settings, durably. A name that is not known is none
// either.
func (s *Store) DropGroup(ctx context.Context, name string) error {
	m := &s.small
	m.mu.Lock()
	g, known := m.groups.byName[name]
	if !known {
		m.mu.Unlock()
		return nil
	}
	delete(m.groups.byName, name)
	m.groups.leaveLocked(g)
	m.dropLocked(&g.slotted)
	m.mu.Unlock()
	return m.sync(ctx, &g.tracked)
}

// leaveLocked forgets the offsets of a group. Their slots empty themselves, one by one; what is still
// there after a kill names a number that no group has.
func (gs *groups) leaveLocked(g *consumers) {
	for _, o := range g.topics {
		gs.offsets--
		gs.small.dropLocked(&o.slotted)
	}
	g.topics = make(map[string]*offsets)
}

// expireLocked forgets the offsets of groups that nobody has used for too long; what somebody decided
// about such a group stays.
func (gs *groups) expireLocked(now int64) (names []string) {
	if gs.small.final != nil {
		return nil
	}
	for _, g := range gs.byName {
		if g.idle == 0 || now-g.used <= g.idle || g.version > 0 && len(g.topics) == 0 {
			continue
		}
		gs.leaveLocked(g)
		gs.expired++
		names = append(names, g.name)
		if g.version > 0 {
			g.number = rand.Uint64() // the offsets are nobody's from this one value on
			gs.small.soilLocked(&g.tracked)
			continue
		}
		delete(gs.byName, g.name)
		gs.small.dropLocked(&g.slotted)
	}
	return names
}

func (g *consumers) entriesLocked() ([]entry, func()) {
	if g.gone {
		return g.set.goneLocked(&g.slotted)
	}
	used := g.used
	return []entry{g.set.entry(g.slot, g.append(nil))}, func() { g.noted = used }
}

func (o *offsets) entriesLocked() ([]entry, func()) {
	slots := &o.of.set.inTopics
	if o.gone {
		return slots.goneLocked(&o.slotted)
	}
	return []entry{slots.entry(o.slot, o.append(nil))}, nil
}

func (v groupValue) append(b []byte) []byte {
	b = appendText(b, v.name)
	b = binary.BigEndian.AppendUint64(b, v.number)
	b = binary.AppendUvarint(b, v.version)
	b = appendTime(appendTime(b, v.used), v.idle)
	return appendJSON(b, v.settings)
}

func decodeGroup(body []byte) (v groupValue, err error) {
	in := input{rest: body}
	v.name, v.number, v.version = in.name(), in.number(), in.uvarint()
	v.used, v.idle = in.time(), in.time()
	in.settings(&v.settings)
	return v, in.end("a group")
}

func (v offsetsValue) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, v.number)
	b = appendText(b, v.topic)
	b = binary.AppendUvarint(b, uint64(len(v.next)))
	for _, next := range v.next {
		b = binary.AppendUvarint(b, uint64(next+1))
	}
	return b
}

func decodeOffsets(body []byte) (v offsetsValue, err error) {
	in := input{rest: body}
	v.number, v.topic = in.number(), in.name()
	n := in.count(1)
	if n > maxQueues {
		in.short = true
		n = 0
	}
	v.next = make([]int64, n)
	for i := range v.next {
		v.next[i] = int64(in.uvarint()) - 1
		if v.next[i] < -1 {
			in.short = true
		}
	}
	return v, in.end("the offsets of a group")
}

// number reads eight bytes.
func (in *input) number() uint64 {
	if len(in.rest) < 8 {
		in.rest, in.short = nil, true
		return 0
	}
	n := binary.BigEndian.Uint64(in.rest)
	in.rest = in.rest[8:]
	return n
}

func (gs *groups) recoverLocked(values []smallValue) {
	byNumber := make(map[uint64]*consumers)
	for _, v := range values {
		if v.kind != smallGroup {
			continue
		}
		gs.slots.recoverLocked(v.slot)
		body, err := decodeGroup(v.body)
		if _, twice := gs.byName[body.name]; v.mark == absent || err != nil || twice {
			gs.giveLocked(v.slot)
			continue
		}
		g := &consumers{slotted: slotted{slot: v.slot}, groupValue: body, set: gs, noted: body.used, topics: make(map[string]*offsets)}
		g.item = g
		gs.byName[body.name], byNumber[body.number] = g, g
		gs.small.sizeLocked(&g.slotted, len(v.body))
	}
	for _, v := range values {
		if v.kind != smallOffsets {
			continue
		}
		gs.inTopics.recoverLocked(v.slot)
		body, err := decodeOffsets(v.body)
		g, alive := byNumber[body.number]
		if v.mark == absent || err != nil || !alive || g.topics[body.topic] != nil {
			gs.inTopics.giveLocked(v.slot)
			continue
		}
		o := &offsets{slotted: slotted{slot: v.slot}, offsetsValue: body, of: g}
		o.item, o.with = o, &g.tracked
		g.topics[body.topic] = o
		gs.offsets++
		gs.small.sizeLocked(&o.slotted, len(v.body))
	}
}
