package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on what a file may ask of us. The deepest key of the schema is six levels down; 10,000
// points written out take about 1 MiB and 100,000 values.
const (
	maxBytes  = 8 << 20
	maxLevels = 64
	maxColumn = 400 // of what opens a level by indentation
	maxValues = 1 << 20
	maxKeys   = 10000 // of one section
)

// flaw is a mistake in the YAML itself, before anything is known about keys.
type flaw struct {
	line, column int
	message      string
}

func (f *flaw) Error() string { return f.message }

// parseYAML reads one document. It returns nil without a flaw when the document is empty.
func parseYAML(data []byte) (root *node, bad *flaw) {
	if len(data) > maxBytes {
		return nil, &flaw{1, 1, fmt.Sprintf("the file has %d bytes; a configuration has at most %v", len(data), Size(maxBytes))}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	// The lexer miscounts the lines of a quoted text with CR LF.
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	if f := checkBytes(data); f != nil {
		return nil, f
	}
	lines := 1 + bytes.Count(data, []byte("\n"))
	defer func() {
		if bad != nil {
			bad.line, bad.column = min(max(bad.line, 1), lines), max(bad.column, 1)
		}
	}()
	file, f := parseTokens(string(data))
	if f != nil {
		return nil, f
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc == nil || doc.Body == nil {
			continue
		}
		if body != nil {
			line, column := place(doc.Body)
			return nil, &flaw{line, column, "a second document begins here; a configuration is one document"}
		}
		body = doc.Body
	}
	if body == nil {
		return nil, nil
	}
	t := tree{lines: lines, anchors: map[string]*node{}}
	root = t.convert(body)
	if t.bad != nil {
		return nil, t.bad
	}
	return root, nil
}

// checkBytes finds bytes that YAML forbids (section 5.1) and that no message could show.
func checkBytes(data []byte) *flaw {
	line, column := 1, 0
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		column++
		switch {
		case r == utf8.RuneError && size == 1:
			return &flaw{line, column, fmt.Sprintf("byte 0x%02x is not UTF-8", data[i])}
		case r == '\n':
			line, column = line+1, 0
		case r < 0x20 && r != '\t' || r >= 0x7f && r < 0xa0 && r != 0x85:
			return &flaw{line, column, fmt.Sprintf("control character U+%04X", r)}
		}
		i += size
	}
	return nil
}

// parseTokens runs the lexer and the parser and turns whatever they do into one flaw.
func parseTokens(text string) (file *ast.File, bad *flaw) {
	var tokens token.Tokens
	defer func() {
		// The parser's own mistakes must not end a gateway that was sent a bad file.
		if recover() != nil {
			line, column := 1, 1
			if len(tokens) > 0 && tokens[len(tokens)-1].Position != nil {
				last := tokens[len(tokens)-1].Position
				line, column = last.Line, last.Column
			}
			file, bad = nil, &flaw{line, column, "this is not YAML that can be understood"}
		}
	}()
	tokens = joinWords(lexer.Tokenize(text))
	if f := checkTokens(tokens); f != nil {
		return nil, f
	}
	// Duplicate keys are found later, so that they do not hide what else is wrong.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxFlaw(err)
	}
	return file, nil
}

// checkTokens refuses what would make the recursive parser run out of stack, which Go cannot
// recover from, and tags, which the schema has no use for.
func checkTokens(tokens token.Tokens) *flaw {
	levels := 0
	for i, t := range tokens {
		if t == nil || t.Position == nil {
			continue
		}
		refuse := func(why string) *flaw { return &flaw{t.Position.Line, t.Position.Column, why} }
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			if levels++; levels > maxLevels {
				return refuse("brackets inside brackets, too many levels")
			}
		case token.MappingEndType, token.SequenceEndType:
			levels = max(levels-1, 0)
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			if levels == 0 && t.Position.Column > maxColumn {
				return refuse("too far to the right: too many levels, or a key that is too long")
			}
		case token.TagType:
			return refuse(fmt.Sprintf("tags such as %s are not used here; leave it out", clip(t.Value)))
		case token.DirectiveType:
			return refuse("directives are not used here; leave the line out")
		case token.AnchorType:
			if i+2 < len(tokens) && tokens[i+2] != nil && tokens[i+2].Type == token.AnchorType {
				return refuse("one anchor behind another")
			}
		}
	}
	return nil
}

// joinWords puts together what the lexer takes apart: inside {…: […]} it reads 127.0.0.1:1883 as a
// key and a value, where YAML needs a blank behind the colon (section 7.3.3).
func joinWords(tokens token.Tokens) token.Tokens {
	var out token.Tokens
	var open []token.Type
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open = append(open, t.Type)
		case token.SequenceEndType, token.MappingEndType:
			open = open[:max(len(open)-1, 0)]
		case token.MappingValueType:
			inList := len(open) > 0 && open[len(open)-1] == token.SequenceStartType
			if !inList || i+1 >= len(tokens) || !word(tokens[i+1]) || !touches(t, 1, tokens[i+1]) {
				break
			}
			t = token.New(":"+tokens[i+1].Value, ":"+tokens[i+1].Origin, t.Position)
			i++
			if last := len(out) - 1; last >= 0 && word(out[last]) && touches(out[last], utf8.RuneCountInString(out[last].Value), t) {
				t = token.New(out[last].Value+t.Value, out[last].Origin+t.Origin, out[last].Position)
				out = out[:last]
			}
			t.Type = token.StringType
		}
		out.Add(t)
	}
	return out
}

// word says whether t is a scalar without quotes.
func word(t *token.Token) bool {
	switch t.Type {
	case token.StringType, token.IntegerType, token.FloatType, token.BoolType, token.NullType,
		token.OctetIntegerType, token.HexIntegerType, token.BinaryIntegerType, token.InfinityType, token.NanType:
		return true
	}
	return false
}

// touches says whether b begins where a ends.
func touches(a *token.Token, length int, b *token.Token) bool {
	return a.Position.Line == b.Position.Line && a.Position.Column+length == b.Position.Column
}

func syntaxFlaw(err error) *flaw {
	var syntax interface {
		GetToken() *token.Token
		GetMessage() string
	}
	f := &flaw{1, 1, "this is not YAML: " + err.Error()}
	if errors.As(err, &syntax) {
		f.message = "this is not YAML: " + syntax.GetMessage()
		if t := syntax.GetToken(); t != nil && t.Position != nil {
			f.line, f.column = t.Position.Line, t.Position.Column
		}
	}
	f.message = strings.Join(strings.Fields(f.message), " ") + "; look at the indentation, quotes and brackets here and just above"
	return f
}

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
