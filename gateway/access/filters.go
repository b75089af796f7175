package access

import (
	"strings"

	"sluice/gateway/message"
)

// covers says whether every topic that wanted matches is matched by allowed, too. Both are valid
// filters. It is exact, when the empty topic counts as one.
func covers(allowed, wanted string) bool {
	if wildcard(allowed) && wanted != "" && wanted[0] == '$' {
		return false // [MQTT-4.7.2-1]
	}
	if allowed == "+/#" {
		return true // a topic has at least one level, so this is #
	}
	for {
		if allowed == "#" {
			return true
		}
		allowedLevel, allowedRest, allowedMore := strings.Cut(allowed, "/")
		wantedLevel, wantedRest, wantedMore := strings.Cut(wanted, "/")
		if wantedLevel == "#" || allowedLevel != "+" && allowedLevel != wantedLevel {
			return false
		}
		if !allowedMore || !wantedMore {
			// "a/#" also covers its parent "a" [MQTT-4.7.1-2].
			return allowedMore == wantedMore || allowedRest == "#" && !wantedMore
		}
		allowed, wanted = allowedRest, wantedRest
	}
}

func wildcard(filter string) bool {
	return filter != "" && (filter[0] == '+' || filter[0] == '#')
}

// rule is a filter that is compared with many topics, most of which it does not match.
type rule struct {
	filter string
	head   string // every topic that matches begins with it
	form   form
}

type form byte

const (
	exact form = iota // no wildcard: head is all of it
	tree              // head/#
	level             // head+
	other
)

func newRule(filter string) rule {
	at := strings.IndexAny(filter, "+#")
	switch {
	case at < 0:
		return rule{filter, filter, exact}
	case at > 0 && filter[at] == '#':
		return rule{filter, filter[:at-1], tree} // "a/#" also matches its parent "a" [MQTT-4.7.1-2]
	case at > 0 && at == len(filter)-1:
		return rule{filter, filter[:at], level}
	}
	return rule{filter, filter[:at], other}
}

// matches is message.Match, a multiple as fast.
func (r *rule) matches(topic string) bool {
	if !strings.HasPrefix(topic, r.head) {
		return false
	}
	switch r.form {
	case exact:
		return len(topic) == len(r.head)
	case tree:
		return len(topic) == len(r.head) || topic[len(r.head)] == '/'
	case level:
		return strings.IndexByte(topic[len(r.head):], '/') < 0
	}
	return message.Match(r.filter, topic)
}

// rules match what one of them matches.
type rules []rule

func newRules(filters []string) rules {
	out := make(rules, len(filters))
	for i, filter := range filters {
		out[i] = newRule(filter)
	}
	return out
}

func (r rules) cover(wanted string) bool {
	for i := range r {
		if covers(r[i].filter, wanted) {
			return true
		}
	}
	return false
}

func (r rules) match(topic string) bool {
	for i := range r {
		if r[i].matches(topic) {
			return true
		}
	}
	return false
}

// templates are allow filters in which %u and %c stand for a client's names.
type templates struct {
	rules rules
	fixed bool // none has a placeholder, so that all clients share them
}

func newTemplates(filters []string) templates {
	t := templates{rules: newRules(filters), fixed: true}
	for _, filter := range filters {
		t.fixed = t.fixed && !strings.Contains(filter, "%u") && !strings.Contains(filter, "%c")
	}
	return t
}

// fill puts a client's names in. A filter that a name would make wider, or another one than was
// written, is left out: it allows nothing.
func (t templates) fill(user, client string) rules {
	if t.fixed {
		return t.rules
	}
	filled := make(rules, 0, len(t.rules))
	for _, template := range t.rules {
		if filter, ok := fill(template.filter, user, client); ok {
			filled = append(filled, newRule(filter))
		}
	}
	return filled
}

func fill(template, user, client string) (string, bool) {
	var b strings.Builder
	for rest := template; ; {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		if !found {
			break
		}
		name := "%" // of no meaning here
		switch {
		case strings.HasPrefix(after, "u"):
			name, after = user, after[1:]
		case strings.HasPrefix(after, "c"):
			name, after = client, after[1:]
		}
		if name == "" || strings.ContainsAny(name, "/+#") {
			return "", false
		}
		b.WriteString(name) // once: a name that holds %c is not filled in again
		rest = after
	}
	filter := b.String()
	// A client that calls itself $SYS must not come to topics that no wildcard reaches.
	if strings.HasPrefix(filter, "$") && !strings.HasPrefix(template, "$") {
		return "", false
	}
	return filter, message.CheckFilter(filter) == nil
}
