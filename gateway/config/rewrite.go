package config

import (
	"fmt"
	"slices"
	"strings"
)

// Text is the new text of the document. It is made by exchanging the lines, or the words in a line, that
// differ; when that does not lead to what the edits say, because the file is written in a way that is not
// understood here, the edits are refused: nothing is ever written anew as a whole.
func (d *Document) Text() ([]byte, error) {
	text, _, err := d.rewrite()
	if err != nil {
		return nil, err
	}
	return []byte(d.finish(text)), nil
}

// Source is the text that the document was read from, or that Edited gave it.
func (d *Document) Source() string { return d.finish(d.text) }

// Edited is the document that Text gives, without reading it again where that can be spared; the error is as of Text.
func (d *Document) Edited() (*Document, error) {
	text, tree, err := d.rewrite()
	if err != nil {
		return nil, err
	}
	if d.open { // what ends behind the last line may have been the last line's, or the file's
		return ReadDocument("", []byte(d.finish(text)))
	}
	next := &Document{text: text, bom: d.bom, crlf: d.crlf, open: d.open}
	next.take(tree)
	return next, nil
}

// rewrite gives the new text and what it says, which is nil when that is nothing.
func (d *Document) rewrite() (text string, tree *node, err error) {
	text = d.text
	if d.tree == nil {
		var b strings.Builder
		for i := range d.root.keys {
			writeEntry(&b, 0, d.root.keys[i].key, d.root.keys[i].value)
		}
		text += b.String()
	} else {
		w := rewriter{d: d}
		w.change(d.root, slot{})
		if w.refused != nil {
			return "", nil, w.refused
		}
		if len(w.splices) > 0 {
			text = w.apply(0, len(d.text))
		}
	}
	if text == d.text {
		return text, d.tree, nil
	}
	tree, bad := parseYAML([]byte(text))
	says := tree
	if says == nil {
		says = &node{kind: section}
	}
	if bad != nil || !d.root.same(says) {
		return "", nil, &EditError{Text: "the file is written in a way in which this cannot be changed here without changing more; change it by hand, or write out aliases and what stands in braces over several lines first"}
	}
	return text, tree, nil
}

func (d *Document) finish(text string) string {
	if d.open {
		text = strings.TrimSuffix(text, "\n")
	}
	if d.crlf {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if d.bom {
		text = "\uFEFF" + text
	}
	return text
}

// rewriter collects what is to be exchanged in a document's text.
type rewriter struct {
	d       *Document
	splices []splice
	refused error
	found   found // by offset, the last time
}

// splice puts text in the place of what stands from start to end, in bytes.
type splice struct {
	start, end int
	text       string
}

// slot is where a value of a block stands: behind a key's colon, or behind a dash.
type slot struct {
	flow   bool // within braces or brackets, where nothing else here counts
	dash   bool
	indent int // of the key or the dash
	after  int // the byte behind the colon or the dash
	end    int // the line behind everything that belongs to the value
}

func (w *rewriter) put(start, end int, text string) {
	w.splices = append(w.splices, splice{start, end, text})
}

func (w *rewriter) refuse(n *node, why string) {
	if w.refused == nil {
		w.refused = &EditError{Line: max(n.line, 1), Text: fmt.Sprintf("line %d: %s; change it by hand", max(n.line, 1), why)}
	}
}

// apply gives the text from start to end with the exchanges made in it.
func (w *rewriter) apply(start, end int) string {
	// What is inserted at a place goes before what is taken away there; what is further inside was first.
	slices.SortStableFunc(w.splices, func(a, b splice) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return min(a.end-a.start, 1) - min(b.end-b.start, 1)
	})
	var b strings.Builder
	at := start
	for _, s := range w.splices {
		if s.start < at || s.end > end {
			w.refuse(&node{line: w.lineOf(s.start) + 1}, "two changes meet here")
			return ""
		}
		b.WriteString(w.d.text[at:s.start])
		b.WriteString(s.text)
		at = s.end
	}
	b.WriteString(w.d.text[at:end])
	return b.String()
}

// change brings the text of a value, which stands in its slot, to what p says.
func (w *rewriter) change(p *part, at slot) {
	n := p.node
	if w.refused != nil {
		return
	}
	if p.alias {
		if !p.same(n) {
			w.refuse(n, "what stands here is used in other places too, through an alias")
		}
		return
	}
	switch {
	case p.kind == section && n.kind == section && p.keeps():
		if start := w.offset(n.line, n.column); start >= 0 && w.d.text[start] == '{' {
			w.flowSection(p, start)
		} else {
			w.blockSection(p)
		}
	case p.kind == list && n.kind == list && (p.keeps() || len(p.items) == 0 && len(n.items) == 0):
		if start := w.offset(n.line, n.column); start >= 0 && w.d.text[start] == '[' {
			w.flowList(p, start)
		} else {
			w.blockList(p, at)
		}
	case p.same(n):
	case at.flow:
		w.replaceFlow(p)
	case at.after <= 0:
		w.refuse(n, "the whole configuration would be another one")
	default:
		w.replace(p, at)
	}
}

// keeps says whether anything of a section or list stays in its place.
func (p *part) keeps() bool {
	for i := range p.keys {
		if e := p.keys[i].entry; e != nil && !e.merged {
			return true
		}
	}
	for _, item := range p.items {
		if item.node != nil {
			return true
		}
	}
	return len(p.keys) == 0 && len(p.items) == 0 && len(p.node.entries) == 0 && len(p.node.items) == 0
}

// replace writes another value behind a key or a dash.
func (w *rewriter) replace(p *part, at slot) {
	text := w.d.text
	start := at.after + blanks(text[at.after:])
	inline := text[start] != '\n' && text[start] != '#'
	end := start
	if inline {
		var whole bool
		if end, whole = scalarEnd(text, start, false); !whole {
			end = start + len(strings.TrimRight(beforeRemark(w.line(w.lineOf(start)), start-w.d.lines[w.lineOf(start)]), " \t"))
		}
	}
	last := w.lineOf(end)
	below := w.d.lines[last+1]
	if at.dash && !p.short() {
		var b strings.Builder
		writeItem(&b, at.indent, p, blockForm)
		w.put(w.d.lines[w.lineOf(at.after)], w.d.lines[at.end], b.String())
		return
	}
	if p.short() {
		written := p.scalarText(!p.scalar(), text[start])
		if inline {
			w.put(start, end, written)
		} else {
			w.put(at.after, at.after, " "+written)
		}
		if at.end > last+1 {
			w.put(below, w.d.lines[at.end], "")
		}
		return
	}
	if inline {
		w.put(at.after, end, "")
	}
	var b strings.Builder
	writeBelow(&b, at.indent, p)
	w.put(below, max(below, w.d.lines[at.end]), b.String())
}

// replaceFlow exchanges a value within braces or brackets.
func (w *rewriter) replaceFlow(p *part) {
	start := w.offset(p.node.line, p.node.column)
	if start < 0 || p.node.kind == null {
		w.refuse(p.node, "this value cannot be found")
		return
	}
	end, whole := scalarEnd(w.d.text, start, true)
	if !whole {
		w.refuse(p.node, "this value does not end where it should")
		return
	}
	w.put(start, end, p.scalarText(true, w.d.text[start]))
}

// blockSection changes a section whose keys stand each on a line of its own.
func (w *rewriter) blockSection(p *part) {
	n := p.node
	kept := map[*entry]*part{}
	var added []member
	for _, m := range p.keys {
		switch {
		case m.entry == nil, m.entry.merged && !m.value.same(m.entry.value):
			added = append(added, m)
		case !m.entry.merged:
			kept[m.entry] = m.value
		}
	}
	var own []*entry
	for i := range n.entries {
		if e := &n.entries[i]; !e.merged {
			own = append(own, e)
		}
	}
	if len(kept) == len(own) && len(added) == 0 {
		for _, e := range own {
			w.changeEntry(kept[e], e)
		}
		return
	}
	after := -1
	for i := 0; i < len(own); i++ {
		e := own[i]
		at, start, ok := w.entrySlot(e)
		if !ok {
			return
		}
		after = w.d.lines[at.end]
		value, stays := kept[e]
		if stays {
			w.change(value, at)
			continue
		}
		line := w.lineOf(start)
		if indentOf(w.line(line)) == e.column-1 {
			w.put(w.d.lines[line], after, "")
			continue
		}
		// The key shares its line with a dash, which then goes before the next key that stays.
		next := i + 1
		for next < len(own) && kept[own[next]] == nil {
			next++
		}
		if next == len(own) {
			w.refuse(n, "no key of its own would be left here")
			return
		}
		to := w.offset(own[next].line, own[next].column)
		if to < 0 {
			w.refuse(n, "the next key cannot be found")
			return
		}
		var remarks strings.Builder
		for l := at.end; l < w.lineOf(to) && next == i+1; l++ {
			remarks.WriteString(w.d.text[w.d.lines[l]:w.d.lines[l+1]])
		}
		w.put(w.d.lines[line], w.d.lines[line], remarks.String())
		w.put(start, to, "")
		i = next - 1
	}
	if len(added) == 0 {
		return
	}
	if after < 0 {
		w.refuse(n, "this section has no key of its own")
		return
	}
	var b strings.Builder
	for _, m := range added {
		writeEntry(&b, own[0].column-1, m.key, m.value)
	}
	w.put(after, after, b.String())
}

// changeEntry changes the value of a key that stays, and looks for its place only when it differs.
func (w *rewriter) changeEntry(p *part, e *entry) {
	if p.scalar() && p.same(e.value) {
		return
	}
	if !p.scalar() && p.kind == e.value.kind && !p.alias && p.keeps() {
		w.change(p, slot{after: -1, indent: e.column - 1})
		return
	}
	if at, _, ok := w.entrySlot(e); ok {
		w.change(p, at)
	}
}

// entrySlot finds where the value of a key stands; start is the key's first byte.
func (w *rewriter) entrySlot(e *entry) (at slot, start int, ok bool) {
	start = w.offset(e.line, e.column)
	if start < 0 {
		w.refuse(&node{line: e.line}, "this key cannot be found")
		return slot{}, 0, false
	}
	colon := keyEnd(w.d.text, start)
	if colon < 0 || !strings.Contains(w.d.text[start:colon], e.key) && w.d.text[start] != '"' && w.d.text[start] != '\'' {
		w.refuse(&node{line: e.line}, "this key cannot be found")
		return slot{}, 0, false
	}
	at = slot{indent: e.column - 1, after: colon + 1}
	at.end = w.extent(colon+1, at.indent, e.value, e.value.kind == list)
	return at, start, true
}
