package dlt645sim

import (
	"math"
	"time"
)

// State is what a simulated meter measures at one moment, in the units of the wire.
type State struct {
	Energy      uint64    // forward active, hundredths of a kWh
	Reverse     uint64    // reverse active, hundredths of a kWh
	Power       int64     // active, ten-thousandths of a kW
	Reactive    int64     // ten-thousandths of a kvar
	Voltage     [3]uint64 // tenths of a volt
	Current     [3]int64  // thousandths of an ampere
	Factor      int64     // thousandths
	Frequency   uint64    // hundredths of a hertz
	Temperature int64     // tenths of a degree Celsius
}

// epoch is when the meters were installed.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	meanPower = 18.0  // kW
	swing     = 6.0   // kW
	period    = 120.0 // s
)

// StateAt gives what every simulated meter measures at t. It follows from t alone, so a restarted
// simulator goes on where it would have been and a test can tell what to expect; the energy is the
// integral of the power.
func StateAt(t time.Time) State {
	seconds := t.Sub(epoch).Seconds()
	angle := 2 * math.Pi * math.Mod(seconds, period) / period
	power := meanPower + swing*math.Sin(angle)
	energy := (meanPower*seconds + swing*period/(2*math.Pi)*(1-math.Cos(angle))) / 3600
	s := State{
		Energy:      uint64(energy*100) % 100_000_000, // the counter has eight digits
		Reverse:     1234,
		Power:       int64(power * 1e4),
		Reactive:    int64(-2e4 * math.Sin(angle)), // capacitive half of the time
		Factor:      int64(980 + 15*math.Cos(angle)),
		Frequency:   uint64(5000 + 3*math.Sin(3*angle)),
		Temperature: int64(15 - 60*math.Sin(angle/2)), // 1.5 °C and frost
	}
	for phase := range s.Voltage {
		shift := angle + float64(phase)*2*math.Pi/3
		s.Voltage[phase] = uint64(2305 + 40*math.Sin(shift))
		s.Current[phase] = int64(1000 * power / 3 * 1000 / 230.5)
	}
	return s
}

// data gives the bytes behind an identifier of the edition of 2007, low byte first.
func (s State) data(id uint32, meter [6]byte, t time.Time) ([]byte, bool) {
	switch id {
	case 0x00000000:
		return signed(int64(s.Energy)-int64(s.Reverse), 4), true
	case 0x00010000:
		return bcd(s.Energy, 4), true
	case 0x00020000:
		return bcd(s.Reverse, 4), true
	case 0x02010100, 0x02010200, 0x02010300:
		return bcd(s.Voltage[phase(id)], 2), true
	case 0x02020100, 0x02020200, 0x02020300:
		return signed(s.Current[phase(id)], 3), true
	case 0x02030000:
		return signed(s.Power, 3), true
	case 0x02040000:
		return signed(s.Reactive, 3), true
	case 0x02060000:
		return signed(s.Factor, 2), true
	case 0x02800002:
		return bcd(s.Frequency, 2), true
	case 0x02800007:
		return signed(s.Temperature, 2), true
	case 0x04000101:
		return bcd(uint64(t.Year()%100)*1_000_000+uint64(t.Month())*10_000+uint64(t.Day())*100+uint64(t.Weekday()), 4), true
	case 0x04000102:
		return bcd(uint64(t.Hour())*10_000+uint64(t.Minute())*100+uint64(t.Second()), 3), true
	case 0x04000401, 0x04000402:
		return meter[:], true
	case 0x04000404:
		return []byte{0, 0, 'V', '0', '2', '2'}, true // text is sent from its end
	}
	return nil, false
}

func phase(id uint32) int { return int(id>>8&0xFF) - 1 }

// data1997 is data for the edition of 1997, where voltages are whole and nothing has a sign.
func (s State) data1997(id uint16, meter [6]byte, t time.Time) ([]byte, bool) {
	switch id {
	case 0xC010:
		return s.data(0x04000101, meter, t)
	case 0xC011:
		return s.data(0x04000102, meter, t)
	case 0x9010:
		return bcd(s.Energy, 4), true
	case 0x9020:
		return bcd(s.Reverse, 4), true
	case 0xB611, 0xB612, 0xB613:
		return bcd(s.Voltage[id&0xF-1]/10, 2), true
	case 0xB630:
		return bcd(uint64(s.Power), 3), true
	case 0xC032:
		return meter[:], true
	}
	return nil, false
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

// signed is bcd with the sign in the top bit.
func signed(v int64, n int) []byte {
	if v >= 0 {
		return bcd(uint64(v), n)
	}
	b := bcd(uint64(-v), n)
	b[n-1] |= 0x80
	return b
}
