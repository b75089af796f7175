package gateway

import (
	"fmt"
	"time"

	"sluice/collectors"
	"sluice/collectors/formula"
	"sluice/gateway/config"
	"sluice/gateway/message"
)

// derivedOf makes a device's expressions ready. Each sees the device's points and the derived ones before
// it.
func derivedOf(d config.Device, points []collectors.Spec) (all []collectors.Derived, err error) {
	var names []string
	for _, p := range points {
		names = append(names, p.Name)
	}
	for i, from := range d.Derived {
		program, err := formula.Compile(from.Expression, names)
		if err != nil {
			return nil, &derivedError{i, err}
		}
		all = append(all, collectors.Derived{
			Spec: collectors.Spec{Name: from.Name, Unit: from.Unit, Policy: collectors.Policy{
				Group: from.Group, Report: from.Report, Deadband: from.Deadband, DeadbandPercent: from.DeadbandPercent,
				MaxSilence: time.Duration(from.MaxSilence), MinInterval: time.Duration(from.MinInterval),
			}},
			Inputs: program.Uses(), Compute: computeWith(program),
		})
		names = append(names, from.Name)
	}
	return all, nil
}

// computeWith runs a program on values in the order in which it uses them.
func computeWith(program *formula.Program) func([]message.Value) (message.Value, error) {
	uses := program.Uses()
	values := make(map[string]any, len(uses))
	return func(inputs []message.Value) (message.Value, error) {
		for i, name := range uses {
			values[name] = inputs[i].Any()
		}
		result, err := program.Run(values)
		if err != nil {
			return message.Value{}, err
		}
		switch v := result.(type) {
		case float64:
			return message.Float64(v), nil
		case bool:
			return message.Bool(v), nil
		case string:
			return message.Text(v), nil
		}
		return message.Value{}, fmt.Errorf("the result is a %T", result)
	}
}

// derivedError is a mistake in one expression of a device.
type derivedError struct {
	index int
	err   error
}

func (e *derivedError) Error() string {
	return fmt.Sprintf("derived[%d].expression: %v", e.index, e.err)
}
func (e *derivedError) Unwrap() error { return e.err }
