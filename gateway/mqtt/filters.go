package mqtt

import (
	"slices"
	"strings"
	"sync"

	"sluice/gateway/message"
)

// filters are a client's subscriptions, and what they say of a message. The shared ones are members
// of it by name only: what comes through them names them.
type filters struct {
	own string // the client's identifier: messages of its own may be unwanted

	mu      sync.Mutex // guards what follows
	list    []subscribed
	newest  message.Position // behind it all of them count
	local   bool             // some do not want the client's own messages
	matches map[string]match // what they give for a topic; empty after each change of filters
}

// subscribed is one subscription.
type subscribed struct {
	filter string // without the "$share/GROUP/" of a shared one
	group  string // of a shared one
	share  int    // its number at the broker; 0: not shared
	qos    byte
	noLocal,
	asPublished bool
	identifier uint32
	after      message.Position // only what is behind it was subscribed to
}

// match is what the filters say of a message.
type match struct {
	any, asPublished bool
	qos              byte
	identifiers      []uint32
}

const (
	fewFilters = 4    // as many are tried faster than a map finds its entry
	maxMatches = 1024 // topics whose match is remembered
)

// put adds a subscription or replaces the one with the same filter and group [MQTT-3.8.4-3].
func (f *filters) put(s subscribed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := f.findLocked(s.group, s.filter); at >= 0 {
		f.list[at] = s
	} else {
		f.list = append(f.list, s)
	}
	f.changedLocked()
}

func (f *filters) remove(group, filter string) (was subscribed, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.findLocked(group, filter)
	if at < 0 {
		return subscribed{}, false
	}
	was = f.list[at]
	f.list = slices.Delete(f.list, at, at+1)
	f.changedLocked()
	return was, true
}

// get finds a subscription.
func (f *filters) get(group, filter string) (s subscribed, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := f.findLocked(group, filter); at >= 0 {
		return f.list[at], true
	}
	return subscribed{}, false
}

func (f *filters) findLocked(group, filter string) int {
	return slices.IndexFunc(f.list, func(s subscribed) bool { return s.filter == filter && s.group == group })
}

func (f *filters) changedLocked() {
	f.matches, f.newest, f.local = nil, 0, false
	for i := range f.list {
		f.newest = max(f.newest, f.list[i].after)
		f.local = f.local || f.list[i].noLocal
	}
}

func (f *filters) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.list)
}

// match says what the client's own subscriptions want with a message, or what the shared one does
// that it came through. There is nothing for one that was on its way when its filter was removed
// [MQTT-3.10.4-2].
func (f *filters) match(d *message.Delivery) match {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.Share != 0 {
		return f.sharedLocked(d.Share)
	}
	if len(f.list) <= fewFilters || d.Position != 0 && d.Position <= f.newest || f.local && d.Client == f.own {
		return f.tryLocked(d)
	}
	m, ok := f.matches[d.Topic]
	if !ok {
		m = f.tryLocked(d)
		if f.matches == nil || len(f.matches) == maxMatches {
			f.matches = make(map[string]match)
		}
		f.matches[strings.Clone(d.Topic)] = m // the record's own string would keep its whole block in memory
	}
	return m
}

// tryLocked gives the highest QoS among the filters that a message falls under [MQTT-3.3.4-2], and
// the identifiers of all of them [MQTT-3.3.4-3, MQTT-3.3.4-5].
func (f *filters) tryLocked(d *message.Delivery) (m match) {
	for i := range f.list {
		s := &f.list[i]
		switch {
		case s.share != 0, d.Position != 0 && d.Position <= s.after, !message.Match(s.filter, d.Topic):
			continue
		case s.noLocal && d.Client == f.own: // [MQTT-3.8.3-3]
			continue
		}
		m.add(s)
	}
	return m
}

func (f *filters) sharedLocked(share int) (m match) {
	for i := range f.list {
		if s := &f.list[i]; s.share == share {
			m.add(s)
		}
	}
	return m
}

func (m *match) add(s *subscribed) {
	m.any = true
	m.qos = max(m.qos, s.qos)
	m.asPublished = m.asPublished || s.asPublished
	if s.identifier != 0 {
		m.identifiers = append(m.identifiers, s.identifier)
	}
}

// onlyQoS0 says whether no filter promises more than QoS 0.
func (f *filters) onlyQoS0() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !slices.ContainsFunc(f.list, func(s subscribed) bool { return s.qos > 0 })
}

// splitShare takes a shared subscription's filter apart; group is empty for one that is not shared.
func splitShare(filter string) (group, inner string, ok bool) {
	rest, shared := strings.CutPrefix(filter, "$share/")
	if !shared {
		return "", filter, true
	}
	group, inner, found := strings.Cut(rest, "/")
	// [MQTT-4.8.2-1, MQTT-4.8.2-2]
	return group, inner, found && group != "" && inner != "" && !strings.ContainsAny(group, "+#")
}
