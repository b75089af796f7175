package payload

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	docHeading = regexp.MustCompile("(?m)^### (.+)$")
	docBlock   = regexp.MustCompile("(?s)```json\n(.*?)\n```")
	docYAML    = regexp.MustCompile("(?s)template: \\|-\n  (.*?)\n```")
	docFilter  = regexp.MustCompile("(?m)^(?:\\| `(.+)` \\| [a-z, ]+;?.*\\||filter: (.+))$")
)

// TestExamplesOfTheDocumentation makes every example of docs/payloads.md.
func TestExamplesOfTheDocumentation(t *testing.T) {
	file, err := os.ReadFile("../../docs/payloads.md")
	if err != nil {
		t.Fatal(err)
	}
	formatsPart, filtersPart, _ := strings.Cut(string(file), "\n## Filters\n")
	headings := docHeading.FindAllStringSubmatchIndex(formatsPart, -1)
	if len(headings) != len(formats)-1 {
		t.Errorf("%d formats are documented, want %d", len(headings), len(formats)-1)
	}
	for i, at := range headings {
		section := formatsPart[at[1]:]
		if i+1 < len(headings) {
			section = formatsPart[at[1]:headings[i+1][0]]
		}
		o := Options{Format: formatsPart[at[2]:at[3]]}
		if text := docYAML.FindStringSubmatch(section); text != nil {
			o.Template = text[1]
		}
		example := docBlock.FindStringSubmatch(section)
		if o.Format == "sparkplug" {
			continue // bytes, in testdata
		}
		if example == nil {
			t.Errorf("%s has no example", o.Format)
			continue
		}
		made, err := maker(t, o).Make(nil, press)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range made {
			got = append(got, string(m.Payload))
		}
		if got := strings.Join(got, "\n"); got != example[1] {
			t.Errorf("%s\ngot  %s\nwant %s", o.Format, got, example[1])
		}
	}
	filters := docFilter.FindAllStringSubmatch(filtersPart, -1)
	if len(filters) < 9 {
		t.Errorf("%d filters are documented, want at least 9", len(filters))
	}
	for _, f := range filters {
		if _, err := maker(t, Options{Filter: f[1] + f[2]}).Make(nil, press); err != nil {
			t.Errorf("%s: %v", f[1]+f[2], err)
		}
	}
}
