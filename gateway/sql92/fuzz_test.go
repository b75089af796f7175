package sql92

import (
	"os"
	"strings"
	"testing"
)

// FuzzParse checks for whatever parses that each of its operands is evaluated at most once, and that
// brackets, NOT and AND TRUE around it do to the verdict what logic says.
func FuzzParse(f *testing.F) {
	golden, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		f.Fatal(err)
	}
	for i, line := range strings.Split(string(golden), "\n") {
		if parts := strings.Split(line, "\t"); i%20 == 0 && len(parts) > 1 {
			f.Add(unescape.Replace(parts[1]), "1", "true")
		}
	}
	f.Add(strings.Repeat("(", 150)+"a = 1"+strings.Repeat(")", 150), "0x1p4", " 1.5f ")
	f.Add("-(-(-(a BETWEEN 1 AND 2) BETWEEN 1 AND 2) BETWEEN 1 AND 2) IS NULL", "1", "")
	f.Fuzz(func(t *testing.T, text, a, b string) {
		e, err := Parse(text)
		if err != nil {
			if e != nil {
				t.Errorf("%q gives both an expression and %v", text, err)
			}
			return
		}
		asked := 0
		e.Match(func(name string) (string, bool) {
			if asked++; asked > len(text) {
				t.Fatalf("%q asks for more properties than it has bytes", text)
			}
			return a, name == "a"
		})
		if !strings.HasSuffix(text, e.Ignored()) {
			t.Fatalf("%q does not end in %q, which it ignores", text, e.Ignored())
		}
		properties := map[string]string{"a": a, "b": b}
		whole := strings.TrimSuffix(text, e.Ignored())
		plain := verdict(whole, properties)
		for _, c := range []struct{ expression, want string }{
			{"(" + whole + ")", plain},
			{"NOT (" + whole + ")", map[string]string{"T": "F", "F": "T", "U": "U", "X": "X"}[plain]},
			{"(" + whole + ") AND TRUE", plain},
			{"FALSE OR (" + whole + ")", plain},
		} {
			if len(c.expression) > MaxLength || e.root.depth > maxDepth-5 || strings.Count(text, "(")+strings.Count(text, "-")+strings.Count(text, "+")+strings.Count(strings.ToUpper(text), "NOT") > maxDepth-5 {
				continue // the bounds are not what this is about
			}
			if got := verdict(c.expression, properties); got != c.want {
				t.Errorf("%q with a=%q b=%q gives %s, want %s", c.expression, a, b, got, c.want)
			}
		}
	})
}

// FuzzNumbers checks that what is read as a number is one: an integer is a decimal of the same value, and
// one with a sign differs from one without only in that.
func FuzzNumbers(f *testing.F) {
	for _, seed := range []string{"1", "-2147483648", "9223372036854775807", "0x1.8p3", "1e400", ".5d", "NaN", "Infinity", "1_0", " 7\n", "1.e5f", "0x.p1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		real, isReal := parseDecimal(s)
		if whole, ok := parseInteger(s, integer64); ok && (!isReal || real != float64(whole)) {
			t.Errorf("%q is the integer %d and the decimal %v, %v", s, whole, real, isReal)
		}
		if small, ok := parseInteger(s, integer32); ok {
			if large, also := parseInteger(s, integer64); !also || large != small {
				t.Errorf("%q is %d in 32 bits and %d, %v in 64", s, small, large, also)
			}
		}
		if isReal && s != "" && s[0] != '-' && s[0] != '+' && s[0] > ' ' {
			if negative, ok := parseDecimal("-" + s); !ok || negative != -real && real == real {
				t.Errorf("-%q is %v, %v, want %v", s, negative, ok, -real)
			}
		}
	})
}
