package sql92

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

type tokenKind byte

const (
	end tokenKind = iota
	identifier
	integerLiteral
	decimalLiteral
	stringLiteral
	symbol  // one of + - ( ) , = <> < <= > >=
	keyword // its text is in upper case
)

// keywords are recognised in any case; everything else that begins like a name is one.
var keywords = []string{
	"NOT", "AND", "OR", "BETWEEN", "IN", "IS", "NULL", "TRUE", "FALSE", "CONTAINS", "STARTSWITH", "ENDSWITH",
}

// token is one word of an expression. text is as it was written, but for keywords.
type token struct {
	kind tokenKind
	text string
	at   int // byte offset
}

// is says whether the token is this symbol or keyword.
func (t token) is(text string) bool {
	return (t.kind == symbol || t.kind == keyword) && t.text == text
}

// String names the token for an error.
func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return t.text
}

// lexer cuts text into tokens, one at a time: what stands behind the last one that was asked for is not
// looked at.
type lexer struct {
	text string
	at   int
}

func (l *lexer) errorAt(t token, format string, args ...any) error {
	return fmt.Errorf("column %d: %s", utf8.RuneCountInString(l.text[:t.at])+1, fmt.Sprintf(format, args...))
}

// next is the token behind blanks and comments.
func (l *lexer) next() (token, error) {
	l.skip()
	rest := l.text[l.at:]
	if rest == "" {
		return token{end, "", l.at}, nil
	}
	kind, length := symbol, 1
	switch c := rest[0]; {
	case letter(c):
		kind, length = identifier, 1+span(rest[1:], func(c byte) bool { return letter(c) || digit(c) })
		if word, ok := keywordOf(rest[:length]); ok {
			l.at += length
			return token{keyword, word, l.at - length}, nil
		}
	case digit(c), c == '.' && len(rest) > 1 && digit(rest[1]):
		kind, length = number(rest)
	case c == '\'':
		kind, length = stringLiteral, quoted(rest)
		if length == 0 {
			return token{}, l.errorAt(token{at: l.at}, "the text that begins here has no closing quote")
		}
	case strings.HasPrefix(rest, "<>"), strings.HasPrefix(rest, "<="), strings.HasPrefix(rest, ">="):
		length = 2
	case strings.IndexByte("+-(),=<>", c) < 0:
		return token{}, l.errorAt(token{at: l.at}, "%q has no meaning here", firstRune(rest))
	}
	l.at += length
	return token{kind, rest[:length], l.at - length}, nil
}

// skip passes blanks and comments. What begins like a comment and does not end like one is none.
func (l *lexer) skip() {
	for {
		rest := l.text[l.at:]
		switch {
		case rest == "":
			return
		case strings.IndexByte(" \t\n\r\f", rest[0]) >= 0:
			l.at++
		case strings.HasPrefix(rest, "--"):
			newline := strings.IndexAny(rest, "\n\r")
			if newline < 0 {
				return
			}
			l.at += newline + 1
		case strings.HasPrefix(rest, "/*"):
			closing := strings.Index(rest[2:], "*/")
			if closing < 0 {
				return
			}
			l.at += closing + 4
		default:
			return
		}
	}
}

func keywordOf(word string) (string, bool) {
	for _, k := range keywords {
		if strings.EqualFold(k, word) {
			return k, true
		}
	}
	return "", false
}

// number measures the literal that text begins with. An integer that begins with 0 is that 0 alone.
func number(text string) (tokenKind, int) {
	digits := span(text, digit)
	kind, length := integerLiteral, digits
	if length < len(text) && text[length] == '.' {
		kind, length = decimalLiteral, length+1
		length += span(text[length:], digit)
	}
	if exponent := exponent(text[length:]); exponent > 0 {
		return decimalLiteral, length + exponent
	}
	if kind == decimalLiteral {
		return kind, length
	}
	if text[0] == '0' {
		length = 1
	}
	if length < len(text) && (text[length] == 'l' || text[length] == 'L') {
		length++
	}
	return integerLiteral, length
}

// exponent is the length of an exponent that text begins with, 0 if it does not.
func exponent(text string) int {
	if text == "" || text[0] != 'e' && text[0] != 'E' {
		return 0
	}
	sign := 1
	if len(text) > 1 && (text[1] == '+' || text[1] == '-') {
		sign = 2
	}
	if digits := span(text[sign:], digit); digits > 0 {
		return sign + digits
	}
	return 0
}

// quoted is the length of the quoted text that text begins with, 0 if it does not end. Two quotes stand
// for one, unless no other end follows.
func quoted(text string) (length int) {
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			continue
		}
		length = i + 1
		if length == len(text) || text[length] != '\'' {
			return length
		}
		i++
	}
	return length
}

// span is how many bytes at the beginning of text are of that sort.
func span(text string, sort func(byte) bool) int {
	for i := range len(text) {
		if !sort(text[i]) {
			return i
		}
	}
	return len(text)
}

func letter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '$'
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func firstRune(text string) string {
	_, size := utf8.DecodeRuneInString(text)
	return text[:size]
}
