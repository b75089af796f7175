package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span that is written 200ms, 5s, 1m30s or 720h. Fields of type time.Duration
// are read in the same way.
type Duration time.Duration

// UnmarshalText reads the written form. A number without a unit is refused, except 0.
func (d *Duration) UnmarshalText(text []byte) error {
	span, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration; write for example 200ms, 5s or 1m", clip(string(text)))
	}
	*d = Duration(span)
	return nil
}

// MarshalText gives the written form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String gives the shortest written form: 720h rather than 720h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Size is a number of bytes that is written 4GiB (powers of 1024), 500MB (powers of 1000), or as a
// plain number.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// UnmarshalText reads the written form. 4G and 4M are refused, because people disagree on them.
func (s *Size) UnmarshalText(text []byte) error {
	written := strings.TrimSpace(string(text))
	number, unit := written, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(written, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil && whole >= 0 && whole <= math.MaxInt64/unit {
		*s = Size(whole * unit)
		return nil
	}
	part, err := strconv.ParseFloat(number, 64)
	if err != nil || unit == 1 || !decimal(number) || part*float64(unit) >= math.MaxInt64 {
		return fmt.Errorf("%q is not a size; write for example 4GiB, 16MiB, 500MB or a number of bytes", clip(written))
	}
	*s = Size(math.Round(part * float64(unit)))
	return nil
}

// decimal keeps out the signs, exponents, hexadecimals and words that ParseFloat takes.
func decimal(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.") == ""
}

// MarshalText gives the written form.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String gives the size in the largest unit that loses nothing.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if u.bytes > 1 && s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
