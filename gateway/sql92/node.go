package sql92

import "strings"

type operation byte

const (
	literal    operation = iota // constant
	property                    // name
	negation                    // - left
	not                         // NOT left
	and                         // all of terms
	or                          // one of terms
	equal                       // left = right
	isNull                      // left IS NULL
	less                        // left < right
	greater                     // left > right
	between                     // low <= left <= high, where terms are low and high
	in                          // left IN texts
	contains                    // left CONTAINS texts[0]
	startsWith                  // left STARTSWITH texts[0]
	endsWith                    // left ENDSWITH texts[0]
)

// node is one operation with its operands. One struct for all keeps evaluation free of interfaces, and
// with them of allocations. Chains of AND and OR are one node, so that the depth is that of the brackets.
type node struct {
	op          operation
	negated     bool // NOT IN, NOT BETWEEN, <>; >= is NOT <
	depth       int
	constant    value
	name        string
	left, right *node
	terms       []*node
	texts       []string
}

// canBeTruth says whether n may stand where true or false is expected: a property may.
func (n *node) canBeTruth() bool { return n.op == property || n.isTruth() }

// isTruth says whether n gives true, false or unknown and nothing else.
func (n *node) isTruth() bool {
	if n.op == literal {
		return n.constant.kind == boolean || n.constant.kind == missing
	}
	return n.op != property && n.op != negation
}

func (n *node) alwaysNull() bool { return n.op == literal && n.constant.kind == missing }

// canBeOrdered says whether n may stand beside < or BETWEEN.
func (n *node) canBeOrdered() bool {
	return !n.isTruth() && (n.op != literal || n.constant.kind != text)
}

// truth is the value of n where true or false is expected: a property that is there is false, whatever
// it says.
func (n *node) truth(of func(string) (string, bool)) value {
	v := n.eval(of)
	if v.kind != missing && v.kind != failed && v.kind != boolean {
		return falsehood
	}
	return v
}

func (n *node) eval(of func(string) (string, bool)) value {
	switch n.op {
	case literal:
		return n.constant
	case property:
		if v, known := of(n.name); known {
			return value{kind: text, text: v}
		}
		return value{}
	case negation:
		return n.left.eval(of).negative()
	case not:
		return n.left.truth(of).not()
	case and:
		return n.decide(of, false)
	case or:
		return n.decide(of, true)
	case isNull:
		v := n.left.eval(of)
		if v.kind == failed {
			return v
		}
		return truthOf((v.kind == missing) != n.negated)
	case between:
		return n.evalBetween(of)
	case in:
		return n.evalIn(of)
	case contains, startsWith, endsWith:
		return n.evalPart(of)
	}
	return n.evalComparison(of)
}

func (n *node) evalComparison(of func(string) (string, bool)) value {
	left := n.left.eval(of)
	if left.kind == missing && n.op != equal {
		return left // whether or not the right side fails
	}
	right := n.right.eval(of)
	if left.kind == failed || right.kind == failed {
		return failure
	}
	var v value
	if n.op == equal {
		v = left.equal(right)
	} else {
		v = left.ordered(n.op, right)
	}
	if n.negated {
		return v.not()
	}
	return v
}

// decide takes the terms from left to right until one is what decides: false for AND, true for OR. One
// that fails before ends it too.
func (n *node) decide(of func(string) (string, bool), deciding bool) value {
	result := truthOf(!deciding)
	for _, term := range n.terms {
		switch v := term.truth(of); {
		case v.kind == failed || v.kind == boolean && v.truth == deciding:
			return v
		case v.kind == missing:
			result = v
		}
	}
	return result
}

// evalBetween is left >= low AND left <= high, or left < low OR left > high. The left side is evaluated
// once, else nested ones would take time exponential in their depth.
func (n *node) evalBetween(of func(string) (string, bool)) value {
	left, outside := n.left.eval(of), falsehood
	if left.kind == missing || left.kind == failed {
		return left
	}
	for i, bound := range n.terms {
		limit := bound.eval(of)
		if limit.kind == failed {
			return failure
		}
		beyond := less
		if i == 1 {
			beyond = greater
		}
		switch v := left.ordered(beyond, limit); {
		case v.kind == failed:
			return v
		case v.kind == boolean && v.truth:
			return truthOf(n.negated)
		case v.kind == missing:
			outside = v
		}
	}
	if n.negated {
		return outside
	}
	return outside.not()
}

func (n *node) evalIn(of func(string) (string, bool)) value {
	v := n.left.eval(of)
	if v.kind != text {
		return v // missing: its operand is a property
	}
	for _, t := range n.texts {
		if t == v.text {
			return truthOf(!n.negated)
		}
	}
	return truthOf(n.negated)
}

// evalPart is CONTAINS and its like: false for whatever is no text, negated or not, and never true of
// the empty text.
func (n *node) evalPart(of func(string) (string, bool)) value {
	v, part := n.left.eval(of), n.texts[0]
	if v.kind == failed {
		return v
	}
	if v.kind != text || part == "" {
		return falsehood
	}
	var has bool
	switch n.op {
	case contains:
		has = strings.Contains(v.text, part)
	case startsWith:
		has = strings.HasPrefix(v.text, part)
	default:
		has = strings.HasSuffix(v.text, part)
	}
	return truthOf(has != n.negated)
}
