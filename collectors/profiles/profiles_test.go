package profiles

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryProfileSaysWhatItIsAndWhereItComesFrom(t *testing.T) {
	if len(Names()) < 45 {
		t.Fatalf("only %d profiles", len(Names()))
	}
	form := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, name := range Names() {
		p, err := Open(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for what, wrong := range map[string]bool{
			"its name is not its file's":   p.Name != name || !form.MatchString(name),
			"no maker or model":            p.Maker == "" || p.Model == "",
			"no driver":                    p.Driver == "",
			"a kind that is not listed":    !slices.Contains(Kinds(), p.Kind),
			"no summary in both languages": p.Summary.English == "" || !hasChinese(p.Summary.Chinese),
			"no source":                    len(p.Source) == 0 || slices.Contains(p.Source, ""),
			"not a word on what is open":   len(p.Unverified) == 0,
			"no points":                    len(p.Points) == 0,
			"no origin of the golden one":  p.Golden.Origin != "computed" && !strings.HasPrefix(p.Golden.Origin, "published: "),
			"not a golden value a point":   len(p.Golden.Values) != len(p.Points),
			"a bus in the defaults":        p.Defaults["address"] != nil,
		} {
			if wrong {
				t.Errorf("%s: %s", name, what)
			}
		}
	}
}

func hasChinese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x4E00 && r <= 0x9FFF })
}

// A power meter's point has one unit in all profiles, so that a page or a rule need not know the model.
func TestTheSameNameIsTheSameQuantity(t *testing.T) {
	first := map[string]string{}
	for _, name := range Names() {
		p, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Kind != "power-meter" || p.Driver != "modbus" {
			continue
		}
		for _, point := range p.Points {
			called, unit := fmt.Sprint(point["name"]), fmt.Sprint(point["unit"])
			if had, ok := first[called]; ok && had != unit {
				t.Errorf("%s: %s is in %s, elsewhere in %s", name, called, unit, had)
			}
			first[called] = unit
		}
	}
}

func TestWhatIsNotThereIsNotOpened(t *testing.T) {
	for _, name := range []string{"", "nothing", "../profiles", "models/xy-md02", "xy-md02.yaml"} {
		if _, ok := YAML(name); ok {
			t.Errorf("%q has a file", name)
		}
		if _, err := Open(name); err == nil {
			t.Errorf("%q was opened", name)
		}
	}
}
