package mbus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/gateway/message"
)

// Selector says which record of an answer a point is:
//
//	energy                        the value now, of all tariffs
//	power.max                     the maximum; .min, .error likewise
//	volume[storage=1]             what the meter kept; tariff=2 and subunit=1 likewise
//	energy[backward,tariff=1]     with the words that narrow the quantity, in any order
//	voltage[n=2]                  the second of several that are alike in all of this
//	"%RH"                         the meter's own word
//	#12                           the record with that number, counted from 0
//	header.status                 what the meter says of itself
//
// Names lists the records of a meter in this form.
type Selector struct {
	text   string
	kind   selectorKind
	index  int    // byIndex
	nth    int    // byName: 1 is the first; 0: there must be one only
	name   string // byName: all but nth in one fixed form; ofHeader: the field
	unit   string // byName: the usual one, if it is known
	words  bool   // byName: the value is a text
	parsed bool
}

type selectorKind byte

const (
	byName selectorKind = iota
	byIndex
	ofHeader
)

// UnmarshalText refuses what is not in the form of a selector.
func (s *Selector) UnmarshalText(text []byte) error {
	parsed, err := parseSelector(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// String gives the selector as it was written.
func (s Selector) String() string { return s.text }

func parseSelector(text string) (Selector, error) {
	s := Selector{text: text, parsed: true}
	if number, ok := strings.CutPrefix(text, "#"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return Selector{}, fmt.Errorf("%q is not the number of a record, such as #12", text)
		}
		s.kind, s.index = byIndex, int(n)
		return s, nil
	}
	if field, ok := strings.CutPrefix(text, "header."); ok {
		if _, known := headerFields[field]; !known {
			return Selector{}, fmt.Errorf("%q is none of header.status, .access, .id, .manufacturer, .version, .medium, .signature", text)
		}
		s.kind, s.name = ofHeader, field
		return s, nil
	}
	return parseName(s)
}

func parseName(s Selector) (Selector, error) {
	var r Record
	rest := s.text
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		word, _ := strconv.Unquote(quoted) // a quoted prefix can be unquoted
		r.Quantity, rest = strconv.Quote(word), rest[len(quoted):]
	} else {
		end := strings.IndexFunc(rest, func(c rune) bool { return c == '.' || c == '[' })
		if end < 0 {
			end = len(rest)
		}
		r.Quantity, rest = rest[:end], rest[end:]
	}
	if r.Quantity == "" || r.Quantity[0] != '"' && strings.Trim(r.Quantity, letters) != "" {
		return Selector{}, selectorError(s.text)
	}
	for f := Maximum; f <= ErrorState; f++ {
		if after, ok := strings.CutPrefix(rest, f.suffix()); ok {
			r.Function, rest = f, after
			break
		}
	}
	if rest != "" {
		inside, ok := strings.CutPrefix(rest, "[")
		inside, closed := strings.CutSuffix(inside, "]")
		if !ok || !closed {
			return Selector{}, selectorError(s.text)
		}
		for item := range strings.SplitSeq(inside, ",") {
			if !parseItem(strings.TrimSpace(item), &r, &s) {
				return Selector{}, fmt.Errorf("%q: %q is not storage=1, tariff=1, subunit=1, n=2 or a word such as forward", s.text, item)
			}
		}
	}
	s.name, s.unit = r.name(), usualUnit(r.Quantity, r.Modifiers)
	s.words = slices.Contains(notNumbers, r.Quantity)
	return s, nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

func parseItem(item string, r *Record, s *Selector) bool {
	key, value, _ := strings.Cut(item, "=")
	n, err := strconv.ParseUint(value, 10, 42)
	switch key {
	case "storage":
		r.Storage = n
	case "tariff":
		r.Tariff = uint32(n)
		return err == nil && n < 1<<20
	case "subunit":
		r.Subunit = uint32(n)
		return err == nil && n < 1<<10
	case "n":
		s.nth = int(n)
		return err == nil && n > 0 && n < 1000
	default:
		r.Modifiers = append(r.Modifiers, item)
		return key != "" && strings.Trim(item, letters+"-=") == ""
	}
	return err == nil
}

func selectorError(text string) error {
	return fmt.Errorf("%q does not say which record is meant: write for example energy, power.max, volume[storage=1] or #12", text)
}

// name gives all that tells records apart in one fixed form, which is also a selector.
func (r *Record) name() string {
	var items []string
	for key, n := range map[string]uint64{"storage": r.Storage, "tariff": uint64(r.Tariff), "subunit": uint64(r.Subunit)} {
		if n > 0 {
			items = append(items, fmt.Sprintf("%s=%d", key, n))
		}
	}
	items = append(items, r.Modifiers...)
	slices.Sort(items)
	name := r.Quantity + r.Function.suffix()
	if len(items) == 0 {
		return name
	}
	return name + "[" + strings.Join(items, ",") + "]"
}

// Names gives for each record the selector that finds it.
func Names(records []Record) []string {
	names, count := make([]string, len(records)), map[string]int{}
	for i := range records {
		names[i] = records[i].name()
		count[names[i]]++
	}
	seen := map[string]int{}
	for i, name := range names {
		if count[name] == 1 {
			continue
		}
		seen[name]++
		names[i] = numbered(name, seen[name])
	}
	return names
}

func numbered(name string, n int) string {
	if inside, ok := strings.CutSuffix(name, "]"); ok {
		return fmt.Sprintf("%s,n=%d]", inside, n)
	}
	return fmt.Sprintf("%s[n=%d]", name, n)
}

// answer is all that a meter said to one reading.
type answer struct {
	header  Header
	records []Record
	byName  map[string][]int
	missing error // why the answer is not whole
}

// add takes the records of one more telegram.
func (a *answer) add(t Telegram) {
	if a.byName == nil {
		a.header, a.byName = t.Header, map[string][]int{}
	}
	for _, r := range t.Records {
		r.Index = len(a.records)
		name := r.name()
		a.byName[name] = append(a.byName[name], r.Index)
		a.records = append(a.records, r)
	}
}

// find gives the record that s means.
func (a *answer) find(s *Selector) (*Record, error) {
	if s.kind == byIndex {
		if s.index >= len(a.records) {
			return nil, fmt.Errorf("the meter sent %d records, so none has the number %d", len(a.records), s.index)
		}
		return &a.records[s.index], nil
	}
	found := a.byName[s.name]
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("none of the %d records that the meter sent is %s", len(a.records), s.name)
	case s.nth > len(found):
		return nil, fmt.Errorf("the meter sent %d records %s, not %d", len(found), s.name, s.nth)
	case s.nth > 0:
		return &a.records[found[s.nth-1]], nil
	case len(found) > 1:
		return nil, fmt.Errorf("the meter sent %d records %s: say which one, from %s on", len(found), s.name, numbered(s.name, 1))
	}
	return &a.records[found[0]], nil
}

// headerFields are what header. can be followed by.
var headerFields = map[string]func(h *Header) (value message.Value, known bool){
	"status": func(h *Header) (message.Value, bool) { return message.Uint(uint64(h.Status)), true },
	"access": func(h *Header) (message.Value, bool) { return message.Uint(uint64(h.Access)), true },
	"id":     func(h *Header) (message.Value, bool) { return message.Text(fmt.Sprintf("%08X", h.ID)), h.Named },
	"manufacturer": func(h *Header) (message.Value, bool) {
		return message.Text(maker(h.Maker)), h.Named && !h.Fixed
	},
	"version":   func(h *Header) (message.Value, bool) { return message.Uint(uint64(h.Version)), h.Named && !h.Fixed },
	"medium":    func(h *Header) (message.Value, bool) { return message.Text(mediumName(h.Medium)), h.Named },
	"signature": func(h *Header) (message.Value, bool) { return message.Uint(uint64(h.Signature)), !h.Fixed },
}

// usual is the unit in which values of the record are given when the configuration names none; it has
// no name when that is not known before the meter has answered.
func (s *Selector) usual() unit {
	if s.kind != byName {
		return unit{}
	}
	return mustUnit(s.unit)
}

// usualUnits are those of the quantities that always have the same. What a modifier turns into a
// time or a count has none here.
var usualUnits = map[string]string{
	"energy": "kWh", "volume": "m3", "mass": "kg", "power": "kW", "volume_flow": "m3/h", "mass_flow": "kg/h",
	"on_time": "s", "operating_time": "s", "averaging_duration": "s", "actuality_duration": "s",
	"flow_temperature": "°C", "return_temperature": "°C", "external_temperature": "°C", "temperature": "°C", "temperature_limit": "°C",
	"temperature_difference": "K", "pressure": "bar", "voltage": "V", "current": "A", "frequency": "Hz",
	"reactive_energy": "kvarh", "apparent_energy": "kVAh", "reactive_power": "kvar", "apparent_power": "kVA",
	"cumulated_maximum_power": "kW", "relative_humidity": "%", "phase_angle": "°", "phase_angle_voltage": "°",
	"since_readout": "s", "tariff_duration": "s", "transmission_period": "s", "signal_level": "dBm", "baud_rate": "Bd",
	"response_delay": "bit times",
}

// changing are the modifiers that make another kind of value of a quantity.
var changing = []string{"exceeds", "duration", "begin", "end", "start"}

func usualUnit(quantity string, modifiers []string) string {
	for _, word := range modifiers {
		if slices.Contains(changing, word) {
			return ""
		}
	}
	return usualUnits[quantity]
}

// notNumbers are the quantities whose values are texts.
var notNumbers = []string{"date", "datetime", "tariff_start", "battery_change", "manufacturer_data"}

// number says whether the point can be a number.
func (s *Selector) number() bool {
	if s.kind == ofHeader {
		return !slices.Contains([]string{"id", "manufacturer", "medium"}, s.name)
	}
	return !s.words
}
