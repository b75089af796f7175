package simulated

import (
	"fmt"
	"math"
	"time"

	"sluice/collectors"
)

// Options is what a device of this kind says in the configuration.
type Options struct {
	Points []PointOptions `yaml:"points" required:"true" unique:"name" doc:"what the device shows"`
}

// PointOptions is one value and how it moves.
type PointOptions struct {
	Name     string        `yaml:"name" required:"true" doc:"the name of the value in readings"`
	Wave     string        `yaml:"wave" default:"sine" doc:"how the value moves between min and max: sine; ramp, which falls back to min; square, half of the time each; random, another value each period; counter, which grows by one each period and begins again above max" enum:"sine,ramp,square,random,counter"`
	Period   time.Duration `yaml:"period" default:"1m" doc:"how long one turn takes; of a counter and of random, how long a value stays" min:"10ms" max:"24h"`
	Min      float64       `yaml:"min" doc:"the lowest value"`
	Max      *float64      `yaml:"max" doc:"the highest value; when missing 100 above min, of a counter 4294967295"`
	Type     string        `yaml:"type" default:"float" doc:"what the value is; bool is true in the upper half" enum:"float,int,bool"`
	Decimals *int          `yaml:"decimals" doc:"digits behind the point of a float; when missing 2" min:"0" max:"9"`
	Unit     string        `yaml:"unit" doc:"unit of measure, for people"`
	Access   string        `yaml:"access" doc:"r, or rw for what commands may write; what was written stays in place of the wave" enum:"r,rw"`

	collectors.Policy `yaml:",inline"`
}

// Endpoint is where the device is: nowhere else.
func (o *Options) Endpoint() string { return "simulated" }

// mostCounted is where a counter without max begins again, as one of 32 bits does.
const mostCounted = math.MaxUint32

const (
	defaultSpan     = 100
	defaultDecimals = 2
)

// largest keeps whole numbers exact.
const largest = 1 << 53

// Validate reports what cannot work, each with its place below the device.
func (o *Options) Validate(report func(path, problem string)) {
	for i := range o.Points {
		p := &o.Points[i]
		at := fmt.Sprintf("points[%d]", i)
		p.ValidateFor(p.Type != "bool", func(key, problem string) { report(at+"."+key, problem) })
		switch low, high := p.bounds(); {
		case math.IsNaN(low) || math.Abs(low) > largest:
			report(at+".min", "must be between -9007199254740992 and 9007199254740992")
		case math.IsNaN(high) || math.Abs(high) > largest:
			report(at+".max", "must be between -9007199254740992 and 9007199254740992")
		case high < low:
			report(at+".max", fmt.Sprintf("%v is below min, which is %v", high, low))
		}
		if p.Wave == "counter" && p.Type == "bool" {
			report(at+".type", "a counter is a number")
		}
	}
}

func (p *PointOptions) bounds() (low, high float64) {
	switch {
	case p.Max != nil:
		return p.Min, *p.Max
	case p.Wave == "counter":
		return p.Min, max(p.Min, mostCounted)
	}
	return p.Min, p.Min + defaultSpan
}
