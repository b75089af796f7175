package payload

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"sluice/gateway/message"
)

// What a filter may cost. Beside these the interpreter bounds what one run allocates.
const (
	maxFilterText    = 4 << 10
	maxFilterNodes   = 500
	maxFilterLoops   = 4 // all, any, filter, map and their like
	maxFilterNesting = 2
	filterMemory     = 100_000 // elements that one run may make
)

// filterEnvironment is what an expression sees.
type filterEnvironment struct {
	Reading    bool              `expr:"reading"`
	Topic      string            `expr:"topic"`
	Gateway    string            `expr:"gateway"`
	Device     string            `expr:"device"`
	TS         float64           `expr:"ts"`
	Epoch      int               `expr:"epoch"`
	Seq        int               `expr:"seq"`
	Values     map[string]any    `expr:"values"`
	Errors     map[string]string `expr:"errors"`
	Properties map[string]string `expr:"properties"`
	Payload    string            `expr:"payload"`
}

// filter is a compiled expression, with the parts of a record that it asks for.
type filter struct {
	program *vm.Program
	machine vm.VM
	uses    map[string]bool   // names of the environment
	values  map[string]string // each point that it names, under that name
	any     bool              // it uses values in other ways too: all of them are wanted
}

// compileFilter reads an expression or tells what is wrong with it, and where.
func compileFilter(text string) (*filter, error) {
	if len(text) > maxFilterText {
		return nil, fmt.Errorf("has %d bytes; at most %d are possible", len(text), maxFilterText)
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, plainExprError(err)
	}
	f := &filter{machine: vm.VM{MemoryBudget: filterMemory}, uses: map[string]bool{}, values: map[string]string{}}
	if err := f.look(tree.Node); err != nil {
		return nil, err
	}
	options := []expr.Option{
		expr.Env(filterEnvironment{}), expr.AsBool(), expr.MaxNodes(maxFilterNodes),
		expr.DisableBuiltin("repeat"), expr.DisableBuiltin("now"), // now changes, and a filter must answer alike when it is asked again
	}
	// The types are checked before comparisons are replaced: ordered takes everything.
	if _, err := expr.Compile(text, options...); err != nil {
		return nil, plainExprError(err)
	}
	options = append(options, expr.Function("ordered", ordered, new(func(string, any, any) bool)), expr.Patch(orderings{}))
	if f.program, err = expr.Compile(text, options...); err != nil {
		return nil, plainExprError(err)
	}
	return f, nil
}

// look notes what an expression uses, and refuses what could make it long: variables, with which a
// text doubles thirty times over, and loops within loops.
func (f *filter) look(node ast.Node) error {
	seen := &survey{filter: f}
	ast.Walk(&node, seen)
	f.any = seen.mentions > seen.named || f.uses["$env"]
	switch {
	case seen.variables:
		return errors.New("let is not possible in a filter")
	case seen.loops > maxFilterLoops:
		return fmt.Errorf("has %d loops (all, any, filter and their like); at most %d are possible", seen.loops, maxFilterLoops)
	case depth(node) > maxFilterNesting:
		return fmt.Errorf("has loops (all, any, filter and their like) nested more than %d deep", maxFilterNesting)
	}
	return nil
}

type survey struct {
	filter          *filter
	variables       bool
	loops           int
	mentions, named int // of values, and how many of these name a point
}

// Visit implements ast.Visitor.
func (s *survey) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.VariableDeclaratorNode:
		s.variables = true
	case *ast.PredicateNode:
		s.loops++
	case *ast.IdentifierNode:
		s.filter.uses[n.Value] = true
		if n.Value == "values" {
			s.mentions++
		}
	case *ast.MemberNode:
		of, ok := n.Node.(*ast.IdentifierNode)
		name, ok2 := n.Property.(*ast.StringNode)
		if ok && ok2 && of.Value == "values" {
			s.filter.values[name.Value] = name.Value
			s.named++
		}
	}
}

// depth tells how deep loops are nested below node.
func depth(node ast.Node) int {
	deepest := 0
	for inner := range loopsBelow(node) {
		deepest = max(deepest, 1+depth(inner.Node))
	}
	return deepest
}

// loopsBelow finds every loop below node, in whatever depth.
func loopsBelow(node ast.Node) map[*ast.PredicateNode]bool {
	found := loopCollector{}
	ast.Walk(&node, found)
	return found
}

type loopCollector map[*ast.PredicateNode]bool

// Visit implements ast.Visitor.
func (c loopCollector) Visit(node *ast.Node) {
	if n, ok := (*node).(*ast.PredicateNode); ok {
		c[n] = true
	}
}

// orderings replaces < and its like by a function that knows of points without a value.
type orderings struct{}

// Visit implements ast.Visitor.
func (orderings) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BinaryNode)
	if !ok {
		return
	}
	switch n.Operator {
	case "<", "<=", ">", ">=":
		ast.Patch(node, &ast.CallNode{
			Callee:    &ast.IdentifierNode{Value: "ordered"},
			Arguments: []ast.Node{&ast.StringNode{Value: n.Operator}, n.Left, n.Right},
		})
	}
}

// ordered compares. With a missing value nothing is true, as in SQL.
func ordered(params ...any) (any, error) {
	a, b := params[1], params[2]
	if a == nil || b == nil {
		return false, nil
	}
	c, err := compare(a, b)
	if err != nil {
		return nil, err
	}
	switch params[0] {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

// wants says whether the message goes up. A filter that fails because the reading has no value for a
// point that it names says no; any other failure is an error.
func (f *filter) wants(r *message.Record, in *reading) (bool, error) {
	env := f.environment(r, in)
	result, err := f.machine.Run(f.program, env)
	if err == nil {
		return result.(bool), nil // expr.AsBool made sure of it
	}
	for name := range f.values {
		if _, there := env.Values[name]; !there {
			return false, nil
		}
	}
	return false, fmt.Errorf("the filter failed: %w", plainExprError(err))
}

// environment converts no more than the expression asks for.
func (f *filter) environment(r *message.Record, in *reading) filterEnvironment {
	env := filterEnvironment{
		Reading: in.known, Topic: r.Topic, TS: float64(whole(in.ts)),
		Epoch: small(in.epoch), Seq: small(in.seq),
	}
	if f.uses["gateway"] {
		env.Gateway = text(in.gateway)
	}
	if f.uses["device"] {
		env.Device = text(in.device)
	}
	if f.uses["payload"] {
		env.Payload = string(r.Payload)
	}
	if f.uses["properties"] {
		env.Properties = propertiesOf(r)
	}
	all := f.uses["$env"]
	if all {
		env.Gateway, env.Device, env.Payload, env.Properties = text(in.gateway), text(in.device), string(r.Payload), propertiesOf(r)
	}
	if all || f.uses["values"] {
		env.Values = f.valuesOf(in)
	}
	if all || f.uses["errors"] {
		env.Errors = map[string]string{}
		for i := range in.points {
			if p := &in.points[i]; p.value == nil {
				env.Errors[text(p.name)] = text(p.problem)
			}
		}
	}
	return env
}

func (f *filter) valuesOf(in *reading) map[string]any {
	values := make(map[string]any, len(f.values))
	for i := range in.points {
		p := &in.points[i]
		if p.value == nil {
			continue
		}
		name, wanted := f.values[string(p.name[1:len(p.name)-1])] // without an allocation
		if !wanted && (f.any || !plain(p.name)) {
			name = text(p.name)
			_, wanted = f.values[name]
		}
		if wanted || f.any {
			values[name] = exprValue(p.value)
		}
	}
	return values
}

// small fits a count into an int of 31 bits, where int has no more.
func small(raw []byte) int { return int(whole(raw) & int64(^uint(0)>>1)) }

// plainExprError gives what expr says as one line with its place.
func plainExprError(err error) error {
	said, ok := errors.AsType[*file.Error](err)
	if !ok {
		return errors.New(strings.SplitN(err.Error(), "\n", 2)[0])
	}
	return fmt.Errorf("line %d, column %d: %s", said.Line, said.Column+1, said.Message)
}
