package config

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// tree turns the parser's tree into ours: aliases followed, merges unfolded, places kept.
type tree struct {
	lines   int
	anchors map[string]*node
	bad     *flaw // the first one
}

func (t *tree) fail(at ast.Node, message string) *node {
	if t.bad == nil {
		line, column := place(at)
		t.bad = &flaw{line, column, message}
	}
	return &node{line: 1, column: 1}
}

func (t *tree) convert(from ast.Node) *node {
	if t.bad != nil {
		return &node{line: 1, column: 1}
	}
	n := &node{weight: 1}
	n.line, n.column = place(from)
	n.line = min(n.line, t.lines)
	switch from := from.(type) {
	case nil, *ast.NullNode:
		n.kind = null
	case *ast.StringNode:
		n.text = from.Value
		n.kind = text
		if from.Token != nil && from.Token.Type != token.SingleQuoteType && from.Token.Type != token.DoubleQuoteType {
			n.kind = plainKind(n.text)
		}
	case *ast.LiteralNode:
		n.kind = text
		if from.Value != nil {
			n.text = from.Value.Value
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		n.text = from.GetToken().Value
		n.kind = plainKind(n.text)
	case *ast.SequenceNode:
		n.kind = list
		for _, value := range from.Values {
			t.add(n, t.convert(value), value)
		}
		for i := range n.items {
			n.items[i].inherit(n)
		}
	case *ast.MappingNode:
		n.kind = section
		for _, value := range from.Values {
			t.entry(n, value)
		}
	case *ast.MappingValueNode:
		n.kind = section
		t.entry(n, from)
	case *ast.AnchorNode:
		n = t.convert(from.Value)
		// Only now: inside its own value an anchor is not known, so there are no cycles.
		t.anchors[nameOf(from.Name)] = n
	case *ast.AliasNode:
		found := t.anchors[nameOf(from.Value)]
		if found == nil {
			return t.fail(from, fmt.Sprintf("no &%s stands above this", clip(nameOf(from.Value))))
		}
		return found
	default:
		return t.fail(from, "this is not YAML that a configuration can use")
	}
	return n
}

func (t *tree) add(n, value *node, at ast.Node) {
	n.items = append(n.items, value)
	t.weigh(n, value, at)
}

func (t *tree) weigh(n, value *node, at ast.Node) {
	if n.weight += value.weight; n.weight > maxValues {
		t.fail(at, fmt.Sprintf("more than %d values", maxValues))
	}
}

func (t *tree) entry(n *node, from *ast.MappingValueNode) {
	if from == nil || from.Key == nil {
		return
	}
	var key ast.Node = from.Key
	if explicit, ok := key.(*ast.MappingKeyNode); ok {
		key = explicit.Value
	}
	value := t.convert(from.Value)
	if _, ok := key.(*ast.MergeKeyNode); ok {
		t.merge(n, value, from)
		return
	}
	name := t.convert(key)
	if t.bad != nil {
		return
	}
	if !name.scalar() {
		t.fail(from, "a key is a single word")
		return
	}
	e := entry{key: name.text, line: name.line, column: name.column, value: value}
	value.inherit(&node{line: e.line, column: e.column})
	t.addEntry(n, e, from)
}

func (t *tree) addEntry(n *node, e entry, at ast.Node) {
	if len(n.entries) >= maxKeys {
		t.fail(at, fmt.Sprintf("a section with more than %d keys", maxKeys))
		return
	}
	n.entries = append(n.entries, e)
	t.weigh(n, e.value, at)
}

// merge unfolds <<: *alias, or a list of them, of which the earlier goes before the later.
func (t *tree) merge(n, value *node, at ast.Node) {
	switch value.kind {
	case section:
		for _, e := range value.entries {
			if have := n.child(e.key); have != nil && have.merged {
				continue
			}
			e.merged = true
			t.addEntry(n, e, at)
		}
	case list:
		for _, each := range value.items {
			if each.kind != section {
				t.fail(at, "<< takes sections")
				return
			}
			t.merge(n, each, at)
		}
	default:
		t.fail(at, "<< takes a section, for example <<: *base")
	}
}

// inherit gives a value that has no place of its own, an empty one, that of what holds it.
func (n *node) inherit(from *node) {
	if n.line == 0 {
		n.line, n.column = from.line, from.column
	}
}

// place tells where a node begins. For sections and lists the parser points at the first colon or
// dash, so the first key is asked instead.
func place(n ast.Node) (line, column int) {
	switch n := n.(type) {
	case nil:
		return 0, 0
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 && n.Values[0] != nil {
			return place(n.Values[0])
		}
	case *ast.MappingValueNode:
		if n.Key != nil {
			return place(n.Key)
		}
	case *ast.LiteralNode:
		return placeOf(n.Start)
	}
	return placeOf(n.GetToken())
}

func placeOf(t *token.Token) (line, column int) {
	if t == nil || t.Position == nil {
		return 0, 0
	}
	return max(t.Position.Line, 1), max(t.Position.Column, 1)
}

func nameOf(n ast.Node) string {
	if n == nil {
		return ""
	}
	if t := n.GetToken(); t != nil {
		return t.Value
	}
	return ""
}
