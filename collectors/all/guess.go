package all

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"sluice/collectors/finder"
	"sluice/collectors/mbus"
	"sluice/collectors/modbus"
	"sluice/collectors/profiles"
)

// guess is one of a profile.
func guess(profile string, score float64, why string) finder.Guess {
	g := finder.Guess{Profile: profile, Title: profile, Score: score, Why: why}
	if p, err := profiles.Open(profile); err == nil {
		g.Title = p.Title()
		if interval, ok := p.Defaults["interval"].(string); ok {
			g.Interval = interval
		}
	}
	return g
}

func guessesOf(likely []modbus.Likeness) (list []finder.Guess) {
	for _, l := range likely {
		list = append(list, guess(l.Model, l.Score, l.Why))
	}
	return list
}

// modbusModels are what the profiles of Modbus devices say that tells them apart.
var modbusModels = sync.OnceValue(func() (models []modbus.Model) {
	for _, name := range profiles.Names() {
		p, err := profiles.Open(name)
		if err != nil || p.Driver != "modbus" {
			continue // a test opens them all
		}
		models = append(models, modbusModel(p))
	}
	return models
})

func modbusModel(p *profiles.Profile) modbus.Model {
	m := modbus.Model{Name: p.Name, Maker: p.Maker, Products: append(products(p.Model), p.Tells.Names...)}
	for at, digits := range p.Tells.Registers {
		t := modbus.Tell{Exactly: strings.ToLower(strings.ReplaceAll(digits, " ", ""))}
		t.Point = modbus.Point{Name: "mark", Type: "raw", Length: len(t.Exactly) / 2}
		if t.Point.Address.UnmarshalText([]byte(at)) == nil {
			m.Tells = append(m.Tells, t)
		}
	}
	for _, each := range p.Points {
		point, ok := pointOf(each)
		if !ok {
			continue
		}
		if t, telling := tellOf(p.Kind, point); telling {
			m.Tells = append(m.Tells, t)
		} else {
			m.Others = append(m.Others, point)
		}
	}
	return m
}

// products are the words of a model that are names of products: they have letters and digits.
func products(model string) (names []string) {
	separates := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' }
	for _, word := range strings.FieldsFunc(model, separates) {
		if len(word) >= 4 && strings.ContainsFunc(word, unicode.IsDigit) && strings.ContainsFunc(word, unicode.IsLetter) {
			names = append(names, word)
		}
	}
	return names
}

// scopes are what a quantity can be where a profile promises it: by the beginning of the point's name
// and its unit. Drives make frequencies and voltages of their own, so that only meters and inverters
// are known by those of the mains.
var scopes = []struct {
	kinds      []string
	name, unit string
	low, high  float64
	idle       bool
}{
	{[]string{"power-meter"}, "frequency", "Hz", 45, 65, false},
	{[]string{"inverter"}, "frequency", "Hz", 45, 65, true},
	{[]string{"power-meter", "inverter"}, "voltage_l12", "V", 140, 530, true},
	{[]string{"power-meter", "inverter"}, "voltage_l23", "V", 140, 530, true},
	{[]string{"power-meter", "inverter"}, "voltage_l31", "V", 140, 530, true},
	{[]string{"power-meter", "inverter"}, "voltage_l", "V", 80, 300, true},
	{[]string{"power-meter", "inverter"}, "voltage", "V", 80, 530, true},
	{[]string{"power-meter"}, "power_factor", "", -1, 1, true},
	{[]string{"power-meter"}, "current", "A", -5000, 5000, true},
	{[]string{"sensor"}, "temperature", "°C", -40, 85, true},
	{[]string{"sensor"}, "humidity", "%", 1, 100, true},
}

func tellOf(kind string, p modbus.Point) (modbus.Tell, bool) {
	for _, s := range scopes {
		if slices.Contains(s.kinds, kind) && strings.HasPrefix(p.Name, s.name) && p.Unit == s.unit {
			return modbus.Tell{Point: p, Low: s.low, High: s.high, Idle: s.idle}, true
		}
	}
	return modbus.Tell{}, false
}

// pointOf takes of a point what its place and its number depend on.
func pointOf(keys map[string]any) (modbus.Point, bool) {
	p := modbus.Point{
		Name: text(keys["name"]), Unit: text(keys["unit"]), Type: modbus.Type(text(keys["type"])), Order: modbus.Order(text(keys["order"])),
		Scale: number(keys["scale"]), Offset: number(keys["offset"]), Length: int(number(keys["length"])),
	}
	return p, p.Address.UnmarshalText([]byte(text(keys["address"]))) == nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// number is whatever the YAML library makes of one.
func number(v any) float64 {
	switch n := v.(type) {
	case float64:
		return n
	case uint64:
		return float64(n)
	case int64:
		return float64(n)
	}
	return 0
}

// phaseGuess tells the two profiles of DL/T 645 apart.
func phaseGuess(phases int) []finder.Guess {
	switch phases {
	case 1:
		return []finder.Guess{guess("dlt645-2007-single-phase", 0.9, "it speaks DL/T 645-2007 and has no voltage of a second phase")}
	case 3:
		return []finder.Guess{guess("dlt645-2007-three-phase", 0.9, "it speaks DL/T 645-2007 and gives the voltage of a second phase")}
	}
	return nil
}

func typeGuess(kind byte) []finder.Guess {
	switch {
	case kind >= 0x10 && kind <= 0x13:
		return []finder.Guess{guess("cjt188-water", 0.9, fmt.Sprintf("its type byte %02X is that of a water meter", kind))}
	case kind >= 0x20 && kind <= 0x21:
		return []finder.Guess{guess("cjt188-heat", 0.9, fmt.Sprintf("its type byte %02X is that of a heat meter", kind))}
	}
	return nil
}

func cjt188Points(kind byte) []string {
	if kind >= 0x40 && kind <= 0x49 {
		return []string{"{name: energy}"}
	}
	return []string{"{name: volume}"}
}

// mbusModel is what the golden answer of a profile says of its meter.
type mbusModel struct {
	profile string
	header  mbus.Header
	records []string
}

var mbusModels = sync.OnceValue(func() (models []mbusModel) {
	for _, name := range profiles.Names() {
		p, err := profiles.Open(name)
		if err != nil || p.Driver != "mbus" || len(p.Golden.Answers) == 0 {
			continue
		}
		if t, ok := telegramOf(p.Golden.Answers[0]); ok {
			models = append(models, mbusModel{name, t.Header, mbus.Names(t.Records)})
		}
	}
	return models
})

func telegramOf(digits string) (mbus.Telegram, bool) {
	raw, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		return mbus.Telegram{}, false
	}
	frame, err := mbus.Decode(raw)
	if err != nil {
		return mbus.Telegram{}, false
	}
	t, err := mbus.DecodeTelegram(frame.Info, frame.Data)
	return t, err == nil
}

// mbusGuess compares with the real meters that the profiles were made from: the maker and the medium
// must be the same, and every record that theirs had must be there. The version makes it certain.
func mbusGuess(f mbus.Found) (list []finder.Guess) {
	frame, err := mbus.Decode(f.Heard)
	if err != nil {
		return nil
	}
	t, err := mbus.DecodeTelegram(frame.Info, frame.Data)
	if err != nil || !t.Header.Named || t.Header.Fixed {
		return nil
	}
	for _, m := range mbusModels() {
		missing := slices.ContainsFunc(m.records, func(r string) bool { return !slices.Contains(f.Records, r) })
		if missing || m.header.Maker != t.Header.Maker || m.header.Medium != t.Header.Medium {
			continue
		}
		parts := strings.Split(f.Identity, ".")
		why := fmt.Sprintf("maker %s, the same medium and all %d records of that model", parts[min(1, len(parts)-1)], len(m.records))
		if m.header.Version != t.Header.Version {
			list = append(list, guess(m.profile, 0.7, why+", but version "+fmt.Sprint(t.Header.Version)+" and not "+fmt.Sprint(m.header.Version)))
			continue
		}
		list = append(list, guess(m.profile, 0.95, why+fmt.Sprintf(", version %d", t.Header.Version)))
	}
	slices.SortStableFunc(list, func(a, b finder.Guess) int { return int(100*b.Score) - int(100*a.Score) })
	return list
}

// The points of a device that no profile is known for.
const maxPoints = 40

func recordPoints(records []string) (points []string) {
	for _, r := range records[:min(len(records), maxPoints)] {
		points = append(points, fmt.Sprintf("{name: %q, record: %q}", pointName(r), r))
	}
	if len(points) == 0 {
		points = []string{`{name: first, record: "#0"}`}
	}
	return points
}

func smlPoints(codes []string) (points []string) {
	for _, c := range codes[:min(len(codes), maxPoints)] {
		points = append(points, fmt.Sprintf("{name: %q, code: %q}", c, c))
	}
	return points
}

// pointName makes a name of what a meter calls a record.
func pointName(record string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch r {
		case '"':
			return -1
		case '[', ']', ',', '=', '.', ' ':
			return '_'
		}
		return r
	}, record), "_")
}
