package all

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/cjt188"
	"sluice/collectors/dlt645"
	"sluice/collectors/finder"
	"sluice/collectors/iec62056"
	"sluice/collectors/mbus"
	"sluice/collectors/modbus"
	"sluice/collectors/sml"
)

// Protocols are the ways in which devices are looked for: a driver that can find its devices has a
// line here. What comes first is asked first where nothing else says what is likelier.
func Protocols() []*finder.Protocol {
	return []*finder.Protocol{
		{Name: "modbus-rtu", Title: "Modbus RTU", Usual: characters("none", 9600, "even", 9600, "even", 19200, "none", 19200, "none", 4800, "none", 2400, "none", 38400, "none", 115200, "none", 57600),
			Line: true, Network: true, LineScheme: "rtu", NetworkScheme: "rtu+tcp", Interval: "10s", Patience: modbusPatience, Questions: modbusQuestions, Ask: askModbus("modbus-rtu")},
		{Name: "dlt645", Title: "DL/T 645", Usual: characters("even", 2400, "even", 9600, "even", 1200, "even", 4800, "none", 9600),
			Line: true, LineScheme: "bus", NetworkScheme: "tcp", Interval: "15s", Patience: meterPatience, Questions: once(3), Ask: askDLT645},
		{Name: "cjt188", Title: "CJ/T 188", Usual: characters("even", 2400, "even", 9600, "none", 9600, "even", 4800, "even", 1200),
			Line: true, LineScheme: "bus", NetworkScheme: "tcp", Interval: "15m", Patience: meterPatience, Questions: once(6), Ask: askCJT188},
		{Name: "mbus", Title: "M-Bus", Usual: characters("even", 2400, "even", 300, "even", 9600), Fixed: true, Own: true,
			Line: true, LineScheme: "bus", NetworkScheme: "tcp", Interval: "15m", Patience: mbusPatience, Questions: mbusQuestions, Ask: askMBus()},
		{Name: "modbus-ascii", Title: "Modbus ASCII", Usual: append([]bus.Character{{Baud: 9600, DataBits: 7, Parity: "even", StopBits: 1}}, characters("none", 9600, "none", 19200)...),
			Line: true, LineScheme: "ascii", NetworkScheme: "ascii+tcp", Interval: "10s", Patience: modbusPatience, Questions: modbusQuestions, Ask: askModbus("modbus-ascii")},
		{Name: "iec62056", Title: "IEC 62056-21", Usual: []bus.Character{{Baud: 300, DataBits: 7, Parity: "even", StopBits: 1}, {Baud: 9600, DataBits: 7, Parity: "even", StopBits: 1}}, Fixed: true, Own: true, Slow: true,
			Line: true, LineScheme: "bus", NetworkScheme: "tcp", Interval: "1m", Patience: 4 * time.Second, Questions: once(1), Ask: askIEC62056},
		{Name: "sml", Title: "SML", Usual: characters("none", 9600), Fixed: true, Own: true, Slow: true,
			Line: true, LineScheme: "bus", NetworkScheme: "tcp", Interval: "10s", Patience: smlWait, Questions: once(1), Ask: askSML},
		{Name: "modbus-tcp", Title: "Modbus TCP", Network: true, NetworkScheme: "tcp", Interval: "1s", Patience: modbusPatience, Questions: modbusQuestions, Ask: askModbus("modbus-tcp")},
	}
}

// How long a question without an answer takes, with the silence around it.
const (
	modbusPatience = 320 * time.Millisecond
	meterPatience  = 550 * time.Millisecond
	mbusPatience   = 350 * time.Millisecond
	smlWait        = 5 * time.Second
)

// characters are settings of eight data bits and one stop bit, given as parity and rate in turn.
func characters(pairs ...any) (list []bus.Character) {
	for i := 0; i+1 < len(pairs); i += 2 {
		parity, isParity := pairs[i].(string)
		baud, isBaud := pairs[i+1].(int)
		if !isParity || !isBaud {
			panic("bug: settings of a line are parity and rate in turn")
		}
		list = append(list, bus.Character{Baud: baud, DataBits: 8, Parity: parity, StopBits: 1})
	}
	return list
}

// once is for searches without a second part.
func once(questions int) func(*finder.Query) int {
	return func(q *finder.Query) int {
		if q.Part > 0 {
			return 0
		}
		return questions
	}
}

func modbusQuestions(q *finder.Query) int { return len(finder.Share(q.Units, q.Part)) }

func askModbus(protocol string) func(context.Context, *finder.Query) error {
	return func(ctx context.Context, q *finder.Query) error {
		search := modbus.Search{
			Protocol: protocol, Units: finder.Share(q.Units, q.Part), Timeout: q.Timeout, Character: q.Character, First: q.First,
			Progress: func(unit byte, done, all int) { q.Asked(done, all, fmt.Sprintf("unit %d", unit)) },
		}
		search.Found = func(f modbus.Found) { q.Found(modbusAnswer(ctx, q, search, f)) }
		_, err := modbus.Find(ctx, q.Line, search)
		return err
	}
}

// modbusAnswer looks closer at a unit that answered.
func modbusAnswer(ctx context.Context, q *finder.Query, search modbus.Search, f modbus.Found) finder.Answer {
	unit := strconv.Itoa(int(f.Unit))
	a := finder.Answer{
		Unit: unit, Text: f.Answer, Raw: f.Raw, Driver: "modbus", Keys: []finder.Key{{Name: "unit", Value: unit}},
		Points: []string{`{name: holding_0, address: "holding:0", type: uint16}`},
	}
	// Whatever goes wrong from here on, the unit has been found.
	seen, err := modbus.Recognise(ctx, q.Line, search, f.Unit, modbusModels())
	if err == nil {
		a.Guesses = guessesOf(seen.Likely)
	}
	if seen.Calls != "" {
		a.Text += "; it calls itself " + seen.Calls
	}
	return a
}

func askDLT645(ctx context.Context, q *finder.Query) error {
	search := dlt645.Search{Timeout: q.Timeout, Character: q.Character, Progress: func(asked, of int) { q.Asked(asked, max(of, 3), "") }}
	search.Found = func(f dlt645.Found) {
		a := finder.Answer{
			Unit: f.Meter.String(), Text: "electricity meter " + f.Meter.String(), Raw: f.Raw, Driver: "dlt645",
			Keys: []finder.Key{{Name: "meter", Value: strconv.Quote(f.Meter.String())}}, Points: []string{`{name: energy_import, id: "00010000", unit: kWh}`},
		}
		if f.Edition == dlt645.Edition1997 {
			a.Text += ", edition of 1997"
			a.Driver, a.Points = "dlt645-1997", []string{`{name: energy_import, id: "9010", unit: kWh}`}
		} else if phases, err := dlt645.Phases(ctx, q.Line, search, f.Meter); err == nil {
			a.Guesses = phaseGuess(phases)
		}
		q.Found(a)
	}
	_, err := dlt645.Find(ctx, q.Line, search)
	return err
}

func askCJT188(ctx context.Context, q *finder.Query) error {
	_, err := cjt188.Find(ctx, q.Line, cjt188.Search{
		Timeout: q.Timeout, Character: q.Character,
		Progress: func(asked, of int) { q.Asked(asked, of, "") },
		Found: func(f cjt188.Found) {
			q.Found(finder.Answer{
				Unit: f.Meter.String(), Text: fmt.Sprintf("meter %s, type %02X: %s", f.Meter, f.Type, f.Name), Raw: f.Raw, Driver: "cjt188",
				Keys: []finder.Key{
					{Name: "meter", Value: strconv.Quote(f.Meter.String())}, {Name: "type", Value: fmt.Sprintf(`"0x%02X"`, f.Type)},
				},
				Points: cjt188Points(f.Type), Guesses: typeGuess(f.Type),
			})
		},
	})
	return err
}

// mbusNumbers are those that a meter may have on the line; asked for last, since meters that can be
// found by their identities are found sooner.
const mbusNumbers = 251

func mbusQuestions(q *finder.Query) int {
	if q.Part > 0 {
		return mbusNumbers
	}
	return 1
}

// askMBus looks for meters by their identities and then by their numbers, and tells of one that can be
// had by both only once.
func askMBus() func(context.Context, *finder.Query) error {
	var mu sync.Mutex // guards known: networks are asked at many addresses at once
	known := map[string]bool{}
	news := func(q *finder.Query, f mbus.Found) bool {
		if f.Identity == "" {
			return true
		}
		mu.Lock()
		defer mu.Unlock()
		key := q.Line.Port().Name() + " " + f.Identity
		was := known[key]
		known[key] = true
		return !was
	}
	return func(ctx context.Context, q *finder.Query) error {
		all := mbusQuestions(q)
		search := mbus.Search{
			Identities: q.Part == 0, Numbers: q.Part > 0, Timeout: q.Timeout,
			Progress: func(asked int, what string) { q.Asked(asked-1, max(all, asked), what) },
			Found: func(f mbus.Found) {
				if news(q, f) {
					q.Found(mbusAnswer(f))
				}
			},
		}
		if q.Character != nil {
			search.Baud = q.Character.Baud
		}
		_, err := mbus.Find(ctx, q.Line, search)
		return err
	}
}

func mbusAnswer(f mbus.Found) finder.Answer {
	a := finder.Answer{Unit: f.Address, Text: f.Problem, Raw: f.Heard, Problem: f.Problem != "", Driver: "mbus"}
	if a.Problem {
		return a
	}
	a.Text = "meter"
	if f.Identity != "" {
		a.Text += " " + f.Identity
	}
	if f.Medium != "" {
		a.Text += ", " + f.Medium
	}
	if f.Number >= 0 {
		a.Text += ", number " + strconv.Itoa(f.Number)
	}
	a.Text += fmt.Sprintf(", %d records", len(f.Records))
	a.Keys = []finder.Key{{Name: "meter", Value: strconv.Quote(f.Address)}}
	a.Points, a.Guesses = recordPoints(f.Records), mbusGuess(f)
	return a
}

func askIEC62056(ctx context.Context, q *finder.Query) error {
	rate := 300
	if q.Character != nil {
		rate = q.Character.Baud
	}
	q.Asked(0, 1, "sign-on")
	found, err := iec62056.Find(ctx, q.Line, "", rate)
	for _, f := range found {
		text := f.Identification.String()
		keys := []finder.Key(nil)
		if f.Parity != "port" {
			keys = append(keys, finder.Key{Name: "parity", Value: f.Parity})
		}
		q.Found(finder.Answer{
			Unit: f.Identification.Maker, Text: fmt.Sprintf("meter %s, mode %s", text, f.Mode), Raw: f.Raw, Driver: "iec62056", Keys: keys,
			Points: []string{`{name: energy_import, code: "1.8.0"}`},
		})
	}
	return err
}

func askSML(ctx context.Context, q *finder.Query) error {
	var rates []int
	if q.Character != nil {
		rates = []int{q.Character.Baud}
	}
	q.Asked(0, 1, "listening")
	found, err := sml.Find(ctx, q.Line, smlWait, rates...)
	for _, f := range found {
		a := finder.Answer{Unit: f.Server, Text: fmt.Sprintf("meter %s sends %d values unasked", f.Server, len(f.Codes)), Raw: f.Raw, Driver: "sml"}
		if f.Server != "" {
			a.Keys = []finder.Key{{Name: "server", Value: strconv.Quote(f.Server)}}
		}
		a.Points = smlPoints(f.Codes)
		q.Found(a)
	}
	if errors.Is(err, bus.ErrNoise) {
		return nil
	}
	return err
}
