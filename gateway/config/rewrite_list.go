package config

import (
	"slices"
	"strings"
)

// placedItem is an item of a block list in the text.
type placedItem struct {
	start, end int // its lines, from the dash to behind the last
	at         slot
	flow       bool // it stands in braces
}

// blockList changes a list whose items stand each behind a dash.
func (w *rewriter) blockList(p *part, _ slot) {
	n := p.node
	if untouched(p) {
		for _, item := range p.items {
			if w.changeInPlace(item); w.refused != nil {
				return
			}
		}
		return
	}
	places := make([]placedItem, len(n.items))
	for i, item := range n.items {
		place, ok := w.placeItem(item, n.column-1)
		if !ok || i > 0 && place.start < places[i-1].end {
			w.refuse(item, "the items of this list cannot be told apart")
			return
		}
		places[i] = place
	}
	stays := inOrder(p)
	form := blockForm
	if len(places) > 0 && places[len(places)-1].flow {
		form = flowForm
	} else if len(places) == 0 {
		form = anyForm
	}
	at := places[0].start
	for _, item := range p.items {
		if item.node != nil && stays[item.at] {
			at = w.remarksAbove(places[item.at-1].start, n.column-1)
			break
		}
	}
	gone := map[int]bool{}
	for i := range places {
		gone[i+1] = true
	}
	for _, item := range p.items {
		switch {
		case item.node == nil:
			var b strings.Builder
			writeItem(&b, n.column-1, item, form)
			w.put(w.d.lines[at], w.d.lines[at], b.String())
		case stays[item.at]:
			gone[item.at] = false
			place := &places[item.at-1]
			w.change(item, place.at)
			at = place.end
		default: // it moves, with the remarks right above it
			place := &places[item.at-1]
			start := w.remarksAbove(place.start, n.column-1)
			moved := rewriter{d: w.d}
			moved.change(item, place.at)
			text := moved.apply(w.d.lines[start], w.d.lines[place.end])
			if moved.refused != nil {
				w.refused = moved.refused
				return
			}
			w.put(w.d.lines[at], w.d.lines[at], text)
			w.put(w.d.lines[start], w.d.lines[place.end], "")
			gone[item.at] = false
		}
	}
	for i, place := range places {
		if gone[i+1] {
			w.put(w.d.lines[place.start], w.d.lines[place.end], "")
		}
	}
}

// remarksAbove is the first line of the remarks that stand right above a line, at its indent.
func (w *rewriter) remarksAbove(line, indent int) int {
	for line > 0 && indentOf(w.line(line-1)) == indent && strings.HasPrefix(w.line(line - 1)[indent:], "#") {
		line--
	}
	return line
}

// untouched says whether all items of a list stay, in their order, and none came.
func untouched(p *part) bool {
	if len(p.items) != len(p.node.items) {
		return false
	}
	for i, item := range p.items {
		if item.node == nil || item.at != i+1 {
			return false
		}
	}
	return true
}

// changeInPlace changes an item of a block list that stays, and looks for its place only when it has to.
func (w *rewriter) changeInPlace(item *part) {
	n := item.node
	if item.scalar() && item.same(n) {
		return
	}
	if !item.scalar() && item.kind == n.kind && !item.alias && item.keeps() {
		w.change(item, slot{after: -1})
		return
	}
	if item.alias {
		w.change(item, slot{})
		return
	}
	line := n.line - 1
	place, ok := w.placeItem(n, indentOf(w.line(line)))
	if !ok {
		w.refuse(n, "this item cannot be found")
		return
	}
	w.change(item, place.at)
}

// placeItem finds an item, whose dash stands at indent.
func (w *rewriter) placeItem(n *node, indent int) (placedItem, bool) {
	if n.kind == null {
		return placedItem{}, false
	}
	line := n.line - 1
	for ; line >= 0; line-- {
		text := w.line(line)
		if indentOf(text) == indent && strings.HasPrefix(text[indent:], "-") {
			break
		}
		if !isRemark(text) && line < n.line-1 {
			return placedItem{}, false
		}
	}
	if line < 0 {
		return placedItem{}, false
	}
	after := w.d.lines[line] + indent + 1
	place := placedItem{start: line, at: slot{dash: true, indent: indent, after: after}}
	place.end = w.extent(after, indent, n, false)
	place.at.end = place.end
	if start := w.offset(n.line, n.column); start >= 0 && w.d.text[start] == '{' {
		place.flow = true
	}
	return place, true
}

// inOrder says, by their numbers, which items can stay where they are when the others move around them.
func inOrder(p *part) map[int]bool {
	var tails []int // indices into p.items: the last of the best run of each length
	before := make([]int, len(p.items))
	for i, item := range p.items {
		if item.node == nil {
			continue
		}
		length, _ := slices.BinarySearchFunc(tails, item.at, func(tail, at int) int { return p.items[tail].at - at })
		before[i] = -1
		if length > 0 {
			before[i] = tails[length-1]
		}
		if length == len(tails) {
			tails = append(tails, i)
		} else {
			tails[length] = i
		}
	}
	stays := map[int]bool{}
	if len(tails) > 0 {
		for i := tails[len(tails)-1]; i >= 0; i = before[i] {
			stays[p.items[i].at] = true
		}
	}
	return stays
}

// extent gives the line behind everything that belongs to a value. It begins behind the byte after, in a
// key's or an item's line at indent; remarks behind it belong to what follows.
func (w *rewriter) extent(after, indent int, n *node, dashes bool) int {
	line := w.lineOf(after)
	end := line + 1
	start := after + blanks(w.d.text[after:])
	switch c := w.d.text[start]; c {
	case '{', '[', '"', '\'':
		if stop, whole := scalarEnd(w.d.text, start, false); whole {
			end = max(end, w.lineOf(stop)+1)
		}
	}
	literal := w.literalLine(n)
	for l := end; l < len(w.d.lines)-1; l++ {
		text := w.line(l)
		in := indentOf(text)
		switch {
		case strings.TrimSpace(text) == "":
			continue
		case literal >= 0 && l > literal && in > indent:
		case text[in] == '#':
			continue
		case in > indent:
		case dashes && in == indent && (text[in:] == "-" || strings.HasPrefix(text[in:], "- ")):
		default:
			return end
		}
		end = l + 1
	}
	return end
}

// literalLine is where the last value in n begins if it is a text of several lines, else -1: what looks like
// a remark there may be none.
func (w *rewriter) literalLine(n *node) int {
	for {
		switch {
		case len(n.items) > 0:
			n = n.items[len(n.items)-1]
			continue
		case len(n.entries) > 0:
			n = n.entries[len(n.entries)-1].value
			continue
		}
		break
	}
	if start := w.offset(n.line, n.column); n.kind == text && start >= 0 && (w.d.text[start] == '|' || w.d.text[start] == '>') {
		return n.line - 1
	}
	return -1
}
