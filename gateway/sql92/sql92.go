// Package sql92 is the message filter that RocketMQ calls SQL92: an expression over the properties of a
// message, parsed once when a consumer subscribes and evaluated for each message at the broker.
//
//	temperature > 20.5 AND device IN ('press', 'lathe') OR NOT (line STARTSWITH 'north')
//
// It says what Apache RocketMQ says, which testdata/golden.txt holds for some thousands of expressions
// (testdata/oracle tells how they were asked). What surprises there is meant here too:
//
//   - Properties are texts. One that is compared with a number is converted to the kind of that number:
//     against 20 only 32-bit integers convert, against 3000000000 64-bit ones, against 20.0 whatever Java
//     reads as a double. If it does not convert, the whole expression fails, which is no match, except
//     where AND and OR had decided before. Two properties in order are compared as doubles, for equality
//     as texts.
//   - NOT binds closer than any comparison: NOT a = 1 is (NOT a) = 1.
//   - A missing property makes > >= < <= BETWEEN IN and their negations unknown, and NOT unknown stays
//     unknown. But x = missing is false, missing = missing true and only missing = x unknown; CONTAINS,
//     STARTSWITH, ENDSWITH and their negations are false.
//   - A property alone is never true, whatever its text; a = TRUE compares without regard to case, and
//     TRUE = a fails.
//   - CONTAINS of the empty text and its like are never true, nor are their negations.
//   - What follows a complete expression is ignored, as in a = 1 ESCAPE 'x': see Ignored.
//   - A comment that begins with -- needs the end of its line.
//
// Where it differs on purpose:
//
//   - 0.0 is a number. Apache refuses every decimal that is zero, since it takes the least positive
//     double for the least one; a reading's sign could not be asked for.
//   - -0.0 equals 0.0. Apache puts it below, as Java orders doubles.
//   - Digits of properties are ASCII. Java reads all of Unicode's.
//   - An expression has at most MaxLength bytes and 200 levels. Apache goes as far as its stack.
package sql92

import "fmt"

// MaxLength bounds the text of an expression in bytes. Long ones are lists of IN, which fit.
const MaxLength = 64 << 10

// maxDepth bounds how deep an expression nests, brackets included, so that neither parsing nor
// evaluating needs much stack.
const maxDepth = 200

// Expression is a parsed filter. It does not change, so that many goroutines may use one.
type Expression struct {
	root    *node
	ignored string
}

// Parse reads text. The error says in plain words what is wrong and at which column, counted from 1.
func Parse(text string) (*Expression, error) {
	if len(text) > MaxLength {
		return nil, fmt.Errorf("an expression has at most %d bytes, this one %d", MaxLength, len(text))
	}
	p := parser{lexer: lexer{text: text}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	start := p.token
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	if !root.canBeTruth() {
		return nil, p.errorAt(start, "the expression is neither true nor false")
	}
	return &Expression{root: root, ignored: text[p.token.at:]}, nil
}

// Match says whether the message with these properties passes. Unknown is no match. It keeps neither
// property nor what it returned, and allocates nothing.
func (e *Expression) Match(property func(name string) (value string, known bool)) bool {
	v := e.root.truth(property)
	return v.kind == boolean && v.truth
}

// Ignored is what stands behind the expression, empty if nothing does. RocketMQ accepts and ignores it;
// whoever wrote it meant something, so that it is worth a line in the log.
func (e *Expression) Ignored() string { return e.ignored }
