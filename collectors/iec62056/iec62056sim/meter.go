package iec62056sim

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// State is what a simulated meter measures at one moment.
type State struct {
	Energy   float64    // forward active, kWh
	Tariff   [2]float64 // of it, in the two tariffs
	Reverse  float64    // kWh
	Power    float64    // kW, negative when delivered
	Voltage  [3]float64 // V
	Current  [3]float64 // A
	Gas      float64    // m3, on the meter behind a DSMR meter
	Stored   float64    // forward active at the end of last month, kWh
	Demand   float64    // highest of the month, kW
	Failures int
}

// epoch is when the meters were installed.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// StateAt gives what every simulated meter measures at t. It follows from t alone, so a restarted
// simulator goes on where it would have been and a test can tell what to expect. Everything is
// rounded to what the meter shows.
func StateAt(t time.Time) State {
	seconds := t.Sub(epoch).Seconds()
	angle := 2 * math.Pi * math.Mod(seconds, 180) / 180
	power := 2.4 + 3.6*math.Sin(angle)
	energy := round(2.4*seconds/3600, 3)
	s := State{
		Energy: energy, Tariff: [2]float64{round(energy*0.6, 3), 0}, Reverse: 12.34, Power: round(power, 3),
		Gas: round(seconds/36000, 3), Stored: round(energy*0.9, 3), Demand: 7.125, Failures: 4,
	}
	s.Tariff[1] = round(energy-s.Tariff[0], 3)
	for phase := range s.Voltage {
		s.Voltage[phase] = round(231+4*math.Sin(angle+float64(phase)*2*math.Pi/3), 1)
		s.Current[phase] = round(math.Abs(power)*1000/3/230, 2)
	}
	return s
}

func round(f float64, places int) float64 {
	scale := math.Pow10(places)
	return math.Round(f*scale) / scale
}

// Serial is the number of every simulated meter.
const Serial = "12345678"

// register is one line of a readout.
type register struct{ code, values string }

// registers are what a meter of modes a to d tells at t.
func registers(t time.Time) []register {
	s := StateAt(t)
	return []register{
		{"F.F", "(00000000)"},
		{"0.0.0", "(" + Serial + ")"},
		{"0.9.1", t.Format("(150405)")},
		{"0.9.2", t.Format("(060102)")},
		{"1.8.0", fmt.Sprintf("(%010.3f*kWh)", s.Energy)},
		{"1.8.1", fmt.Sprintf("(%010.3f*kWh)", s.Tariff[0])},
		{"1.8.2", fmt.Sprintf("(%010.3f*kWh)", s.Tariff[1])},
		{"1.8.0*01", fmt.Sprintf("(%010.3f*kWh)", s.Stored)},
		{"2.8.0", fmt.Sprintf("(%010.3f*kWh)", s.Reverse)},
		{"1.6.0", fmt.Sprintf("(%07.3f*kW)%s", s.Demand, t.Format("(0601020000)"))},
		{"16.7.0", fmt.Sprintf("(%+08.3f*kW)", s.Power)},
		{"32.7.0", fmt.Sprintf("(%05.1f*V)", s.Voltage[0])},
		{"52.7.0", fmt.Sprintf("(%05.1f*V)", s.Voltage[1])},
		{"72.7.0", fmt.Sprintf("(%05.1f*V)", s.Voltage[2])},
		{"31.7.0", fmt.Sprintf("(%06.2f*A)", s.Current[0])},
		{"C.7.0", fmt.Sprintf("(%04d)", s.Failures)},
		{"C.8.0", "()"},
	}
}

// readout gives the lines of all registers. A full meter spells the codes out.
func (o *Options) readout(t time.Time) string {
	var b strings.Builder
	for _, r := range o.registers(t) {
		b.WriteString(r.code + r.values + "\r\n")
	}
	return b.String() + "!\r\n"
}

func (o *Options) registers(t time.Time) []register {
	all := registers(t)
	for code, values := range o.Registers {
		all = append(all, register{code, values})
	}
	if o.Full {
		for i, r := range all {
			if strings.Count(r.code, ".") == 2 && !strings.Contains(r.code, "*") && r.code[0] <= '9' {
				all[i].code = "1-0:" + r.code + "*255"
			}
		}
	}
	return all
}

// push is what a DSMR meter of version 5 sends every second.
func (o *Options) push(t time.Time) []byte {
	s := StateAt(t)
	drawn, delivered := max(s.Power, 0), max(-s.Power, 0)
	body := o.identification() + "\r\n" +
		"1-3:0.2.8(50)\r\n" +
		t.Format("0-0:1.0.0(060102150405W)\r\n") +
		"0-0:96.1.1(4530303038303030303335383536323139)\r\n" +
		fmt.Sprintf("1-0:1.8.1(%010.3f*kWh)\r\n", s.Tariff[0]) +
		fmt.Sprintf("1-0:1.8.2(%010.3f*kWh)\r\n", s.Tariff[1]) +
		fmt.Sprintf("1-0:2.8.1(%010.3f*kWh)\r\n", s.Reverse) +
		"0-0:96.14.0(0002)\r\n" +
		fmt.Sprintf("1-0:1.7.0(%06.3f*kW)\r\n", drawn) +
		fmt.Sprintf("1-0:2.7.0(%06.3f*kW)\r\n", delivered) +
		fmt.Sprintf("0-0:96.7.21(%05d)\r\n", s.Failures) +
		"1-0:99.97.0(1)(0-0:96.7.19)(260101120000W)(0000000240*s)\r\n" +
		"0-0:96.13.0()\r\n" +
		fmt.Sprintf("1-0:32.7.0(%05.1f*V)\r\n", s.Voltage[0]) +
		"0-1:24.1.0(003)\r\n" +
		fmt.Sprintf("0-1:24.2.1%s(%09.3f*m3)\r\n", t.Format("(060102150000W)"), s.Gas) +
		"!"
	return telegram(body)
}
