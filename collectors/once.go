package collectors

import (
	"context"
	"errors"
	"fmt"

	"sluice/gateway/message"
)

// RawReader is a Device that can show what its values were made of.
type RawReader interface {
	// ReadRaw is Read, and gives for each point, in the order of Points, the registers that it lies in as
	// they came from the wire: four hex digits each, bits as 0 and 1, with spaces between. Of a point that
	// could not be read it gives nothing. The caller may keep raw.
	ReadRaw(ctx context.Context, r *message.Reading) (raw []string, err error)
}

// Sample is a point as a single poll gave it.
type Sample struct {
	Point
	Raw string // what the value was made of, where the driver can tell
}

// errHeard refuses a report that was only listened to: the device keeps it for who will store it.
var errHeard = errors.New("the device is only being tried out; nothing keeps its report")

// Once asks a device a single time and computes what is derived from its points. Nothing is numbered,
// published or kept. A Reporter is listened to until it has told something, which is not confirmed to it,
// so that it will tell it again.
func Once(ctx context.Context, d Device, derived []Derived) ([]Sample, error) {
	var r message.Reading
	var raw []string
	var err error
	if reporter, ok := d.(Reporter); ok {
		err = hear(ctx, reporter, &r)
	} else if reader, ok := d.(RawReader); ok {
		raw, err = reader.ReadRaw(ctx, &r)
	} else {
		err = d.Read(ctx, &r)
	}
	if err != nil {
		return nil, err
	}
	units := make(map[string]string)
	for _, p := range d.Points() {
		units[p.Name] = p.Unit
	}
	nameFaults(r.Points)
	samples := make([]Sample, 0, len(r.Points)+len(derived))
	known := make(map[string]*message.Point, len(r.Points)+len(derived))
	for i := range r.Points {
		p := &r.Points[i]
		known[p.Name] = p
		s := Sample{Point: Point{Name: p.Name, Unit: units[p.Name], Value: p.Value, Error: p.Error}}
		if raw != nil {
			s.Raw = raw[i]
		}
		samples = append(samples, s)
	}
	for i := range derived {
		p := derive(&derived[i], known)
		known[p.Name] = &p
		samples = append(samples, Sample{Point: Point{Name: p.Name, Unit: derived[i].Unit, Value: p.Value, Error: p.Error}})
	}
	return samples, nil
}

// hear waits for the first report.
func hear(ctx context.Context, reporter Reporter, r *message.Reading) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	heard := false
	err := reporter.Report(ctx, func(_ context.Context, told *message.Reading) error {
		if !heard {
			heard = true
			r.Time = told.Time
			r.Points = append(r.Points[:0], told.Points...)
			stop()
		}
		return errHeard
	})
	switch {
	case heard:
		return nil
	case err == nil:
		return errNothingToHear
	}
	return err
}

// derive computes one point from those that are known.
func derive(d *Derived, known map[string]*message.Point) message.Point {
	p := message.Point{Name: d.Name}
	inputs := make([]message.Value, len(d.Inputs))
	var missing error
	for i, name := range d.Inputs {
		from := known[name]
		switch {
		case from == nil:
			missing = errors.Join(missing, fmt.Errorf("%s: there is no such point", name))
		case from.Error != "":
			missing = errors.Join(missing, fmt.Errorf("%s: %s", name, from.Error))
		default:
			inputs[i] = from.Value
		}
	}
	value, err := d.Compute(inputs)
	switch {
	case err != nil && missing != nil:
		p.Error = missing.Error()
	case err != nil:
		p.Error = err.Error()
	default:
		p.Value = value
	}
	only := []message.Point{p}
	nameFaults(only)
	return only[0]
}
