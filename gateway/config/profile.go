package config

import (
	"fmt"
	"slices"
)

// profile is what a profile says, as a tree whose nodes have no place: the devices that name it share
// them, and a problem in them is reported where a device names the profile.
type profile struct {
	driver string
	keys   []entry // the driver and the defaults
	points *node
	weight int
}

// profiles puts the profiles that devices name under what the devices say themselves. The tree that
// was read stays as it is, since aliases share its nodes.
func (d *decoder) profiles() {
	e := d.root.child("devices")
	if e == nil || e.value.kind != list {
		return
	}
	devices := *e.value
	devices.items = slices.Clone(devices.items)
	for i, n := range devices.items {
		if named := n.child("profile"); named != nil && named.value.scalar() && named.value.text != "" {
			devices.items[i] = d.withProfile(n, named.value, item("devices", i))
		}
	}
	root := *d.root
	root.entries = slices.Clone(root.entries)
	for i := range root.entries {
		if &d.root.entries[i] == e {
			root.entries[i].value = &devices
		}
	}
	d.root = &root
}

func (d *decoder) withProfile(n, named *node, path string) *node {
	p := d.profile(named, path)
	if p == nil {
		d.blamed[join(path, "driver")] = true // it would come from the profile
		return n
	}
	if own := n.child("driver"); own != nil && own.value.text != p.driver {
		d.report(own.value.line, own.value.column, join(path, "driver"),
			fmt.Sprintf("the profile %s is one of the driver %s; leave driver out", clip(named.text), p.driver))
		return n
	}
	if d.weight += p.weight; d.weight > maxValues {
		d.report(named.line, named.column, join(path, "profile"), fmt.Sprintf("more than %d values with those of the profiles", maxValues))
		return n
	}
	out := *n
	out.entries = slices.Clone(n.entries)
	for _, key := range p.keys {
		key.merged = true // the device's own goes before it
		out.entries = append(out.entries, key)
	}
	own := n.child("points")
	points := d.chosen(p.points, n, own, named.text, path)
	if own == nil {
		out.entries = append(out.entries, entry{key: "points", value: points, merged: true})
		return &out
	}
	for i := range n.entries {
		if &n.entries[i] == own {
			out.entries[i].value = mergePoints(own.value, points)
		}
	}
	return &out
}

// chosen leaves out the points that the device does not want: those that neither only nor its own
// points name.
func (d *decoder) chosen(points, n *node, own *entry, profile, path string) *node {
	e := n.child("only")
	if e == nil || e.value.kind != list || len(e.value.items) == 0 {
		return points
	}
	var there []string
	for _, each := range points.items {
		there = append(there, pointName(each))
	}
	wanted := map[string]bool{}
	for i, each := range e.value.items {
		if wanted[each.text] = true; each.scalar() && !slices.Contains(there, each.text) {
			d.report(each.line, each.column, item(join(path, "only"), i),
				fmt.Sprintf("the profile %s has no point %q%s", clip(profile), clip(each.text), meant(each.text, there)))
		}
	}
	if own != nil {
		for _, each := range own.value.items {
			wanted[pointName(each)] = true
		}
	}
	out := *points
	out.items = nil
	for i, each := range points.items {
		if wanted[there[i]] {
			out.items = append(out.items, each)
		}
	}
	return &out
}

// mergePoints puts the points of a profile under a device's own: of two with one name the device's
// keys go before the profile's, and what the profile does not have comes behind.
func mergePoints(own, points *node) *node {
	if own.kind != list && own.kind != null {
		return own // of the wrong kind, which its own rules report
	}
	out := *own
	out.kind = list
	out.items = slices.Clone(points.items)
	at := map[string]int{}
	for i, each := range points.items {
		at[pointName(each)] = i
	}
	for _, each := range own.items {
		i, known := at[pointName(each)]
		if !known || each.kind != section {
			out.items = append(out.items, each)
			continue
		}
		delete(at, pointName(each)) // a second one of this name is a mistake, which then shows
		both := *each
		both.entries = slices.Clone(each.entries)
		for _, key := range points.items[i].entries {
			key.merged = true
			both.entries = append(both.entries, key)
		}
		out.items[i] = &both
	}
	return &out
}

func pointName(n *node) string {
	if e := n.child("name"); e != nil && e.value.scalar() {
		return e.value.text
	}
	return ""
}

// profile finds the profile that a device names, or reports why there is none.
func (d *decoder) profile(named *node, path string) *profile {
	at := join(path, "profile")
	if p, known := d.known[named.text]; known {
		return p
	}
	if d.kinds.Profile == nil {
		d.report(named.line, named.column, at, "this version has no profiles")
		return nil
	}
	data, ok := d.kinds.Profile(named.text)
	if !ok {
		d.report(named.line, named.column, at, fmt.Sprintf("%q is not a profile%s; docs/profiles.md lists the %d that there are",
			clip(named.text), meant(named.text, d.kinds.ProfileNames), len(d.kinds.ProfileNames)))
		return nil
	}
	p, bad := parseProfile(data)
	if bad != nil {
		d.report(named.line, named.column, at, fmt.Sprintf("the profile %s cannot be used: its line %d: %s", clip(named.text), bad.line, bad.message))
		return nil
	}
	d.known[named.text] = p
	return p
}

func parseProfile(data []byte) (*profile, *flaw) {
	root, bad := parseYAML(data)
	if bad != nil {
		return nil, bad
	}
	driver := root.child("driver")
	if driver == nil || driver.value.kind != text {
		return nil, &flaw{1, 1, "it names no driver"}
	}
	p := &profile{driver: driver.value.text, keys: []entry{{key: "driver", value: driver.value}}, points: &node{kind: list}}
	if e := root.child("defaults"); e != nil {
		if e.value.kind != section {
			return nil, &flaw{e.line, e.column, "defaults is not a section"}
		}
		p.keys = append(p.keys, e.value.entries...)
		p.weight += e.value.weight
	}
	if e := root.child("points"); e != nil {
		if e.value.kind != list {
			return nil, &flaw{e.line, e.column, "points is not a list"}
		}
		p.points = e.value
		p.weight += e.value.weight
	}
	for i := range p.keys {
		p.keys[i].forget()
	}
	p.points.forget()
	return p, nil
}

// forget takes a node's places away.
func (n *node) forget() {
	n.line, n.column = 0, 0
	for _, each := range n.items {
		each.forget()
	}
	for i := range n.entries {
		n.entries[i].forget()
	}
}

func (e *entry) forget() {
	e.line, e.column = 0, 0
	e.value.forget()
}

// named gives the place where the device that path leads into names its profile, and what a message
// about something of the profile's begins with.
func (d *decoder) named(path string) (line, column int, prefix string) {
	devices, rest := cutPath(path)
	index, _ := cutPath(rest)
	n := d.root.at(devices + index)
	if e := n.child("profile"); e != nil {
		return e.value.line, e.value.column, "in the profile " + clip(e.value.text) + ": "
	}
	line, column = d.root.find(path)
	return line, column, ""
}
