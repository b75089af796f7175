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

func anyCovers(filters []string, wanted string) bool {
	for _, filter := range filters {
		if covers(filter, wanted) {
			return true
		}
	}
	return false
}

func anyMatches(filters []string, topic string) bool {
	for _, filter := range filters {
		if message.Match(filter, topic) {
			return true
		}
	}
	return false
}

// templates are allow filters in which %u and %c stand for a client's names.
type templates struct {
	filters []string
	fixed   bool // none has a placeholder, so that all clients share them
}

func newTemplates(filters []string) templates {
	t := templates{filters: filters, fixed: true}
	for _, filter := range filters {
		t.fixed = t.fixed && !strings.Contains(filter, "%u") && !strings.Contains(filter, "%c")
	}
	return t
}

// fill puts a client's names in. A filter that a name would make wider, or another one than was
// written, is left out: it allows nothing.
func (t templates) fill(user, client string) []string {
	if t.fixed {
		return t.filters
	}
	filled := make([]string, 0, len(t.filters))
	for _, template := range t.filters {
		if filter, ok := fill(template, user, client); ok {
			filled = append(filled, filter)
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
