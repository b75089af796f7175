// Package formula computes one value from others by an expression that the configuration holds, such
// as "(supply - return) * flow * 1.163". It hides github.com/expr-lang/expr and bounds what an
// expression may cost: no loops, no growing texts, a limited length.
package formula

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// What an expression may cost. Without loops it does no more steps than it has nodes.
const (
	maxText   = 2 << 10
	maxNodes  = 300
	maxNames  = 8      // that let defines: each can at most double a text
	maxMemory = 10_000 // elements that one run may make
)

// Program is a compiled expression. One goroutine at a time runs it.
type Program struct {
	code    *vm.Program
	machine vm.VM
	uses    []string
	needs   []string // of these, the ones that it cannot do without
}

// MissingError says that a name had no value, so that there is no result.
type MissingError struct{ Name string }

// Error implements error.
func (e *MissingError) Error() string { return e.Name + " has no value" }

// Compile reads an expression over the given names or tells what is wrong with it, and where. A name
// that is no identifier is written $env["phase-a.u"].
func Compile(text string, names []string) (*Program, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("has %d bytes; at most %d are possible", len(text), maxText)
	}
	tree, err := parser.Parse(text)
	if err != nil && strings.Contains(err.Error(), "integer literal") {
		// Whole numbers have the size of the processor's words until decimals makes them floating.
		return nil, fmt.Errorf("%w; write it with a decimal point, as 3000000000.0", plain(err))
	}
	if err != nil {
		return nil, plain(err)
	}
	seen := look(tree.Node)
	if seen.problem != "" {
		return nil, errors.New(seen.problem)
	}
	code, err := expr.Compile(text, options(names)...)
	if err != nil {
		return nil, plain(err)
	}
	p := &Program{code: code, machine: vm.VM{MemoryBudget: maxMemory}}
	for _, name := range names {
		if !seen.used[name] || slices.Contains(p.uses, name) {
			continue
		}
		p.uses = append(p.uses, name)
		if !seen.guarded[name] {
			p.needs = append(p.needs, name)
		}
	}
	return p, nil
}

func options(names []string) []expr.Option {
	env := types.Map{}
	for _, name := range names {
		env[name] = types.Any
	}
	all := []expr.Option{expr.Env(env), expr.AsAny(), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins()}
	for name := range builtins {
		all = append(all, expr.EnableBuiltin(name))
	}
	for _, f := range functions {
		all = append(all, expr.Function(f.name, f.call, f.shape))
	}
	return append(all, expr.Patch(decimals{}))
}

// Uses gives the names that the expression mentions, in the order in which Compile got them.
func (p *Program) Uses() []string { return p.uses }

// Run computes the result: a float64, a bool or a string. In values numbers are float64, too;
// besides, there may be bool, string, []string and []float64. A value that is absent or nil makes
// the result a MissingError, unless the expression compares it with nil or replaces it by ??.
func (p *Program) Run(values map[string]any) (any, error) {
	for _, name := range p.needs {
		if values[name] == nil {
			return nil, &MissingError{name}
		}
	}
	result, err := p.machine.Run(p.code, values)
	if err != nil {
		return nil, plain(err)
	}
	switch v := result.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, errors.New("the result is no finite number, as after a division by zero")
		}
		return v, nil
	case int: // of len and its like
		return float64(v), nil
	case bool, string:
		return v, nil
	case nil:
		return nil, p.nothing(values)
	}
	return nil, fmt.Errorf("the result is a %T, not a number, a text, true or false", result)
}

// nothing says why there is no result: most likely a value that was looked at is absent.
func (p *Program) nothing(values map[string]any) error {
	for _, name := range p.uses {
		if values[name] == nil {
			return &MissingError{name}
		}
	}
	return errors.New("there is no result")
}

// plain gives what expr says as one line with its place.
func plain(err error) error {
	if said, ok := errors.AsType[*file.Error](err); ok {
		return fmt.Errorf("line %d, column %d: %s", said.Line, said.Column+1, strings.SplitN(said.Message, "\n", 2)[0])
	}
	return errors.New(strings.SplitN(err.Error(), "\n", 2)[0])
}
