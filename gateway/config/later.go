package config

import (
	"fmt"
	"strings"
)

// What the schema has but this version does not serve. Whoever builds a part deletes its line.
var laterKeys = []laterKey{
	{path: "uplinks[].forward[].qos", value: "2", what: "QoS 2"},
}

// laterKey is a key that cannot be used yet: with any value, with one, or with all but one.
type laterKey struct {
	path   string // [] stands for every item of a list
	value  string
	except string
	what   string
}

// later reports what is configured but not there yet. An empty list or text configures nothing.
func (d *decoder) later() {
	for _, key := range laterKeys {
		visit(d.root, "", key.path, func(at string, n *node) {
			switch {
			case n.kind == null, n.kind == list && len(n.items) == 0, n.kind == text && n.text == "" && key.value == "":
			case key.value != "" && n.text != key.value, key.except != "" && n.text == key.except:
			case key.value != "":
				d.reportAt(at, fmt.Sprintf("%s (%s) comes with a later version; leave it out for now", key.what, key.value))
			default:
				d.reportAt(at, key.what+" comes with a later version; leave it out for now")
			}
		})
	}
}

// visit calls found for every value under a path in which [] stands for every item.
func visit(n *node, at, path string, found func(at string, n *node)) {
	if path == "" {
		found(at, n)
		return
	}
	if rest, ok := strings.CutPrefix(path, "[]"); ok {
		for i, each := range n.items {
			visit(each, item(at, i), rest, found)
		}
		return
	}
	step, rest := cutPath(path)
	if e := n.child(step); e != nil {
		visit(e.value, join(at, step), rest, found)
	}
}
