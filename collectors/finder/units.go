package finder

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParseUnits reads 1-32,100 in that order; without text it gives none.
func ParseUnits(text string) ([]byte, error) {
	var units []byte
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" && strings.TrimSpace(text) == "" {
			return nil, nil
		}
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(strings.TrimSpace(from), 10, 8)
		last, err2 := strconv.ParseUint(strings.TrimSpace(to), 10, 8)
		if err != nil || err2 != nil || first > last {
			return nil, fmt.Errorf("%q is no unit from 0 to 255, nor a range of them such as 1-32", part)
		}
		for unit := first; unit <= last; unit++ {
			if !slices.Contains(units, byte(unit)) {
				units = append(units, byte(unit))
			}
		}
	}
	return units, nil
}

// likelyUnits are the units that devices have as delivered, or get when somebody numbers them by hand.
const likelyUnits = 32

// Share gives those of the units that a part of a search asks for: what is chosen all at once, without
// a choice the numbers from 1 to 32 first and then those to 247.
func Share(chosen []byte, part int) []byte {
	if len(chosen) > 0 {
		if part > 0 {
			return nil
		}
		return chosen
	}
	first, last := 1, likelyUnits
	if part > 0 {
		first, last = likelyUnits+1, 247
	}
	var units []byte
	for unit := first; unit <= last; unit++ {
		units = append(units, byte(unit))
	}
	return units
}
