package access

import (
	"slices"
	"strings"
	"sync"

	"sluice/gateway/message"
)

// Grant is what one client may do. Its methods may be called from any goroutine.
type Grant struct {
	publish, subscribe         allowed
	denyPublish, denySubscribe rules

	sent, received decisions
}

// allowed is an allow list with its names filled in.
type allowed struct {
	all   bool // everything but the gateway's own topics, those that begin with $
	own   bool // those, too
	rules rules
}

func newAllowed(filled rules) allowed {
	return allowed{
		all:   slices.ContainsFunc(filled, func(r rule) bool { return r.filter == "#" }),
		rules: filled,
	}
}

func (a *allowed) topic(topic string) bool {
	if topic != "" && topic[0] == '$' {
		return a.own || a.rules.match(topic)
	}
	return a.all || a.rules.match(topic)
}

func (a *allowed) filter(filter string) bool {
	if filter != "" && filter[0] == '$' {
		return a.own || a.rules.cover(filter)
	}
	return a.all || a.rules.cover(filter)
}

func (g *Guard) grantTo(u *user, attempt *Attempt) *Grant {
	return &Grant{
		publish:       newAllowed(u.publish.fill(u.name, attempt.ClientID)),
		subscribe:     newAllowed(u.subscribe.fill(u.name, attempt.ClientID)),
		denyPublish:   g.denyPublish,
		denySubscribe: g.denyReceive,
	}
}

// anonymous may do everything but what is denied to everybody. How the gateway is doing concerns
// those on the same machine alone.
func (g *Guard) anonymous(attempt *Attempt) *Grant {
	own := local(attempt.Address)
	return &Grant{
		publish:       allowed{all: true, own: own},
		subscribe:     allowed{all: true, own: own},
		denyPublish:   g.denyPublish,
		denySubscribe: g.denyReceive,
	}
}

// Publish says whether the client may publish on a topic.
func (g *Grant) Publish(topic string) bool {
	return g.sent.decide(topic, &g.publish, g.denyPublish)
}

// Subscribe says whether the client may subscribe to a filter: one allow filter covers all of it,
// and no deny filter does.
func (g *Grant) Subscribe(filter string) bool {
	return message.CheckFilter(filter) == nil && g.subscribe.filter(filter) && !g.denySubscribe.cover(filter)
}

// Receive says whether a message on this topic may reach the client. It holds for a session that
// was granted its filters to somebody else, or under another configuration, as well.
func (g *Grant) Receive(topic string) bool {
	return g.received.decide(topic, &g.subscribe, g.denySubscribe)
}

const (
	fewFilters  = 4   // are compared about as fast as looked up
	mostKept    = 256 // decisions
	longestKept = 256 // bytes of a topic
)

// decisions remembers what was decided on topics, where there are many filters to compare.
type decisions struct {
	mu   sync.Mutex // guards what follows
	kept map[string]bool
}

func (d *decisions) decide(topic string, allow *allowed, deny rules) bool {
	many := len(deny)
	if !allow.all {
		many += len(allow.rules)
	}
	if many <= fewFilters || len(topic) > longestKept {
		return allow.topic(topic) && !deny.match(topic)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if ok, found := d.kept[topic]; found {
		return ok
	}
	ok := allow.topic(topic) && !deny.match(topic)
	if len(d.kept) >= mostKept {
		clear(d.kept)
	}
	if d.kept == nil {
		d.kept = make(map[string]bool)
	}
	d.kept[strings.Clone(topic)] = ok // the topic may be part of something large
	return ok
}
