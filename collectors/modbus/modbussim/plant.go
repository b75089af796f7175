package modbussim

import (
	"context"
	"encoding/binary"
	"math"
	"time"
)

// Plant moves the values of the demonstration's press, the same for the same counter, so that
// whoever sees a counter knows what else the reading must say. In the holding registers:
//
//	0   counter      uint32             3   (of temperature)
//	2   temperature  float32, ABCD      12  ratio     float64
//	4   pressure     float32, CDAB      16  label     16 characters
//	6   level        int16              100 setpoint  uint16, left to whoever writes it
//	7   bit 2        running
//	8   total        int64
type Plant struct {
	Server *Server
	Every  time.Duration // between two steps; 100 ms when 0

	counter uint32
}

// PlantValues is what a Plant shows at one count.
type PlantValues struct {
	Counter     uint32
	Temperature float32
	Pressure    float32
	Level       int16
	Running     bool
	Total       int64
	Ratio       float64
	Label       string
}

const (
	plantLabel    = "PRESS-7 LINE-3"
	plantSetpoint = 40
)

// ValuesAt gives what a Plant shows when its counter stands at n.
func ValuesAt(n uint32) PlantValues {
	phase := float64(n%600) / 600 * 2 * math.Pi
	return PlantValues{
		Counter:     n,
		Temperature: float32(math.Round(215+35*math.Sin(phase)) / 10),
		Pressure:    float32(math.Round(400+25*math.Cos(3*phase)) / 100),
		Level:       int16(n%2000) - 1000,
		Running:     n/100%4 != 3,
		Total:       5_000_000_000 + 3*int64(n),
		Ratio:       float64(n%1000) / 1000,
		Label:       plantLabel,
	}
}

// Run moves the values until ctx ends.
func (p *Plant) Run(ctx context.Context) error {
	every := p.Every
	if every <= 0 {
		every = 100 * time.Millisecond
	}
	p.Server.Set(Holdings, 100, plantSetpoint)
	p.show()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			p.Step()
		}
	}
}

// Step counts one further.
func (p *Plant) Step() {
	p.counter++
	p.show()
}

// show stores all registers at once, so that no request sees half a step.
func (p *Plant) show() {
	v := ValuesAt(p.counter)
	b := make([]byte, 0, 48)
	b = binary.BigEndian.AppendUint32(b, v.Counter)
	b = binary.BigEndian.AppendUint32(b, math.Float32bits(v.Temperature))
	pressure := math.Float32bits(v.Pressure)
	b = binary.BigEndian.AppendUint32(b, pressure<<16|pressure>>16)
	b = binary.BigEndian.AppendUint16(b, uint16(v.Level))
	flags := uint16(0)
	if v.Running {
		flags = 1 << 2
	}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(v.Total))
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.Ratio))
	b = append(b, v.Label...)
	b = append(b, make([]byte, 48-len(b))...)
	words := make([]uint16, len(b)/2)
	for i := range words {
		words[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	p.Server.Set(Holdings, 0, words...)
}

// Set lets the counter stand at n.
func (p *Plant) Set(n uint32) {
	p.counter = n
	p.show()
}
