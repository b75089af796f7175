package config

import "strings"

// span is one child of a value in braces or brackets, and where its own value begins.
type span struct{ start, value, end int }

// flowSection changes a section in braces.
func (w *rewriter) flowSection(p *part, start int) {
	spans, _, ok := flowChildren(w.d.text, start)
	var own []*entry
	for i := range p.node.entries {
		if e := &p.node.entries[i]; !e.merged {
			own = append(own, e)
		}
	}
	places := map[int]int{}
	for i, s := range spans {
		places[s.start] = i
	}
	kept := make([]*part, len(spans))
	known := make([]bool, len(spans)) // by a key of its own: << has none
	for _, e := range own {
		at, found := places[w.offset(e.line, e.column)]
		if !ok || !found {
			w.refuse(&node{line: e.line}, "the keys in these braces cannot be told apart")
			return
		}
		known[at] = true
		for _, m := range p.keys {
			if m.entry == e {
				kept[at] = m.value
			}
		}
	}
	var added []string
	for _, m := range p.keys {
		if m.entry == nil || m.entry.merged && !m.value.same(m.entry.value) {
			added = append(added, quoteKey(m.key)+": "+m.value.scalarText(true, 0))
		}
	}
	gone := make([]bool, len(spans))
	for i, value := range kept {
		switch {
		case value != nil:
			w.change(value, slot{flow: true})
		case known[i]:
			gone[i] = true
		}
	}
	w.cut(spans, gone)
	w.append(spans, gone, start, added)
}

// flowList changes a list in brackets.
func (w *rewriter) flowList(p *part, start int) {
	spans, end, ok := flowChildren(w.d.text, start)
	if !ok || len(spans) != len(p.node.items) {
		w.refuse(p.node, "the items in these brackets cannot be told apart")
		return
	}
	var order []int
	var added []string
	gone := make([]bool, len(spans))
	for i := range gone {
		gone[i] = true
	}
	mixed := false
	for _, item := range p.items {
		if item.node == nil {
			added = append(added, item.scalarText(true, 0))
			continue
		}
		mixed = mixed || len(added) > 0 || len(order) > 0 && order[len(order)-1] > item.at
		order = append(order, item.at)
		gone[item.at-1] = false
	}
	if mixed {
		w.mixed(p, spans, start, end)
		return
	}
	for _, item := range p.items {
		if item.node != nil {
			w.change(item, slot{flow: true})
		}
	}
	w.cut(spans, gone)
	w.append(spans, gone, start, added)
}

// mixed writes a list in brackets in a new order, each item that stays as it was written.
func (w *rewriter) mixed(p *part, spans []span, start, end int) {
	between := ", "
	if len(spans) > 1 {
		between = w.d.text[spans[0].end:spans[1].start]
	}
	if strings.Contains(w.d.text[start:end], " #") || len(spans) == 0 {
		w.refuse(p.node, "the items in these brackets have remarks between them and would change their order")
		return
	}
	var all []string
	for _, item := range p.items {
		if item.node == nil {
			all = append(all, item.scalarText(true, 0))
			continue
		}
		place := spans[item.at-1]
		moved := rewriter{d: w.d}
		moved.change(item, slot{flow: true})
		text := moved.apply(place.start, place.end)
		if moved.refused != nil {
			w.refused = moved.refused
			return
		}
		all = append(all, text)
	}
	w.put(spans[0].start, spans[len(spans)-1].end, strings.Join(all, between))
}

// cut takes children out with their commas, and leaves remarks between them.
func (w *rewriter) cut(spans []span, gone []bool) {
	for i := 0; i < len(spans); i++ {
		if !gone[i] {
			continue
		}
		last := i
		for last+1 < len(spans) && gone[last+1] {
			last++
		}
		switch {
		case last+1 < len(spans):
			end := spans[last+1].start
			if gap := w.d.text[spans[last].end:end]; strings.Contains(gap, "#") {
				end = spans[last].end + strings.IndexByte(gap, ',') + 1
			}
			w.put(spans[i].start, end, "")
		case i > 0:
			w.put(spans[i-1].end, spans[last].end, "")
		default:
			w.put(spans[i].start, spans[last].end, "")
		}
		i = last
	}
}

// append puts more children behind those that stay.
func (w *rewriter) append(spans []span, gone []bool, start int, added []string) {
	if len(added) == 0 {
		return
	}
	last := -1
	for i := range spans {
		if !gone[i] {
			last = i
		}
	}
	if last < 0 {
		w.put(start+1, start+1, strings.Join(added, ", "))
		return
	}
	between := ", "
	if last > 0 && strings.Contains(w.d.text[spans[last-1].end:spans[last].start], "\n") {
		line := w.line(w.lineOf(spans[last].start))
		between = ",\n" + line[:indentOf(line)]
	}
	w.put(spans[last].end, spans[last].end, between+strings.Join(added, between))
}

// flowChildren takes apart what stands in the braces or brackets that begin at start; end is the byte
// behind them.
func flowChildren(text string, start int) (spans []span, end int, ok bool) {
	at := start + 1
	for {
		at += blankLines(text[at:])
		if at >= len(text) {
			return nil, 0, false
		}
		if text[at] == '}' || text[at] == ']' {
			return spans, at + 1, true
		}
		s := span{start: at, value: at}
		if text[start] == '{' {
			colon := keyEnd(text, at)
			if colon < 0 {
				return nil, 0, false
			}
			s.value = colon + 1 + blankLines(text[colon+1:])
		}
		if s.value >= len(text) {
			return nil, 0, false
		}
		stop, whole := scalarEnd(text, s.value, true)
		if !whole || stop <= s.start {
			return nil, 0, false
		}
		s.end = stop
		spans = append(spans, s)
		at = stop + blankLines(text[stop:])
		if at < len(text) && text[at] == ',' {
			at++
		}
	}
}
