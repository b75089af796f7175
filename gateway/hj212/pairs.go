package hj212

import (
	"fmt"
	"strings"
)

// maxPairs bounds what one message may say, over all its packets.
const maxPairs = 10_000

// Pair is one statement of a data area: w01018-Rtd=23.4 has all three parts, DataTime=… has no Code.
type Pair struct{ Code, Field, Value string }

// Pairs takes a data area apart. All that separates stands below 0x40, where no byte of a GBK
// character but its first can be, and that is above 0x80: text in GBK comes through whole.
func Pairs(data string) ([]Pair, error) {
	var pairs []Pair
	for text := range strings.FieldsFuncSeq(data, func(r rune) bool { return r == ';' || r == ',' }) {
		key, value, ok := strings.Cut(text, "=")
		if !ok || strings.HasPrefix(key, "-") {
			return nil, fmt.Errorf("%.40q in the data is not code-Field=value", text)
		}
		if len(pairs) == maxPairs {
			return nil, fmt.Errorf("the data has more than %d values", maxPairs)
		}
		code, field, coded := strings.Cut(key, "-")
		if !coded {
			code, field = "", key
		}
		pairs = append(pairs, Pair{code, field, value})
	}
	return pairs, nil
}

// AppendPairs appends a data area: commas within a code, semicolons between.
func AppendPairs(b []byte, pairs []Pair) []byte {
	for i, p := range pairs {
		switch {
		case i == 0:
		case p.Code != "" && p.Code == pairs[i-1].Code:
			b = append(b, ',')
		default:
			b = append(b, ';')
		}
		if p.Code != "" {
			b = append(append(b, p.Code...), '-')
		}
		b = append(append(append(b, p.Field...), '='), p.Value...)
	}
	return b
}

// Value gives what a data area says under a key without a code, such as QnRtn.
func Value(pairs []Pair, field string) string {
	for _, p := range pairs {
		if p.Code == "" && p.Field == field {
			return p.Value
		}
	}
	return ""
}
