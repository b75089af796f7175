package custom_test

import (
	"os"
	"strings"
	"testing"

	"sluice/collectors/custom"
	"sluice/gateway/config"
)

// The examples of the document for users are configurations that work.
func TestExamplesOfTheDocumentAreValid(t *testing.T) {
	text, err := os.ReadFile("../../docs/drivers/custom.md")
	must(t, err)
	kinds := config.Kinds{
		DriverNames: []string{"custom"},
		Driver:      func(kind string) (any, bool) { return (&custom.Driver{}).Options(), kind == "custom" },
	}
	examples := 0
	for _, block := range strings.Split(string(text), "\n\n") {
		lines := strings.Split(block, "\n")
		if !strings.HasPrefix(lines[0], "    devices:") {
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

// wholeExample gives an indented block to its end, over empty lines, and buses for it.
func wholeExample(text, block string) string {
	var example strings.Builder
	example.WriteString("buses: [{name: packing, serial: /dev/ttyS1}, {name: hall, serial: /dev/ttyS2}]\n")
	for line := range strings.Lines(text[strings.Index(text, block):]) {
		unindented, inside := strings.CutPrefix(line, "    ")
		if !inside && strings.TrimSpace(line) != "" {
			break
		}
		example.WriteString(unindented)
	}
	return example.String()
}
