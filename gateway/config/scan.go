package config

import (
	"sort"
	"strings"
)

// What follows finds its way in the text of a document. The parser says where things begin; where they
// end is found here.

// offset is the byte at a line and column, both from 1; -1 when there is none. What is asked for in the order of
// the text is found at once, since a line may be as long as the file.
func (w *rewriter) offset(line, column int) int {
	if line < 1 || line >= len(w.d.lines) || column < 1 {
		return -1
	}
	if line != w.found.line || column < w.found.column {
		w.found = found{line: line, column: 1, at: w.d.lines[line-1]}
	}
	f, end := &w.found, w.d.lines[line]
	for ; f.column < column && f.at < end; f.column++ {
		f.at++
		for f.at < end && w.d.text[f.at]&0xc0 == 0x80 {
			f.at++
		}
	}
	if f.at >= end {
		w.found = found{}
		return -1
	}
	return f.at
}

// found is a place in the text.
type found struct{ line, column, at int }

// lineOf is the number, from 0, of the line that a byte stands in.
func (w *rewriter) lineOf(at int) int {
	return sort.SearchInts(w.d.lines, at+1) - 1
}

// line is a line without its end.
func (w *rewriter) line(i int) string {
	return w.d.text[w.d.lines[i] : w.d.lines[i+1]-1]
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func isRemark(line string) bool {
	text := strings.TrimSpace(line)
	return text == "" || text[0] == '#'
}

// blanks counts blanks within a line.
func blanks(text string) int { return len(text) - len(strings.TrimLeft(text, " \t")) }

// blankLines counts blanks, line ends and remarks.
func blankLines(text string) int {
	at := 0
	for at < len(text) {
		switch c := text[at]; {
		case c == ' ' || c == '\t' || c == '\n':
			at++
		case c == '#' && (at == 0 || text[at-1] == ' ' || text[at-1] == '\t' || text[at-1] == '\n'):
			next := strings.IndexByte(text[at:], '\n')
			if next < 0 {
				return len(text)
			}
			at += next
		default:
			return at
		}
	}
	return at
}

// beforeRemark is a line from a column on, without the remark behind it.
func beforeRemark(line string, from int) string {
	text := line[from:]
	for i := 1; i < len(text); i++ {
		if text[i] == '#' && (text[i-1] == ' ' || text[i-1] == '\t') {
			return text[:i]
		}
	}
	return text
}

// keyEnd is the colon behind the key that begins at start; -1 when there is none in its line.
func keyEnd(text string, start int) int {
	at := start
	if text[at] == '"' || text[at] == '\'' {
		if at = quotedEnd(text, at); at < 0 {
			return -1
		}
		at += blanks(text[at:])
		if at < len(text) && text[at] == ':' {
			return at
		}
		return -1
	}
	for ; at < len(text) && text[at] != '\n'; at++ {
		if text[at] == ':' && (at+1 >= len(text) || strings.IndexByte(" \t\n,]}", text[at+1]) >= 0) {
			return at
		}
	}
	return -1
}

// quotedEnd is the byte behind a quoted text, -1 when it does not end.
func quotedEnd(text string, start int) int {
	quote := text[start]
	for at := start + 1; at < len(text); at++ {
		switch {
		case quote == '"' && text[at] == '\\':
			at++
		case text[at] != quote:
		case quote == '\'' && at+1 < len(text) && text[at+1] == quote:
			at++
		default:
			return at + 1
		}
	}
	return -1
}

// scalarEnd is the byte behind a value that begins at start: in quotes, in braces or brackets, or as it
// is to the end of the line. whole is false when it goes on in the lines below, or does not end.
func scalarEnd(text string, start int, flow bool) (end int, whole bool) {
	switch text[start] {
	case '"', '\'':
		end = quotedEnd(text, start)
		return max(end, start), end >= 0
	case '{', '[':
		end = flowEnd(text, start)
		return max(end, start), end >= 0
	case '|', '>':
		return start, flow
	}
	end = start
	for end < len(text) && text[end] != '\n' {
		c := text[end]
		if flow && (c == ',' || c == ']' || c == '}') || c == '#' && end > start && (text[end-1] == ' ' || text[end-1] == '\t') {
			break
		}
		end++
	}
	return start + len(strings.TrimRight(text[start:end], " \t")), true
}

// flowEnd is the byte behind the brace or bracket that closes the one at start; -1 when none does.
func flowEnd(text string, start int) int {
	levels, fresh := 0, true // fresh: a value may begin here, so that a quote is one
	for at := start; at < len(text); at++ {
		switch c := text[at]; c {
		case '{', '[':
			levels++
			fresh = true
		case '}', ']':
			if levels--; levels == 0 {
				return at + 1
			}
			fresh = false
		case ',':
			fresh = true
		case ':':
			fresh = at+1 < len(text) && strings.IndexByte(" \t\n\"'{[", text[at+1]) >= 0
		case ' ', '\t', '\n':
		case '#':
			if text[at-1] == ' ' || text[at-1] == '\t' || text[at-1] == '\n' {
				next := strings.IndexByte(text[at:], '\n')
				if next < 0 {
					return -1
				}
				at += next
			}
		case '"', '\'':
			if fresh {
				end := quotedEnd(text, at)
				if end < 0 {
					return -1
				}
				at = end - 1
			}
			fresh = false
		default:
			fresh = false
		}
	}
	return -1
}
