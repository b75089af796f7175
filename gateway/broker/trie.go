package broker

import (
	"slices"
	"strings"
)

// trie finds the entries whose filter a topic falls under, as message.Match decides it, without
// trying every filter. It remembers what it found for recent topics until a filter comes or goes.
// Its owner guards it.
type trie[E comparable] struct {
	root  node[E]
	n     int // entries
	cache map[string]matched[E]
	cost  int // of the cache, in words
}

// node is one level of the filters that share the levels before it.
type node[E comparable] struct {
	children map[string]*node[E]
	plus     *node[E]
	here     []E // of filters that end here
	rest     []E // of filters that go on with '#'
}

// matched is what was found for a topic. Whoever has it may keep it: it never changes.
type matched[E comparable] struct {
	topic   string // of its own: a record's would keep the record's block in memory
	entries []E
}

// What the cache may take. A full one is emptied: topics that are in use come back at once.
const (
	maxCacheCost = 1 << 17 // words: 1 MiB where a word has 8 bytes
	matchedCost  = 16      // words for a topic, its length and its entries aside
)

func (t *trie[E]) add(filter string, entry E) {
	n := &t.root
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if level == "#" {
			n.rest = append(n.rest, entry)
			t.changed(1)
			return
		}
		n = n.child(level)
	}
	n.here = append(n.here, entry)
	t.changed(1)
}

// remove takes back what add was told with the same arguments.
func (t *trie[E]) remove(filter string, entry E) {
	if t.root.remove(filter, true, entry) {
		t.changed(-1)
	}
}

func (t *trie[E]) changed(by int) {
	t.n += by
	if len(t.cache) > 0 {
		t.cache = nil
		t.cost = 0
	}
}

// match gives the entries of every filter that topic falls under; one that was added under several
// of them is there as often.
func (t *trie[E]) match(topic string) matched[E] {
	if found, known := t.cache[topic]; known {
		return found
	}
	found := matched[E]{strings.Clone(topic), slices.Clip(t.find(nil, topic))}
	cost := matchedCost + len(topic)/8 + len(found.entries)
	if t.cost += cost; t.cache == nil || t.cost > maxCacheCost {
		t.cache = make(map[string]matched[E])
		t.cost = cost
	}
	t.cache[found.topic] = found
	return found
}

// known is match for a topic that was met before; it changes nothing.
func (t *trie[E]) known(topic string) (found matched[E], known bool) {
	found, known = t.cache[topic]
	return found, known
}

// find is match past the cache.
func (t *trie[E]) find(dst []E, topic string) []E {
	return t.root.match(dst, topic, true, strings.HasPrefix(topic, "$"))
}

func (n *node[E]) child(level string) *node[E] {
	if level == "+" {
		if n.plus == nil {
			n.plus = new(node[E])
		}
		return n.plus
	}
	child := n.children[level]
	if child == nil {
		if n.children == nil {
			n.children = make(map[string]*node[E])
		}
		child = new(node[E])
		n.children[level] = child
	}
	return child
}

// match collects what lies under n for the levels of a topic that are left, if there are more. A
// wildcard at the very beginning passes over topics that begin with '$' [MQTT-4.7.2-1].
func (n *node[E]) match(dst []E, topic string, more, dollar bool) []E {
	if !more {
		// "a/#" also matches its parent "a" [MQTT-4.7.1-2].
		return append(append(dst, n.here...), n.rest...)
	}
	level, rest, again := strings.Cut(topic, "/")
	if child := n.children[level]; child != nil {
		dst = child.match(dst, rest, again, false)
	}
	if dollar {
		return dst
	}
	if n.plus != nil {
		dst = n.plus.match(dst, rest, again, false)
	}
	return append(dst, n.rest...)
}

// remove takes an entry away from below n, and the nodes that are of no use any more.
func (n *node[E]) remove(filter string, more bool, entry E) bool {
	if !more {
		return without(&n.here, entry)
	}
	level, rest, again := strings.Cut(filter, "/")
	if level == "#" {
		return without(&n.rest, entry)
	}
	child := n.plus
	if level != "+" {
		child = n.children[level]
	}
	if child == nil || !child.remove(rest, again, entry) {
		return false
	}
	switch {
	case !child.empty():
	case level == "+":
		n.plus = nil
	default:
		delete(n.children, level)
	}
	return true
}

func (n *node[E]) empty() bool {
	return n.plus == nil && len(n.children) == 0 && len(n.here) == 0 && len(n.rest) == 0
}

// without removes an entry from a list whose order means nothing.
func without[E comparable](list *[]E, entry E) bool {
	i := slices.Index(*list, entry)
	if i < 0 {
		return false
	}
	last := len(*list) - 1
	(*list)[i] = (*list)[last]
	clear((*list)[last:])
	*list = (*list)[:last]
	if last == 0 {
		*list = nil
	}
	return true
}
