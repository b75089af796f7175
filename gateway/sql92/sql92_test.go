package sql92

import (
	"strings"
	"testing"
)

func TestAnErrorSaysWhatIsWrongAndWhere(t *testing.T) {
	for _, c := range []struct{ expression, want string }{
		{"", "column 1: expected a value, a property or a bracket, found the end"},
		{"a =", "column 4: expected a value, a property or a bracket, found the end"},
		{"a = 'x' AND", "column 12: expected a value, a property or a bracket, found the end"},
		{"1 + 1", "column 1: the expression is neither true nor false"},
		{"a > 'x'", "column 3: > compares numbers and properties only"},
		{"a = NULL", "column 3: = does not compare with NULL: write IS NULL or IS NOT NULL"},
		{"TRUE = 1", "column 6: TRUE and FALSE compare with TRUE and FALSE only"},
		{"a BETWEEN 5 AND 1", "column 3: BETWEEN expects the lower number first"},
		{"a BETWEEN 'x' AND 1", "column 3: BETWEEN compares numbers and properties only"},
		{"a BETWEEN 1 OR 2", "column 13: expected AND, found OR"},
		{"a IN ('x', 2)", "column 12: IN expects a text in single quotes, found 2"},
		{"'x' IN ('x')", "column 5: what stands before IN must be a property"},
		{"a CONTAINS b", "column 12: CONTAINS expects a text in single quotes, found b"},
		{"a NOT 5", "column 7: expected BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH after NOT, found 5"},
		{"a IS 5", "column 6: expected NULL, found 5"},
		{"(a = 1", "column 7: expected ), found the end"},
		{"1 AND a = 1", "column 1: what stands before AND is neither true nor false"},
		{"a = 1 OR 'x'", "column 10: what follows OR is neither true nor false"},
		{"NOT 1", "column 1: what follows NOT is neither true nor false"},
		{"a = 9223372036854775808", "column 5: the number 9223372036854775808 is too large or too small"},
		{"a = 1e-400", "column 5: the number 1e-400 is too large or too small"},
		{"a = 'é' AND b = 'x", "column 17: the text that begins here has no closing quote"},
		{"a = \"é\"", `column 5: "\"" has no meaning here`},
		{"größe > 1", `column 3: "ö" has no meaning here`},
		{strings.Repeat("(", 201) + "a = 1" + strings.Repeat(")", 201), "column 201: the expression nests deeper than 200 levels"},
		{strings.Repeat("NOT ", 300) + "a", "column 801: the expression nests deeper than 200 levels"},
		{"a" + strings.Repeat(" IS NULL", 300), "column 1603: the expression nests deeper than 200 levels"},
		{strings.Repeat("a", MaxLength+1), "an expression has at most 65536 bytes, this one 65537"},
	} {
		e, err := Parse(c.expression)
		if err == nil || err.Error() != c.want {
			t.Errorf("%.60q gives %v, %v, want %q", c.expression, e, err, c.want)
		}
	}
}

func TestWhatIsIgnoredCanBeSeen(t *testing.T) {
	for expression, want := range map[string]string{
		"a = 1":                "",
		"a = 1 -- note\n":      "",
		"a LIKE 'x%'":          "LIKE 'x%'",
		"a = 1 + 1":            "+ 1",
		"(a = 1)) AND b = 2":   ") AND b = 2",
		"a = 1 -- no line end": "-- no line end",
	} {
		e, err := Parse(expression)
		if err != nil {
			t.Errorf("%q: %v", expression, err)
		} else if got := e.Ignored(); got != want {
			t.Errorf("%q ignores %q, want %q", expression, got, want)
		}
	}
}

func TestALongListIsNotDeep(t *testing.T) {
	expression := strings.Repeat("a = 1 AND ", 2000) + "a = 1 OR " + strings.Repeat("a = 2 OR ", 2000) + "b IN ('x'" + strings.Repeat(", 'y'", 4000) + ")"
	if got := verdict(expression, map[string]string{"a": "1"}); got != "T" {
		t.Errorf("a chain of 4,000 terms gives %s, want T", got)
	}
	if got := verdict(expression, map[string]string{"a": "3", "b": "y"}); got != "T" {
		t.Errorf("the last term of a chain gives %s, want T", got)
	}
}

// reading is how the gateway's own messages look to a filter.
var reading = map[string]string{"device": "press", "temperature": "21.5", "counter": "7", "TAGS": "press", "state": "running"}

const (
	typical   = "device IN ('lathe', 'press') AND temperature > 20.0 AND NOT (state STARTSWITH 'off') AND counter BETWEEN 1 AND 100"
	failing   = "state > 5"
	undecided = "pressure > 20.5 OR humidity < 3"
)

func TestMatchAllocatesNothing(t *testing.T) {
	for expression, want := range map[string]bool{typical: true, failing: false, undecided: false, "NOT (" + typical + ")": false} {
		e, err := Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		got, asked := false, 0
		allocs := testing.AllocsPerRun(100, func() {
			got = e.Match(func(name string) (string, bool) {
				asked++
				v, known := reading[name]
				return v, known
			})
		})
		if allocs != 0 || got != want || asked == 0 {
			t.Errorf("%q: %v allocations, match %v (%d questions), want 0 and %v", expression, allocs, got, asked, want)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	e, err := Parse(typical)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !e.Match(func(name string) (string, bool) {
			v, known := reading[name]
			return v, known
		}) {
			b.Fatal("the typical reading does not match")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(typical)))
	for b.Loop() {
		if _, err := Parse(typical); err != nil {
			b.Fatal(err)
		}
	}
}
