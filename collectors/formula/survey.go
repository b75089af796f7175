package formula

import (
	"fmt"
	"math"

	"github.com/expr-lang/expr/ast"
)

// survey is what a look at an expression shows.
type survey struct {
	used    map[string]bool
	guarded map[string]bool // the expression says what happens when they have no value
	lets    int
	problem string // the first thing that is not possible
}

func look(node ast.Node) *survey {
	s := &survey{used: map[string]bool{}, guarded: map[string]bool{}}
	ast.Walk(&node, s)
	return s
}

// Visit implements ast.Visitor.
func (s *survey) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		s.used[n.Value] = true
	case *ast.MemberNode:
		if name, ok := environmentName(n); ok {
			s.used[name] = true
		} else if isEnvironment(n.Node) {
			s.refuse(`$env needs a name in quotes, as in $env["phase-a"]`)
		}
	case *ast.BinaryNode:
		s.binary(n)
	case *ast.PredicateNode, *ast.PointerNode:
		s.refuse("loops (all, any, map and their like) are not possible in a formula")
	case *ast.BuiltinNode:
		if !builtins[n.Name] && !ours(n.Name) {
			s.refuse(n.Name + " is not possible in a formula")
		}
	case *ast.VariableDeclaratorNode:
		if s.lets++; s.lets > maxNames {
			s.refuse(fmt.Sprintf("let is possible %d times", maxNames))
		}
	}
}

func (s *survey) refuse(problem string) {
	if s.problem == "" {
		s.problem = problem
	}
}

func (s *survey) binary(n *ast.BinaryNode) {
	switch n.Operator {
	case "..":
		s.refuse("ranges (1..9) are not possible in a formula")
	case "matches":
		if _, fixed := n.Right.(*ast.StringNode); !fixed {
			s.refuse("what matches is given must stand there in quotes")
		}
	case "??":
		s.guard(n.Left)
	case "==", "!=":
		if _, ok := n.Right.(*ast.NilNode); ok {
			s.guard(n.Left)
		}
		if _, ok := n.Left.(*ast.NilNode); ok {
			s.guard(n.Right)
		}
	}
}

func (s *survey) guard(node ast.Node) {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		s.guarded[n.Value] = true
	case *ast.MemberNode:
		if name, ok := environmentName(n); ok {
			s.guarded[name] = true
		}
	case *ast.ChainNode:
		s.guard(n.Node)
	}
}

// environmentName gives NAME of $env["NAME"] and $env.NAME.
func environmentName(n *ast.MemberNode) (string, bool) {
	name, ok := n.Property.(*ast.StringNode)
	if !ok || !isEnvironment(n.Node) {
		return "", false
	}
	return name.Value, true
}

func isEnvironment(node ast.Node) bool {
	of, ok := node.(*ast.IdentifierNode)
	return ok && of.Value == "$env"
}

// decimals makes whole numbers of an expression floating: expr computes integers in 64 bits and lets
// them overflow without a word, floats show it. Places in a list stay whole.
type decimals struct{}

// Visit implements ast.Visitor, from the leaves upwards.
func (decimals) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IntegerNode:
		ast.Patch(node, &ast.FloatNode{Value: float64(n.Value)})
	case *ast.MemberNode:
		whole(&n.Property)
	case *ast.SliceNode:
		whole(&n.From)
		whole(&n.To)
	case *ast.BinaryNode:
		if n.Operator == "%" { // expr's own takes whole numbers alone
			ast.Patch(node, &ast.CallNode{
				Callee:    &ast.IdentifierNode{Value: "mod"},
				Arguments: []ast.Node{n.Left, n.Right},
			})
		}
	}
}

// whole undoes the change for a place in a list: 2 and -1.
func whole(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.FloatNode:
		if n.Value == math.Trunc(n.Value) && math.Abs(n.Value) < 1<<31 {
			ast.Patch(node, &ast.IntegerNode{Value: int(n.Value)})
		}
	case *ast.UnaryNode:
		if n.Operator == "-" {
			whole(&n.Node)
		}
	}
}
