package mbussim

import (
	"math"
	"time"
)

// State is what a simulated heat meter measures at one moment, in the units of the wire.
type State struct {
	Energy uint64 // kWh
	Volume uint64 // hundredths of a m3
	Power  int64  // W
	Flow   uint64 // l/h
	Supply int64  // tenths of a degree
	Return int64
	Hours  uint64 // in operation
}

// epoch is when the meters were installed.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	meanPower = 12000.0 // W
	swing     = 4000.0  // W
	period    = 300.0   // s
)

// StateAt gives what every simulated heat meter measures at t. It follows from t alone, so a restarted
// simulator goes on where it would have been and a test can tell what to expect; the energy is the
// integral of the power.
func StateAt(t time.Time) State {
	seconds := t.Sub(epoch).Seconds()
	angle := 2 * math.Pi * math.Mod(seconds, period) / period
	power := meanPower + swing*math.Sin(angle)
	joules := meanPower*seconds + swing*period/(2*math.Pi)*(1-math.Cos(angle))
	spread := 20 + 5*math.Cos(angle) // between supply and return, in K
	return State{
		Energy: uint64(joules/3.6e6) % 100_000_000,
		Volume: uint64(joules/(20*4.18e6)*100) % 100_000_000,
		Power:  int64(power),
		Flow:   uint64(power / (spread * 1.163)),
		Supply: int64(10 * (45 + spread)),
		Return: 450,
		Hours:  uint64(seconds/3600) % 10_000,
	}
}

// Records gives the records of a telegram, as a heat meter sends them.
func (s State) Records(t time.Time) []byte {
	var b []byte
	b = append(append(b, 0x0C, 0x06), bcd(s.Energy, 4)...)
	b = append(append(b, 0x0C, 0x14), bcd(s.Volume, 4)...)
	b = append(append(b, 0x0B, 0x2B), bcd(uint64(s.Power), 3)...)
	b = append(append(b, 0x0B, 0x3B), bcd(s.Flow, 3)...)
	b = append(b, 0x02, 0x5A, byte(s.Supply), byte(s.Supply>>8))
	b = append(b, 0x02, 0x5E, byte(s.Return), byte(s.Return>>8))
	b = append(append(b, 0x0A, 0x26), bcd(s.Hours, 2)...)
	b = append(append(b, 0x04, 0x6D), clock(t)...)
	// What the meter kept of the last due date: storage 1.
	b = append(append(b, 0x4C, 0x06), bcd(s.Energy/1000*1000, 4)...)
	return append(append(b, 0x42, 0x6C), clock(epoch)[2:]...)
}

// clock gives date and time as type F.
func clock(t time.Time) []byte {
	year := byte(t.Year() % 100)
	return []byte{byte(t.Minute()), byte(t.Hour()), byte(t.Day()) | year<<5, byte(t.Month()) | year>>3<<4}
}

// bcd gives the last 2n digits of v, two a byte, low byte first.
func bcd(v uint64, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(v%10 | v/10%10<<4)
		v /= 100
	}
	return b
}
