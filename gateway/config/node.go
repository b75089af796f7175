package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// node is one value of the file with its place. Aliases share nodes, so the tree may have far more
// paths than nodes; weight counts the paths.
type node struct {
	kind         kind
	line, column int
	text         string  // a scalar as it stands in the file, without quotes
	items        []*node // of a list
	entries      []entry // of a section, in the order of the file
	weight       int
}

// entry is one key of a section and its value.
type entry struct {
	key          string
	line, column int
	value        *node
	merged       bool // it came in through <<, so a key of the section itself goes before it
}

type kind byte

const (
	null kind = iota
	boolean
	integer
	float
	text
	list
	section
)

// String names the kind as a message does.
func (k kind) String() string {
	return [...]string{"empty", "true or false", "a whole number", "a number", "text", "a list", "a section with keys"}[k]
}

var (
	integerForm = regexp.MustCompile(`^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$`)
	floatForm   = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	notFinite   = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

// plainKind tells what a scalar without quotes is, by the core schema of YAML 1.2 (section 10.3.2):
// yes, no, on and off are text.
func plainKind(s string) kind {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return null
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return boolean
	}
	if strings.IndexByte("+-.0123456789", s[0]) < 0 {
		return text // as nearly all is
	}
	switch {
	case integerForm.MatchString(s):
		return integer
	case floatForm.MatchString(s), notFinite.MatchString(s):
		return float
	}
	return text
}

// describe says what stands in the file: the scalar itself, or the kind of the rest.
func (n *node) describe() string {
	switch n.kind {
	case null, list, section:
		return n.kind.String()
	case text:
		return strconv.Quote(clip(n.text))
	}
	return clip(n.text)
}

// scalar says whether n is a single value.
func (n *node) scalar() bool { return n.kind != null && n.kind != list && n.kind != section }

// child gives the entry of a section under key, or nil.
func (n *node) child(key string) *entry {
	if n == nil {
		return nil
	}
	var found *entry
	for i := range n.entries {
		e := &n.entries[i]
		if e.key == key && (found == nil || found.merged && !e.merged) {
			found = e
		}
	}
	return found
}

// find walks a path such as points[3].type as far as it exists and gives the place where it ends.
func (n *node) find(path string) (line, column int) {
	line, column, _ = n.locate(path)
	return line, column
}

// locate is find; brought says that the path ends in what a profile brought in, which has no place of
// its own, and the place is that of what holds it.
func (n *node) locate(path string) (line, column int, brought bool) {
	line, column = n.line, n.column
	for path != "" {
		step, rest := cutPath(path)
		if index, ok := strings.CutPrefix(step, "["); ok {
			i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil || i < 0 || i >= len(n.items) {
				return line, column, brought
			}
			n = n.items[i]
		} else {
			e := n.child(step)
			if e == nil {
				return line, column, brought
			}
			n = e.value
			if rest == "" && n.line > e.line {
				return e.line, e.column, false // the key of a block stands above it
			}
		}
		path = rest
		if brought = n.line == 0; !brought {
			line, column = n.line, n.column
		}
	}
	return line, column, brought
}

// cutPath splits the first step off a path: a key, or an index with its brackets.
func cutPath(path string) (step, rest string) {
	path = strings.TrimPrefix(path, ".")
	if strings.HasPrefix(path, "[") {
		if end := strings.IndexByte(path, ']'); end >= 0 {
			return path[:end+1], path[end+1:]
		}
	}
	if end := strings.IndexAny(path[min(1, len(path)):], ".["); end >= 0 {
		return path[:end+1], path[end+1:]
	}
	return path, ""
}

// join puts two paths together; either may be empty.
func join(path, rest string) string {
	if path == "" || rest == "" || rest[0] == '[' {
		return path + rest
	}
	return path + "." + rest
}

func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// clip keeps a message readable when the file holds a long text.
func clip(s string) string {
	const most = 60
	for i := range s {
		if i > most {
			return s[:i] + "…"
		}
	}
	return s
}
