package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Document is the text of a configuration together with what is to become of it: it is edited by paths,
// and Text then gives the new text, in which everything that no edit has touched stands as before, with
// its remarks and in its order. Not for use by several goroutines.
type Document struct {
	text      string // lines end with \n alone, the last one too
	bom, crlf bool
	open      bool // the last line did not end
	lines     []int
	tree      *node
	root      *part
}

// part is a value as it shall be. Where it stands in the text now, if it does, says its node: the two
// differ after an edit.
type part struct {
	node  *node
	alias bool // node stands somewhere else: an alias leads to it
	kind  kind
	text  string // of a scalar
	items []*part
	keys  []member // of a section, each key once

	at    int // among the items of the list in the text, from 1
	found int // the item that was found last: edits come in the order of the file
}

// member is one key of a section.
type member struct {
	key   string
	entry *entry // where it stands; nil when it was added
	value *part
}

// ReadDocument takes the text of a configuration apart. What keeps it from being one is a Problems; keys
// and values are not looked at.
func ReadDocument(name string, data []byte) (*Document, error) {
	d := &Document{bom: bytes.HasPrefix(data, []byte("\uFEFF"))}
	text := strings.TrimPrefix(string(data), "\uFEFF")
	if ends := strings.Count(text, "\r\n"); ends > 0 {
		if ends != strings.Count(text, "\n") {
			return nil, Problems{{File: name, Line: 1, Column: 1, Message: "some lines end as on Windows and some do not; save the file with one kind of line ends, then it can be edited here"}}
		}
		d.crlf, text = true, strings.ReplaceAll(text, "\r\n", "\n")
	}
	if d.open = !strings.HasSuffix(text, "\n"); d.open {
		text += "\n"
	}
	tree, bad := parseYAML([]byte(text))
	if bad != nil {
		return nil, Problems{{File: name, Line: bad.line, Column: bad.column, Message: bad.message}}
	}
	d.text = text
	if tree != nil && tree.kind != null && tree.kind != section {
		return nil, Problems{{File: name, Line: 1, Column: 1, Message: "a configuration is a section with keys"}}
	}
	d.take(tree)
	return d, nil
}

// take makes the document what its text says: a section, or nothing.
func (d *Document) take(tree *node) {
	d.lines = []int{0}
	for i := range len(d.text) {
		if d.text[i] == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	if tree == nil || tree.kind == null {
		d.root = &part{kind: section}
		return
	}
	d.tree, d.root = tree, partOf(tree, map[*node]bool{})
}

func partOf(n *node, seen map[*node]bool) *part {
	p := &part{node: n, kind: n.kind, text: n.text, alias: seen[n]}
	seen[n] = true
	for i, item := range n.items {
		value := partOf(item, seen)
		value.at = i + 1
		p.items = append(p.items, value)
	}
	for i := range n.entries {
		if e := &n.entries[i]; n.child(e.key) == e {
			p.keys = append(p.keys, member{e.key, e, partOf(e.value, seen)})
		}
	}
	return p
}

// scalar says whether p is a single value, or none.
func (p *part) scalar() bool { return p.kind != list && p.kind != section }

func (p *part) member(key string) *member {
	for i := range p.keys {
		if p.keys[i].key == key {
			return &p.keys[i]
		}
	}
	return nil
}

// name is the value of the key name, by which an item of a list is called.
func (p *part) name() (string, bool) {
	if p.kind != section {
		return "", false
	}
	m := p.member("name")
	if m == nil || !m.value.scalar() || m.value.text == "" {
		return "", false
	}
	return m.value.text, true
}

// item finds an item of a list by its name, or else by its number; -1 when there is none.
func (p *part) item(step string) int {
	for n := range p.items {
		i := (p.found + n) % len(p.items)
		if name, ok := p.items[i].name(); ok && name == step {
			p.found = i
			return i
		}
	}
	if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(p.items) && strconv.Itoa(i) == step {
		return i
	}
	return -1
}

// plainValue is what a scalar is to a program: nil, a bool, a number or a text.
func (p *part) plainValue() any { return exact(plainScalar(&node{kind: p.kind, text: p.text}), p.text) }

// exact gives numbers that a browser would round as the text that they are.
func exact(v any, text string) any {
	if n, ok := v.(int64); ok && (n > 1<<53 || n < -1<<53) {
		return text
	}
	return v
}

// same says whether p is what stands in the text at n.
func (p *part) same(n *node) bool {
	switch {
	case p.kind == list || n.kind == list:
		if p.kind != n.kind || len(p.items) != len(n.items) {
			return false
		}
		for i := range p.items {
			if !p.items[i].same(n.items[i]) {
				return false
			}
		}
		return true
	case p.kind == section || n.kind == section:
		if p.kind != n.kind {
			return false
		}
		there := 0
		for i := range n.entries {
			e := &n.entries[i]
			if n.child(e.key) != e {
				continue
			}
			there++
			if m := p.member(e.key); m == nil || !m.value.same(e.value) {
				return false
			}
		}
		return there == len(p.keys)
	case p.kind == null || n.kind == null:
		return p.kind == n.kind
	}
	return p.text == n.text && (p.kind == text) == (n.kind == text) || reflect.DeepEqual(p.plainValue(), (&part{kind: n.kind, text: n.text}).plainValue())
}

// secretKeys are the keys of a schema that hold a secret.
func secretKeys(kinds Kinds) map[string]bool {
	keys := map[string]bool{}
	var add func([]Field)
	add = func(fields []Field) {
		for _, f := range fields {
			if f.Type == "secret" {
				keys[f.Name] = true
			}
			add(f.Fields)
		}
	}
	add(commonFields())
	for _, kind := range kinds.DriverNames {
		if options, ok := kinds.Driver(kind); ok {
			add(Describe(options))
		}
	}
	for _, kind := range kinds.UplinkNames {
		if options, ok := kinds.Uplink(kind); ok {
			add(Describe(options))
		}
	}
	return keys
}

var commonFields = sync.OnceValue(func() []Field { return Describe(Config{}) })

// Secrets are the keys that hold secrets, wherever they stand.
type Secrets map[string]bool

// SecretsOf finds the keys of a schema that hold a secret.
func SecretsOf(kinds Kinds) Secrets { return secretKeys(kinds) }

// eachSecret gives every secret of a document.
func (p *part) eachSecret(secrets Secrets, give func(*part)) {
	for _, item := range p.items {
		item.eachSecret(secrets, give)
	}
	for i := range p.keys {
		m := &p.keys[i]
		if secrets[m.key] && m.value.scalar() && m.value.kind != null {
			give(m.value)
			continue
		}
		m.value.eachSecret(secrets, give)
	}
}

// Secrets lists the values of all secrets.
func (d *Document) Secrets(secrets Secrets) map[string]bool {
	values := map[string]bool{}
	d.root.eachSecret(secrets, func(p *part) { values[p.text] = true })
	return values
}

// Hide puts shown in the place of each secret for which it gives something else.
func (d *Document) Hide(secrets Secrets, shown func(secret string) string) {
	d.root.eachSecret(secrets, func(p *part) { p.kind, p.text = text, shown(p.text) })
}

// JSON is the document as it stands, without defaults, and with *** for secrets.
func (d *Document) JSON(secrets Secrets) (json.RawMessage, error) {
	var b bytes.Buffer
	err := d.root.writeJSON(&b, secrets)
	return b.Bytes(), err
}

func (p *part) writeJSON(b *bytes.Buffer, secrets Secrets) error {
	switch p.kind {
	case list:
		b.WriteByte('[')
		for i, item := range p.items {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := item.writeJSON(b, secrets); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case section:
		b.WriteByte('{')
		for i := range p.keys {
			m := &p.keys[i]
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, m.key); err != nil {
				return err
			}
			b.WriteByte(':')
			value := m.value
			if secrets[m.key] && value.scalar() && value.kind != null {
				value = &part{kind: text, text: hidden}
			}
			if err := value.writeJSON(b, secrets); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	}
	return writeJSON(b, p.plainValue())
}

func writeJSON(b *bytes.Buffer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write a value of the configuration: %w", err)
	}
	b.Write(text)
	return nil
}

// Steps gives the path of a problem, such as devices[0].points[3].address, as edits have it: what stands
// in a list of the file's own is called by its name, if it has one, everything below by its number.
func (d *Document) Steps(path string) []string {
	steps := []string{}
	for at := d.root; path != ""; {
		step, rest := cutPath(path)
		index, numbered := strings.CutPrefix(step, "[")
		switch {
		case numbered:
			step = strings.TrimSuffix(index, "]")
			i, err := strconv.Atoi(step)
			if at == nil || err != nil || i < 0 || i >= len(at.items) {
				at = nil
				break
			}
			at = at.items[i]
			if name, ok := at.name(); ok && len(steps) == 1 {
				step = name
			}
		case at != nil:
			if m := at.member(step); m != nil {
				at = m.value
			} else {
				at = nil
			}
		}
		steps, path = append(steps, step), rest
	}
	return steps
}

// KeepSecrets gives each secret that is written as *** the value that it has in old, where it stands in
// the same place. An *EditError when there is none.
func (d *Document) KeepSecrets(old *Document, secrets Secrets) error {
	return keepSecrets(d.root, old.root, secrets, nil)
}

func keepSecrets(p, old *part, secrets Secrets, path []string) error {
	if p.kind == list {
		var before []*part
		if old != nil && old.kind == list {
			before = old.items
		}
		was := pair(before, p.items)
		for i, item := range p.items {
			step := strconv.Itoa(i)
			if name, ok := item.name(); ok && len(path) == 1 {
				step = name
			}
			if err := keepSecrets(item, was[i], secrets, append(path[:len(path):len(path)], step)); err != nil {
				return err
			}
		}
	}
	for i := range p.keys {
		m := &p.keys[i]
		var was *part
		if old != nil && old.kind == section {
			if o := old.member(m.key); o != nil {
				was = o.value
			}
		}
		at := append(path[:len(path):len(path)], m.key)
		if !secrets[m.key] || m.value.kind != text || m.value.text != hidden {
			if err := keepSecrets(m.value, was, secrets, at); err != nil {
				return err
			}
			continue
		}
		if was == nil || !was.scalar() || was.kind == null {
			return &EditError{Path: at, Line: m.value.node.line, Text: noSecret}
		}
		m.value.kind, m.value.text = was.kind, was.text
	}
	return nil
}

const noSecret = "*** stands for a secret that the file has, and there is none here; write the secret"
