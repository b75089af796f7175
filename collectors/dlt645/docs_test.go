package dlt645_test

import (
	"os"
	"strings"
	"testing"

	"sluice/collectors/dlt645"
	"sluice/gateway/config"
)

// The examples of the document for users are configurations that work.
func TestExamplesOfTheDocumentAreValid(t *testing.T) {
	text, err := os.ReadFile("../../docs/drivers/dlt645.md")
	must(t, err)
	kinds := config.Kinds{
		DriverNames: []string{"dlt645"},
		Driver:      func(kind string) (any, bool) { return (&dlt645.Driver{}).Options(), kind == "dlt645" },
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
