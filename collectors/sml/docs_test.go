package sml

import (
	"os"
	"strings"
	"testing"

	"sluice/gateway/config"
)

// The examples of the document for users are configurations that work.
func TestExamplesOfTheDocumentAreValid(t *testing.T) {
	text, err := os.ReadFile("../../docs/drivers/sml.md")
	must(t, err)
	kinds := config.Kinds{
		DriverNames: []string{"sml"},
		Driver:      func(kind string) (any, bool) { return (&Driver{}).Options(), kind == "sml" },
	}
	examples := 0
	for _, block := range strings.Split(string(text), "\n\n") {
		lines := strings.Split(block, "\n")
		if !strings.HasPrefix(lines[0], "    buses:") {
			continue
		}
		examples++
		example := wholeExample(string(text), block)
		if _, err := config.Parse("example.yaml", []byte(example), kinds); err != nil {
			t.Errorf("%s\n%v", example, err)
		}
	}
	if examples == 0 {
		t.Error("the document has no example")
	}
}

// wholeExample gives an indented block to its end, over empty lines.
func wholeExample(text, block string) string {
	var example strings.Builder
	for line := range strings.Lines(text[strings.Index(text, block):]) {
		unindented, inside := strings.CutPrefix(line, "    ")
		if !inside && strings.TrimSpace(line) != "" {
			break
		}
		example.WriteString(unindented)
	}
	return example.String()
}
