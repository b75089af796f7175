package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

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
