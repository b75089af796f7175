package sql92

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

var unescape = strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\r`, "\r", `\\`, `\`)

// verdict is what a golden line begins with: T, F, U(nknown), X (failed) or E (refused).
func verdict(expression string, properties map[string]string) string {
	e, err := Parse(expression)
	if err != nil {
		return "E"
	}
	v := e.root.truth(lookup(properties))
	switch {
	case v.kind == missing:
		return "U"
	case v.kind == failed:
		return "X"
	case v.truth:
		return "T"
	}
	return "F"
}

func lookup(properties map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, known := properties[name]
		return v, known
	}
}

// differences are the cases in which we answer otherwise than Apache RocketMQ, with our verdict. The
// package comment gives the reasons.
var differences = map[string]string{
	"a >= 1\ta=٣":           "X",
	"a = 3\ta=٣":            "X",
	"a = 10\ta=1٠":          "X",
	"a = 0.0\ta=-0":         "T",
	"a = 0.0\ta=-0.0":       "T",
	"a <= 0.0\ta=-0.0":      "T",
	"a >= 0.0\ta=-0.0":      "T",
	"a < 0.0\ta=-0.0":       "F",
	"0.0 = -0.0":            "T",
	"a = 0e0\ta=0":          "T",
	"a > 0.0\ta=21.5":       "T",
	"a > .0\ta=1":           "T",
	"a = 0.\ta=0":           "T",
	"a < b\ta=-0.0\tb=0.0":  "F",
	"a <= b\ta=0.0\tb=-0.0": "T",
}

func TestVerdictsAreThoseOfApacheRocketMQ(t *testing.T) {
	file, err := os.Open("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	differed, count := map[string]bool{}, map[string]int{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		want, line, _ := strings.Cut(lines.Text(), "\t")
		count[want]++
		parts := strings.Split(line, "\t")
		properties := map[string]string{}
		for _, p := range parts[1:] {
			name, value, _ := strings.Cut(p, "=")
			properties[unescape.Replace(name)] = unescape.Replace(value)
		}
		got := verdict(unescape.Replace(parts[0]), properties)
		if ours, differs := differences[line]; differs {
			differed[line] = got != want && got == ours
			continue
		}
		if got != want {
			_, err := Parse(unescape.Replace(parts[0]))
			t.Errorf("%q with %q gives %s, want %s (%v)", parts[0], properties, got, want, err)
		}
	}
	for line := range differences {
		if !differed[line] {
			t.Errorf("%q is listed as a difference and is none", line)
		}
	}
	for _, v := range []string{"T", "F", "U", "X", "E"} {
		if count[v] < 100 {
			t.Errorf("the golden file has %d verdicts %s: too few to mean anything", count[v], v)
		}
	}
}
