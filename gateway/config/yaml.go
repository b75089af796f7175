package config

import (
	"bytes"
	"fmt"

	"github.com/goccy/go-yaml/ast"
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
