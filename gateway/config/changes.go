package config

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Change is one key that differs between two configurations, with both values as JSON; one that is
// not there is "". Of what was added or removed whole, the change is the whole.
type Change struct {
	Path   string // such as devices.press.interval; an item of a list by its name, or else by its number
	Before string
	After  string
}

// Changes tells by which keys now differs from before, in the order of now, with *** for secrets,
// on both sides for one that is another now.
// Remarks, the order of keys and ways of writing the same value are no difference.
func Changes(before, now *Document, secrets Secrets) []Change {
	d := differ{secrets: secrets}
	d.compare(before.root, now.root, nil, false)
	return d.found
}

// differ collects the changes between two trees. secret, below, says that a value stands under the key of a
// secret: it is one unless it is a section or a list, which are looked into.
type differ struct {
	secrets Secrets
	found   []Change
}

// compare notes what differs at a path; a value that is not there is nil.
func (d *differ) compare(before, now *part, path []string, secret bool) {
	switch {
	case before == nil && now == nil || before != nil && now != nil && before.equal(now):
	case before == nil || now == nil || before.kind != now.kind || now.scalar():
		d.note(before, now, path, secret)
	case now.kind == list:
		known := len(d.found)
		if d.compareItems(before.items, now.items, path); len(d.found) == known {
			d.note(before, now, path, false) // the same items in another order
		}
	default:
		d.compareKeys(before, now, path)
	}
}

func (d *differ) note(before, now *part, path []string, secret bool) {
	d.found = append(d.found, Change{strings.Join(path, "."), d.shown(before, secret), d.shown(now, secret)})
}

func (d *differ) compareKeys(before, now *part, path []string) {
	for i := range now.keys {
		m := &now.keys[i]
		var was *part
		if old := before.member(m.key); old != nil {
			was = old.value
		}
		d.compare(was, m.value, below(path, m.key), d.secrets[m.key])
	}
	for i := range before.keys {
		if m := &before.keys[i]; now.member(m.key) == nil {
			d.compare(m.value, nil, below(path, m.key), d.secrets[m.key])
		}
	}
}

func (d *differ) compareItems(before, now []*part, path []string) {
	gone := make(map[*part]bool, len(before))
	for _, p := range before {
		gone[p] = true
	}
	for i, was := range pair(before, now) {
		delete(gone, was)
		// Under the name it had: a new name is then one of the changes.
		d.compare(was, now[i], below(path, called(cmp.Or(was, now[i]), i)), false)
	}
	for i, p := range before {
		if gone[p] {
			d.compare(p, nil, below(path, called(p, i)), false)
		}
	}
}

func (d *differ) shown(p *part, secret bool) string {
	switch {
	case p == nil:
		return ""
	case secret && p.scalar() && p.kind != null:
		return `"` + hidden + `"`
	}
	var b bytes.Buffer
	if err := p.writeJSON(&b, d.secrets); err != nil {
		return "" // a value that JSON cannot hold was refused when it was read
	}
	return b.String()
}

func called(p *part, at int) string {
	if name, ok := p.name(); ok {
		return name
	}
	return strconv.Itoa(at)
}

func below(path []string, step string) []string { return append(slices.Clip(path), step) }
