package store

import "strings"

// retainedNode is one level of the topics that have a retained message: an exact look-up walks down
// its levels, one with wildcards visits only the branches that match.
type retainedNode struct {
	below map[string]*retainedNode
	topic *retainedTopic
}

func (n *retainedNode) find(topic string) *retainedTopic {
	for more := true; more; {
		var level string
		level, topic, more = strings.Cut(topic, "/")
		if n = n.below[level]; n == nil {
			return nil
		}
	}
	return n.topic
}

func (n *retainedNode) put(topic string, t *retainedTopic) {
	for more := true; more; {
		var level string
		level, topic, more = strings.Cut(topic, "/")
		next := n.below[level]
		if next == nil {
			next = &retainedNode{}
			if n.below == nil {
				n.below = make(map[string]*retainedNode)
			}
			n.below[level] = next
		}
		n = next
	}
	n.topic = t
}

// remove takes a topic out, and the levels that only led there.
func (n *retainedNode) remove(topic string) {
	level, rest, more := strings.Cut(topic, "/")
	next := n.below[level]
	if next == nil {
		return
	}
	if more {
		next.remove(rest)
	} else {
		next.topic = nil
	}
	if next.topic == nil && len(next.below) == 0 {
		delete(n.below, level)
	}
}

// each visits the topics that match a filter, in no order. Those that begin with '$' match only a
// filter that begins with their first level [MQTT-4.7.2-1].
func (n *retainedNode) each(filter string, visit func(*retainedTopic)) {
	n.eachBelow(filter, true, visit)
}

func (n *retainedNode) eachBelow(filter string, first bool, visit func(*retainedTopic)) {
	level, rest, more := strings.Cut(filter, "/")
	take := func(next *retainedNode) {
		switch {
		case level == "#":
			next.all(visit)
		case more:
			if rest == "#" && next.topic != nil {
				visit(next.topic) // "a/#" also matches its parent "a" [MQTT-4.7.1-2]
			}
			next.eachBelow(rest, false, visit)
		case next.topic != nil:
			visit(next.topic)
		}
	}
	if level != "+" && level != "#" {
		if next := n.below[level]; next != nil {
			take(next)
		}
		return
	}
	for name, next := range n.below {
		if !first || !strings.HasPrefix(name, "$") {
			take(next)
		}
	}
}

func (n *retainedNode) all(visit func(*retainedTopic)) {
	if n.topic != nil {
		visit(n.topic)
	}
	for _, next := range n.below {
		next.all(visit)
	}
}
