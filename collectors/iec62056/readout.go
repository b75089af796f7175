package iec62056

import (
	"bytes"
	"fmt"
	"strings"
)

const (
	maxItems  = 4096
	maxValues = 256 // of one item; a list of power failures has dozens
)

// Item is one register of a readout with what stands in its parentheses.
type Item struct {
	Code   Code
	Values []string
}

// ParseReadout takes the lines of a data message up to its exclamation mark, which may be missing in
// the answer to a single register. A value that stands without a code belongs to the code before.
func ParseReadout(data []byte) ([]Item, error) {
	var items []Item
	for {
		data = bytes.TrimLeft(data, "\r\n ")
		if len(data) == 0 {
			return items, nil
		}
		if data[0] == '!' {
			if rest := bytes.TrimLeft(data[1:], "\r\n"); len(rest) > 0 {
				return nil, fmt.Errorf("%w: %d characters after the end of the readout", errDamaged, len(rest))
			}
			return items, nil
		}
		code, value, rest, err := dataSet(data)
		if err != nil {
			return nil, err
		}
		data = rest
		if items, err = appendValue(items, code, value); err != nil {
			return nil, err
		}
	}
}

// dataSet takes code(value) or (value) off the front of b.
func dataSet(b []byte) (code, value string, rest []byte, err error) {
	open := bytes.IndexByte(b, '(')
	if open < 0 {
		return "", "", nil, fmt.Errorf("%w: %q has no value in parentheses", errDamaged, clip(b))
	}
	end := bytes.IndexByte(b[open:], ')')
	if end < 0 {
		return "", "", nil, fmt.Errorf("%w: the parenthesis after %q is not closed", errDamaged, clip(b[:open]))
	}
	inside := b[open+1 : open+end]
	for _, c := range inside {
		if c == '(' || c < 0x20 || c > 0x7E {
			return "", "", nil, fmt.Errorf("%w: %q holds a character %02X", errDamaged, clip(inside), c)
		}
	}
	return string(b[:open]), string(inside), b[open+end+1:], nil
}

func appendValue(items []Item, code, value string) ([]Item, error) {
	if code == "" {
		if len(items) == 0 {
			items = append(items, Item{}) // the answer to one register need not repeat its code
		}
		last := &items[len(items)-1]
		if len(last.Values) == maxValues {
			return nil, fmt.Errorf("%w: more than %d values of %s", errDamaged, maxValues, last.Code)
		}
		last.Values = append(last.Values, value)
		return items, nil
	}
	c, err := parseCode(code)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if len(items) == maxItems {
		return nil, fmt.Errorf("%w: more than %d registers", errDamaged, maxItems)
	}
	return append(items, Item{Code: c, Values: []string{value}}), nil
}

func clip(b []byte) string {
	if len(b) > 32 {
		return string(b[:32]) + "…"
	}
	return string(b)
}

// find gives the item that the point's code asks for. Two that it fits equally well are refused
// rather than one of them guessed, unless they say the same.
func find(items []Item, code Code) (Item, error) {
	var found *Item
	for i := range items {
		switch it := &items[i]; {
		case !code.asks(it.Code):
		case found == nil:
			found = it
		case strings.Join(found.Values, ")(") != strings.Join(it.Values, ")("):
			return Item{}, fmt.Errorf("the meter sent both %s and %s with different values: write the whole code", found.Code, it.Code)
		}
	}
	if found == nil {
		return Item{}, missing(items, code)
	}
	return *found, nil
}

func missing(items []Item, code Code) error {
	var near []string
	for _, it := range items {
		if code.resembles(it.Code) && len(near) < 4 {
			near = append(near, it.Code.String())
		}
	}
	if len(near) == 0 {
		return fmt.Errorf("the meter's readout of %d registers has no %s", len(items), code)
	}
	return fmt.Errorf("the meter's readout of %d registers has no %s, but %s", len(items), code, strings.Join(near, ", "))
}
