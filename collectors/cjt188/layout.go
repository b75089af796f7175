package cjt188

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/gateway/message"
)

// kind is a kind of meter: what it is called and how the answer to 901F is laid out.
type kind struct {
	name   string
	first  byte // the types first to first+9
	layout []slot
}

// slot is a place in the answer. A slot with a quantity of the first four is four digits bytes and
// one unit byte.
type slot struct {
	item     string
	quantity quantity
	bytes    int
	decimals int
}

func amount(item string, q quantity, decimals int) slot { return slot{item, q, 5, decimals} }

// united says whether the slot has a unit byte.
func (s slot) united() bool { return s.quantity >= energy && s.quantity <= flow }

const (
	clockBytes  = 7
	statusBytes = 2
)

var (
	clockSlot  = slot{item: "clock", bytes: clockBytes}
	statusSlot = slot{item: "status", bytes: statusBytes}
)

// kinds follow CJ/T 188-2004, tables 3 and 5 and annex A.
var kinds = []kind{
	{"water", 0x10, []slot{amount("volume", volume, 2), amount("settlement_volume", volume, 2), clockSlot, statusSlot}},
	{"heat", 0x20, []slot{
		amount("settlement_heat", energy, 2), amount("heat", energy, 2), amount("power", power, 2), amount("flow", flow, 4),
		amount("volume", volume, 2), {"supply_temperature", temperature, 3, 2}, {"return_temperature", temperature, 3, 2},
		{"hours", duration, 3, 0}, clockSlot, statusSlot,
	}},
	{"gas", 0x30, []slot{amount("volume", volume, 2), amount("settlement_volume", volume, 2), clockSlot, statusSlot}},
	{"electricity", 0x40, []slot{amount("energy", energy, 2), amount("settlement_energy", energy, 2), clockSlot, statusSlot}},
}

// class gives the kind of meter that a type byte means, or nil.
func class(t byte) *kind {
	for i := range kinds {
		if t >= kinds[i].first && t <= kinds[i].first+9 {
			return &kinds[i]
		}
	}
	return nil
}

// types are the names that a configuration may give.
var types = map[string]byte{
	"water": 0x10, "cold-water": 0x10, "hot-water": 0x11, "drinking-water": 0x12, "reclaimed-water": 0x13,
	"heat": 0x20, "cooling": 0x21, "gas": 0x30, "electricity": 0x40,
}

// typeName says what kind of meter a type byte is, for people.
func typeName(t byte) string {
	var names []string
	for name, code := range types {
		if code == t && name != "water" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if k := class(t); len(names) == 0 && k != nil {
		return fmt.Sprintf("%s (%02X)", k.name, t)
	}
	return strings.Join(names, " ")
}

// item is what a point reads: a slot, or a part of one.
type item struct {
	name  string
	slot  int // in the layout; -1 for a value of an earlier month, which has an answer of its own
	month int // 1 to 12 months back
	part  part
}

// part is what of a slot is shown.
type part struct {
	kind byte // 0: all of it
	bit  int
}

const (
	valveState = 'v'
	lowBattery = 'b'
	statusBit  = '.'
)

// find gives the item of that name; ok is false when such a meter has none.
func (k *kind) find(name string) (what item, ok bool) {
	at := func(slotName string, p part) (item, bool) {
		i := slices.IndexFunc(k.layout, func(s slot) bool { return s.item == slotName })
		return item{name: name, slot: i, part: p}, i >= 0
	}
	switch name {
	case "valve":
		return at("status", part{kind: valveState})
	case "battery_low":
		return at("status", part{kind: lowBattery})
	}
	if text, ok := strings.CutPrefix(name, "status."); ok {
		bit, err := strconv.Atoi(text)
		if err != nil || bit < 0 || bit > 15 || text != strconv.Itoa(bit) {
			return item{}, false
		}
		return at("status", part{kind: statusBit, bit: bit})
	}
	if text, ok := strings.CutPrefix(name, "history_"); ok {
		month, err := strconv.Atoi(text)
		if err != nil || month < 1 || month > 12 || text != strconv.Itoa(month) || k.first == 0x20 {
			return item{}, false
		}
		return item{name: name, slot: -1, month: month}, true
	}
	return at(name, part{})
}

// items lists what can be read, for people.
func (k *kind) items() string {
	var names []string
	for _, s := range k.layout {
		names = append(names, s.item)
	}
	names = append(names, "status.0 to status.15", "valve", "battery_low")
	if k.first != 0x20 {
		names = append(names, "history_1 to history_12")
	}
	return strings.Join(names, ", ")
}

// slotOf is the slot that an item's value is like.
func (k *kind) slotOf(i item) slot {
	if i.slot < 0 {
		return k.layout[0]
	}
	return k.layout[i.slot]
}

// length is how many bytes the answer to 901F has behind identifier and serial number.
func (k *kind) length() (n int) {
	for _, s := range k.layout {
		n += s.bytes
	}
	return n
}

// offset is where a slot begins.
func (k *kind) offset(slot int) (n int) {
	for _, s := range k.layout[:slot] {
		n += s.bytes
	}
	return n
}

// unitPlace is where a meter has the unit byte: behind the digits, as the standard says, or before
// them.
type unitPlace byte

const (
	placeUnknown unitPlace = iota
	placeAfter
	placeBefore
)

// cut parts a slot's five bytes.
func (p unitPlace) cut(b []byte) (digits []byte, code byte) {
	if p == placeBefore {
		return b[1:], b[0]
	}
	return b[:len(b)-1], b[len(b)-1]
}

var errUnitPlace = errors.New("the meter's unit bytes could stand before or behind the values; say which with unit_position")

// place finds out where the unit bytes are: where most of them make sense. learned decides when the
// answer fits both ways.
func place(slots []slot, data []byte, learned unitPlace) (unitPlace, error) {
	after, before := 0, 0
	for _, s := range slots {
		if s.united() {
			after += fits(placeAfter, s, data[:s.bytes])
			before += fits(placeBefore, s, data[:s.bytes])
		}
		data = data[s.bytes:]
	}
	switch {
	case after > before:
		return placeAfter, nil
	case before > after:
		return placeBefore, nil
	case learned != placeUnknown:
		return learned, nil
	case after == 0:
		return placeUnknown, nil // no unit makes sense either way: every value says so itself
	}
	return placeUnknown, errUnitPlace
}

func fits(p unitPlace, s slot, b []byte) int {
	digits, code := p.cut(b)
	if onWire[code].quantity != s.quantity {
		return 0
	}
	if _, err := decimalOf(digits); err != nil {
		return 0
	}
	return 1
}

// errNotAvailable is what a meter says by filling a field with FF.
var errNotAvailable = errors.New("the meter has no value for this now (it sent only FF)")

// value makes what a slot's bytes mean in the unit that is wanted.
func (s slot) value(b []byte, p unitPlace, decimals int, wanted string, show part) (message.Value, error) {
	switch s.item {
	case "status":
		return statusValue(b, show), nil
	case "clock":
		return clockValue(b)
	}
	from := unit{s.quantity, 1}
	if s.united() {
		var code byte
		b, code = p.cut(b)
		from = onWire[code]
		if !allFF(b) && from.quantity != s.quantity {
			return message.Value{}, fmt.Errorf("the meter sent the unit byte %02X, which is no unit of %s", code, s.item)
		}
	}
	if allFF(b) {
		return message.Value{}, errNotAvailable
	}
	n, err := decimalOf(b)
	if err != nil {
		return message.Value{}, err
	}
	return convert(n, decimals, from, named[wanted]), nil
}

func allFF(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0xFF })
}

// statusValue reads the two status bytes, the low one first: bits 0 and 1 are the valve, bit 2 is
// the battery, what the others mean is the maker's.
func statusValue(b []byte, show part) message.Value {
	word := uint64(b[0]) | uint64(b[1])<<8
	switch show.kind {
	case valveState:
		return message.Text([]string{"open", "closed", "unknown", "faulty"}[word&3])
	case lowBattery:
		return message.Bool(word&4 != 0)
	case statusBit:
		return message.Bool(word>>show.bit&1 != 0)
	}
	return message.Uint(word)
}

func clockValue(b []byte) (message.Value, error) {
	for _, c := range b {
		if c>>4 > 9 || c&0xF > 9 {
			return message.Value{}, fmt.Errorf("the meter sent % X, which is no date and time", b)
		}
	}
	second, minute, hour, day, month := b[0], b[1], b[2], b[3], b[4]
	if second > 0x59 || minute > 0x59 || hour > 0x23 || day < 1 || day > 0x31 || month < 1 || month > 0x12 {
		return message.Value{}, fmt.Errorf("the meter sent % X, which is no date and time", b)
	}
	return message.Text(fmt.Sprintf("%02x%02x-%02x-%02xT%02x:%02x:%02x", b[6], b[5], month, day, hour, minute, second)), nil
}
