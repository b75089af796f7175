package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Edit is one change of a document. An item of a list is called by its name, or by its number from 0. A
// Value that is missing, or null, removes what is there; a path to something that is not there adds it.
// *** as the value of a secret keeps the secret that is there.
type Edit struct {
	Path  []string
	Value json.RawMessage
}

// EditError says which edit cannot be made.
type EditError struct {
	Path []string
	Line int // of the old text; 0 when it is about none
	Text string
}

// Error implements error.
func (e *EditError) Error() string {
	if len(e.Path) == 0 {
		return e.Text
	}
	return strings.Join(e.Path, ".") + ": " + e.Text
}

// editor applies edits to a document.
type editor struct {
	secrets Secrets
	path    []string // of the edit
}

func (e *editor) refuse(format string, args ...any) error {
	return &EditError{Path: e.path, Text: fmt.Sprintf(format, args...)}
}

// Edit applies edits one after the other. With an error, an *EditError, the document is of no use any
// more.
func (d *Document) Edit(edits []Edit, secrets Secrets) error {
	for i := range edits {
		e := editor{secrets: secrets, path: edits[i].Path}
		if err := e.apply(d.root, edits[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *editor) apply(root *part, edit Edit) error {
	var value *part
	if len(edit.Value) > 0 && string(bytes.TrimSpace(edit.Value)) != "null" {
		decoder := json.NewDecoder(bytes.NewReader(edit.Value))
		decoder.UseNumber()
		var err error
		if value, err = readValue(decoder, 0); err != nil {
			return e.refuse("%v", err)
		}
	}
	if len(edit.Path) > maxLevels {
		return e.refuse("too many levels")
	}
	at, key := root, ""
	for i, step := range edit.Path {
		last := i == len(edit.Path)-1
		if at.kind == null {
			// A key with nothing behind it is a section, or a list, that is still empty.
			if at.kind = section; value != nil && last && isNamed(value, step) {
				at.kind = list
			}
		}
		switch {
		case last && value == nil:
			return e.remove(at, step)
		case last:
			return e.put(at, step, value)
		}
		next := at.step(step)
		if next == nil {
			if at.kind != section || value == nil {
				return e.refuse("there is no %s", strings.Join(edit.Path[:i+1], "."))
			}
			next = &part{kind: section}
			if i == len(edit.Path)-2 && isNamed(value, edit.Path[i+1]) {
				next.kind = list
			}
			at.keys = append(at.keys, member{key: step, value: next})
		}
		at, key = next, step
	}
	if value == nil || value.kind != section {
		return e.refuse("the whole configuration is a section with keys")
	}
	return e.merge(root, value, key)
}

func isNamed(p *part, name string) bool {
	own, ok := p.name()
	return ok && own == name
}

// step is what stands one step further, nil where nothing does.
func (p *part) step(step string) *part {
	switch p.kind {
	case section:
		if m := p.member(step); m != nil {
			return m.value
		}
	case list:
		if i := p.item(step); i >= 0 {
			return p.items[i]
		}
	}
	return nil
}

func (e *editor) remove(at *part, step string) error {
	switch at.kind {
	case section:
		for i := range at.keys {
			if at.keys[i].key == step {
				at.keys = append(at.keys[:i:i], at.keys[i+1:]...)
				return nil
			}
		}
	case list:
		if i := at.item(step); i >= 0 {
			at.items = append(at.items[:i:i], at.items[i+1:]...)
			return nil
		}
	}
	return e.refuse("there is nothing to remove")
}

func (e *editor) put(at *part, step string, value *part) error {
	switch at.kind {
	case section:
		if m := at.member(step); m != nil {
			return e.merge(m.value, value, step)
		}
		at.keys = append(at.keys, member{key: step, value: value})
		return e.fresh(value, step)
	case list:
		if i := at.item(step); i >= 0 {
			return e.merge(at.items[i], value, "")
		}
		if name, ok := value.name(); (!ok || name != step) && step != fmt.Sprint(len(at.items)) {
			return e.refuse("there is no %q in this list; what is added has that name", clip(step))
		}
		at.items = append(at.items, value)
		return e.fresh(value, "")
	}
	return e.refuse("what stands here has no keys")
}

// fresh looks at a value that was not there before: it has no secret that could be kept.
func (e *editor) fresh(p *part, key string) error {
	if e.secrets[key] && p.kind == text && p.text == hidden {
		return e.refuse(noSecret)
	}
	for _, item := range p.items {
		if err := e.fresh(item, ""); err != nil {
			return err
		}
	}
	for i := range p.keys {
		if err := e.fresh(p.keys[i].value, p.keys[i].key); err != nil {
			return err
		}
	}
	return nil
}

// merge makes p what value is, and keeps where each part of it stands in the text.
func (e *editor) merge(p, value *part, key string) error {
	switch {
	case p.kind == section && value.kind == section:
		return e.mergeSection(p, value)
	case p.kind == list && value.kind == list:
		return e.mergeList(p, value)
	case p.scalar() && value.scalar():
		if e.secrets[key] && value.kind == text && value.text == hidden && p.kind != null {
			return nil
		}
		if err := e.fresh(value, key); err != nil {
			return err
		}
		if p.kind == null || value.kind == null || p.plainValue() != value.plainValue() {
			p.kind, p.text = value.kind, value.text
		}
		return nil
	}
	if err := e.fresh(value, key); err != nil {
		return err
	}
	p.kind, p.text, p.items, p.keys = value.kind, value.text, value.items, value.keys
	return nil
}

func (e *editor) mergeSection(p, value *part) error {
	var keys []member
	for _, m := range p.keys {
		now := value.member(m.key)
		if now == nil {
			continue
		}
		if err := e.merge(m.value, now.value, m.key); err != nil {
			return err
		}
		keys = append(keys, m)
	}
	for _, m := range value.keys {
		if p.member(m.key) != nil {
			continue
		}
		if err := e.fresh(m.value, m.key); err != nil {
			return err
		}
		keys = append(keys, m)
	}
	p.keys = keys
	return nil
}

// mergeList finds for each new item the old one that it was: of the same name, or in the same place.
func (e *editor) mergeList(p, value *part) error {
	was := pair(p.items, value.items)
	items := make([]*part, len(value.items))
	for i, now := range value.items {
		items[i] = now
		if was[i] == nil {
			if err := e.fresh(now, ""); err != nil {
				return err
			}
			continue
		}
		items[i] = was[i]
		if err := e.merge(was[i], now, ""); err != nil {
			return err
		}
	}
	p.items = items
	return nil
}

// pair gives for each item of now the one of before that it is, or nil.
func pair(before, now []*part) []*part {
	was := make([]*part, len(now))
	taken := make([]bool, len(before))
	named := map[string]int{}
	for i, p := range before {
		name, ok := p.name()
		if _, twice := named[name]; ok && !twice {
			named[name] = i
		}
	}
	if len(named) == 0 {
		return pairPlain(before, now)
	}
	for i, p := range now {
		name, ok := p.name()
		if at, known := named[name]; ok && known && !taken[at] {
			was[i], taken[at] = before[at], true
		}
	}
	for i := range was { // renamed in its place
		if was[i] == nil && i < len(before) && !taken[i] && now[i].kind == section {
			was[i], taken[i] = before[i], true
		}
	}
	return was
}

// pairPlain pairs what has no names: what is the same at both ends, then one after the other.
func pairPlain(before, now []*part) []*part {
	was := make([]*part, len(now))
	head := 0
	for head < len(before) && head < len(now) && before[head].equal(now[head]) {
		was[head] = before[head]
		head++
	}
	tail := 0
	for tail < len(before)-head && tail < len(now)-head && before[len(before)-1-tail].equal(now[len(now)-1-tail]) {
		was[len(now)-1-tail] = before[len(before)-1-tail]
		tail++
	}
	for i := head; i < len(now)-tail && i < len(before)-tail; i++ {
		was[i] = before[i]
	}
	return was
}

// equal compares two values, wherever they stand.
func (p *part) equal(q *part) bool {
	if p.scalar() && q.scalar() {
		return p.plainValue() == q.plainValue()
	}
	if p.kind != q.kind || len(p.items) != len(q.items) || len(p.keys) != len(q.keys) {
		return false
	}
	for i := range p.items {
		if !p.items[i].equal(q.items[i]) {
			return false
		}
	}
	for i := range p.keys {
		if m := q.member(p.keys[i].key); m == nil || !p.keys[i].value.equal(m.value) {
			return false
		}
	}
	return true
}

// readValue reads a value of JSON and keeps the order of its keys.
func readValue(from *json.Decoder, level int) (*part, error) {
	if level > maxLevels {
		return nil, errors.New("too many levels")
	}
	token, err := from.Token()
	if err != nil {
		return nil, fmt.Errorf("the value is not JSON: %w", err)
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return readList(from, level)
		}
		return readSection(from, level)
	case string:
		return &part{kind: text, text: token}, nil
	case json.Number:
		kind := plainKind(token.String())
		if kind != integer && kind != float {
			return nil, fmt.Errorf("%s is not a number that can be written", clip(token.String()))
		}
		return &part{kind: kind, text: token.String()}, nil
	case bool:
		return &part{kind: boolean, text: fmt.Sprint(token)}, nil
	}
	return &part{kind: null}, nil
}

func readList(from *json.Decoder, level int) (*part, error) {
	p := &part{kind: list}
	for from.More() {
		item, err := readValue(from, level+1)
		if err != nil {
			return nil, err
		}
		p.items = append(p.items, item)
	}
	return p, ended(from)
}

func readSection(from *json.Decoder, level int) (*part, error) {
	p := &part{kind: section}
	for from.More() {
		token, err := from.Token()
		if err != nil {
			return nil, fmt.Errorf("the value is not JSON: %w", err)
		}
		key, ok := token.(string)
		if !ok || len(p.keys) >= maxKeys {
			return nil, errors.New("a section with too many keys")
		}
		value, err := readValue(from, level+1)
		if err != nil {
			return nil, err
		}
		if value.kind == null {
			continue // a key without a value is none
		}
		if m := p.member(key); m != nil {
			m.value = value
			continue
		}
		p.keys = append(p.keys, member{key: key, value: value})
	}
	return p, ended(from)
}

func ended(from *json.Decoder) error {
	if _, err := from.Token(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the value is not JSON: %w", err)
	}
	return nil
}
