package simulated

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"sluice/collectors"
	"sluice/gateway/message"
)

// wave is a PointOptions made ready.
type wave struct {
	spec      collectors.Spec
	shape     string
	kind      string
	period    int64 // nanoseconds
	low, high float64
	round     float64 // 10 to the number of decimals
	seed      uint64
	writable  bool
}

func (o *Options) waves() []wave {
	waves := make([]wave, len(o.Points))
	for i := range o.Points {
		p := &o.Points[i]
		low, high := p.bounds()
		decimals := defaultDecimals
		if p.Decimals != nil {
			decimals = *p.Decimals
		}
		name := fnv.New64a()
		name.Write([]byte(p.Name))
		waves[i] = wave{
			spec:  collectors.Spec{Name: p.Name, Unit: p.Unit, Policy: p.Policy},
			shape: p.Wave, kind: p.Type, period: int64(p.Period), low: low, high: high, round: math.Pow10(decimals),
			seed: name.Sum64(), writable: p.Access == "rw",
		}
	}
	return waves
}

// at is the value at a moment. Turns are counted from the year 1970, so that two gateways agree.
func (w *wave) at(now time.Time) message.Value {
	since := now.UnixNano()
	turn, within := since/w.period, since%w.period
	if within < 0 { // a clock before 1970
		turn, within = turn-1, within+w.period
	}
	part, span := float64(within)/float64(w.period), w.high-w.low
	value := w.low
	switch w.shape {
	case "sine":
		value += span * (1 + math.Sin(2*math.Pi*part)) / 2
	case "ramp":
		value += span * part
	case "square":
		if part >= 0.5 {
			value = w.high
		}
	case "random":
		value += span * rand.New(rand.NewPCG(w.seed, uint64(turn))).Float64()
	case "counter":
		if steps := int64(span) + 1; turn >= 0 {
			value += float64(turn % steps)
		}
	}
	return w.typed(value)
}

func (w *wave) typed(value float64) message.Value {
	switch w.kind {
	case "bool":
		return message.Bool(value >= w.low+(w.high-w.low)/2)
	case "int":
		return message.Int(int64(math.Round(value)))
	}
	if w.shape == "counter" {
		return message.Float64(value)
	}
	return message.Float64(math.Round(value*w.round) / w.round)
}

// parse reads a value of a command.
func (w *wave) parse(raw json.RawMessage) (message.Value, error) {
	if w.kind == "bool" {
		var on *bool
		if err := json.Unmarshal(raw, &on); err != nil || on == nil {
			return message.Value{}, errors.New("true or false is wanted")
		}
		return message.Bool(*on), nil
	}
	var number *float64
	if err := json.Unmarshal(raw, &number); err != nil || number == nil {
		return message.Value{}, errors.New("a number is wanted")
	}
	if *number < w.low || *number > w.high {
		return message.Value{}, fmt.Errorf("%v is outside %v to %v", *number, w.low, w.high)
	}
	if w.kind == "int" && *number != math.Trunc(*number) {
		return message.Value{}, errors.New("a whole number is wanted")
	}
	if w.kind == "int" {
		return message.Int(int64(*number)), nil
	}
	return message.Float64(*number), nil
}
