package sql92

import (
	"math"
	"strconv"
	"strings"
)

// parser is a recursive descent over the grammar, one method a level, from the loosest binding to the
// closest:
//
//	or         = and { OR and }
//	and        = equality { AND equality }
//	equality   = comparison { ( "=" | "<>" ) comparison | IS [ NOT ] NULL }
//	comparison = unary { ( "<" | "<=" | ">" | ">=" ) unary
//	             | [ NOT ] BETWEEN unary AND unary
//	             | [ NOT ] IN "(" text { "," text } ")"
//	             | [ NOT ] ( CONTAINS | STARTSWITH | ENDSWITH ) text }
//	unary      = ( "+" | "-" | NOT ) unary | primary
//	primary    = literal | name | "(" or ")"
type parser struct {
	lexer
	token token // the next one, not yet used
	depth int   // of the brackets and signs that are open
}

func (p *parser) advance() (err error) {
	p.token, err = p.next()
	return err
}

// accept uses up the next token if it is this symbol or keyword.
func (p *parser) accept(text string) (bool, error) {
	if !p.token.is(text) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) expect(text string) error {
	if found, err := p.accept(text); found || err != nil {
		return err
	}
	return p.errorAt(p.token, "expected %s, found %s", text, p.token)
}

// finish gives n its depth.
func (p *parser) finish(at token, n node) (*node, error) {
	for _, child := range append(n.terms, n.left, n.right) {
		if child != nil {
			n.depth = max(n.depth, child.depth+1)
		}
	}
	if n.depth > maxDepth {
		return nil, p.tooDeep(at)
	}
	return &n, nil
}

func (p *parser) tooDeep(at token) error {
	return p.errorAt(at, "the expression nests deeper than %d levels", maxDepth)
}

func (p *parser) or() (*node, error)  { return p.chain(or, "OR", p.and) }
func (p *parser) and() (*node, error) { return p.chain(and, "AND", p.equality) }

// chain is one node however many terms there are.
func (p *parser) chain(op operation, word string, next func() (*node, error)) (*node, error) {
	start := p.token
	first, err := next()
	if err != nil || !p.token.is(word) {
		return first, err
	}
	if !first.canBeTruth() {
		return nil, p.errorAt(start, "what stands before %s is neither true nor false", word)
	}
	terms := []*node{first}
	for p.token.is(word) {
		if err := p.advance(); err != nil {
			return nil, err
		}
		at := p.token
		term, err := next()
		if err != nil {
			return nil, err
		}
		if !term.canBeTruth() {
			return nil, p.errorAt(at, "what follows %s is neither true nor false", word)
		}
		terms = append(terms, term)
	}
	return p.finish(start, node{op: op, terms: terms})
}

func (p *parser) equality() (*node, error) {
	left, err := p.comparison()
	for err == nil {
		switch at := p.token; {
		case at.is("="), at.is("<>"):
			left, err = p.equalTo(left, at)
		case at.is("IS"):
			left, err = p.isNull(left, at)
		default:
			return left, nil
		}
	}
	return nil, err
}

func (p *parser) equalTo(left *node, at token) (*node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	right, err := p.comparison()
	if err != nil {
		return nil, err
	}
	if left.alwaysNull() || right.alwaysNull() {
		return nil, p.errorAt(at, "%s does not compare with NULL: write IS NULL or IS NOT NULL", at)
	}
	if left.op == literal && left.constant.kind == boolean && right.op == literal && right.constant.kind != boolean {
		return nil, p.errorAt(at, "TRUE and FALSE compare with TRUE and FALSE only")
	}
	return p.finish(at, node{op: equal, negated: at.text == "<>", left: left, right: right})
}

func (p *parser) isNull(left *node, at token) (*node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	negated, err := p.accept("NOT")
	if err != nil {
		return nil, err
	}
	if err := p.expect("NULL"); err != nil {
		return nil, err
	}
	return p.finish(at, node{op: isNull, negated: negated, left: left})
}

func (p *parser) comparison() (*node, error) {
	left, err := p.unary()
	for err == nil {
		at := p.token
		switch {
		case at.is("<"), at.is("<="), at.is(">"), at.is(">="):
			left, err = p.order(left, at)
			continue
		case at.is("NOT"), at.is("BETWEEN"), at.is("IN"), at.is("CONTAINS"), at.is("STARTSWITH"), at.is("ENDSWITH"):
			left, err = p.predicate(left)
			continue
		}
		return left, nil
	}
	return nil, err
}

func (p *parser) order(left *node, at token) (*node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	right, err := p.unary()
	if err != nil {
		return nil, err
	}
	if !left.canBeOrdered() || !right.canBeOrdered() {
		return nil, p.errorAt(at, "%s compares numbers and properties only", at)
	}
	n := node{op: less, left: left, right: right}
	if at.text == ">" || at.text == "<=" {
		n.op = greater
	}
	n.negated = len(at.text) == 2
	return p.finish(at, n)
}

// predicate is what may follow an operand with NOT before it.
func (p *parser) predicate(left *node) (*node, error) {
	negated, err := p.accept("NOT")
	if err != nil {
		return nil, err
	}
	at := p.token
	n := node{negated: negated, left: left}
	switch {
	case at.is("BETWEEN"):
		return p.between(n, at)
	case at.is("IN"):
		return p.in(n, at)
	case at.is("CONTAINS"):
		n.op = contains
	case at.is("STARTSWITH"):
		n.op = startsWith
	case at.is("ENDSWITH"):
		n.op = endsWith
	default:
		return nil, p.errorAt(at, "expected BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH after NOT, found %s", at)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	part, err := p.text(at.text)
	if err != nil {
		return nil, err
	}
	n.texts = []string{part}
	return p.finish(at, n)
}

func (p *parser) between(n node, at token) (*node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	low, err := p.unary()
	if err != nil {
		return nil, err
	}
	if err := p.expect("AND"); err != nil {
		return nil, err
	}
	high, err := p.unary()
	if err != nil {
		return nil, err
	}
	if !n.left.canBeOrdered() || !low.canBeOrdered() || !high.canBeOrdered() {
		return nil, p.errorAt(at, "BETWEEN compares numbers and properties only")
	}
	if !n.negated && low.op == literal && high.op == literal {
		if order, _ := low.constant.compare(high.constant); order > 0 {
			return nil, p.errorAt(at, "BETWEEN expects the lower number first")
		}
	}
	n.op, n.terms = between, []*node{low, high}
	return p.finish(at, n)
}

func (p *parser) in(n node, at token) (*node, error) {
	if n.left.op != property {
		return nil, p.errorAt(at, "what stands before IN must be a property")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	n.op = in
	for {
		member, err := p.text("IN")
		if err != nil {
			return nil, err
		}
		n.texts = append(n.texts, member)
		if more, err := p.accept(","); err != nil {
			return nil, err
		} else if !more {
			break
		}
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	return p.finish(at, n)
}

func (p *parser) text(word string) (string, error) {
	t := p.token
	if t.kind != stringLiteral {
		return "", p.errorAt(t, "%s expects a text in single quotes, found %s", word, t)
	}
	return unquote(t.text), p.advance()
}

func unquote(quoted string) string {
	return strings.ReplaceAll(quoted[1:len(quoted)-1], "''", "'")
}

func (p *parser) unary() (*node, error) {
	at := p.token
	if p.depth++; p.depth > maxDepth {
		return nil, p.tooDeep(at)
	}
	defer func() { p.depth-- }()
	if !at.is("+") && !at.is("-") && !at.is("NOT") {
		return p.primary()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	operand, err := p.unary()
	if err != nil || at.text == "+" {
		return operand, err
	}
	if at.text == "-" {
		return p.finish(at, node{op: negation, left: operand})
	}
	if !operand.canBeTruth() {
		return nil, p.errorAt(at, "what follows NOT is neither true nor false")
	}
	return p.finish(at, node{op: not, left: operand})
}

func (p *parser) primary() (*node, error) {
	n := &node{op: literal}
	switch t := p.token; {
	case t.is("("):
		if err := p.advance(); err != nil {
			return nil, err
		}
		inner, err := p.or()
		if err != nil {
			return nil, err
		}
		return inner, p.expect(")")
	case t.kind == identifier:
		n.op, n.name = property, t.text
	case t.kind == stringLiteral:
		n.constant = value{kind: text, text: unquote(t.text)}
	case t.kind == integerLiteral, t.kind == decimalLiteral:
		number, ok := numberOf(t)
		if !ok {
			return nil, p.errorAt(t, "the number %s is too large or too small", t)
		}
		n.constant = number
	case t.is("TRUE"), t.is("FALSE"):
		n.constant = truthOf(t.text == "TRUE")
	case !t.is("NULL"):
		return nil, p.errorAt(t, "expected a value, a property or a bracket, found %s", t)
	}
	return n, p.advance()
}

// numberOf makes an integer of 32 bits where it fits, since the kind decides which properties convert.
func numberOf(t token) (value, bool) {
	if t.kind == integerLiteral {
		whole, err := strconv.ParseInt(strings.TrimRight(t.text, "lL"), 10, 64)
		if whole <= math.MaxInt32 {
			return value{kind: integer32, whole: whole}, err == nil
		}
		return value{kind: integer64, whole: whole}, err == nil
	}
	real, err := strconv.ParseFloat(t.text, 64)
	digits, _, _ := strings.Cut(strings.ToLower(t.text), "e")
	vanished := real == 0 && strings.ContainsAny(digits, "123456789")
	return value{kind: decimal, real: real}, err == nil && !vanished
}
