package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// routes fills in what the driver of an uplink knows of its routes, and reports what nobody says.
func (d *decoder) routes(c *Config) {
	for i := range c.Uplinks {
		to, format := "", ""
		if r, ok := c.Uplinks[i].Options.(Router); ok {
			to, format = r.Route()
		}
		for j := range c.Uplinks[i].Forward {
			path := item(item("uplinks", i)+".forward", j)
			route := &c.Uplinks[i].Forward[j]
			n := d.root.at(path)
			if format != "" && n.at("payload.format") == nil {
				route.Payload.Format = format
			}
			if route.To == "" {
				route.To = to
			}
			if route.To == "" && !n.misspells("to") {
				d.reportAt(path+".to", "missing; write text: the topic at the receiver, for example {topic}")
			}
		}
	}
}

// at gives what stands at a path, or nil when nothing does.
func (n *node) at(path string) *node {
	for path != "" && n != nil {
		var step string
		step, path = cutPath(path)
		if index, ok := strings.CutPrefix(step, "["); ok {
			i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil || i < 0 || i >= len(n.items) {
				return nil
			}
			n = n.items[i]
			continue
		}
		e := n.child(step)
		if e == nil {
			return nil
		}
		n = e.value
	}
	if n != nil && n.kind == null {
		return nil
	}
	return n
}

// misspells says whether a route has a key that probably means this one, and has been named for it.
func (n *node) misspells(key string) bool {
	known := names(fieldsOf(reflect.TypeFor[ForwardRoute]()))
	return n != nil && slices.ContainsFunc(n.entries, func(e entry) bool {
		return !slices.Contains(known, e.key) && nearest(e.key, known) == key
	})
}
