package drivertest

import (
	"os"
	"strings"
	"testing"

	"sluice/collectors"
	"sluice/gateway/config"
	"sluice/gateway/message"
)

// Must ends the test when there is an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Open opens a device that is closed with the test.
func Open(t testing.TB, d collectors.Driver, options any) collectors.Device {
	t.Helper()
	device, err := d.Open("meter", options)
	Must(t, err)
	t.Cleanup(func() {
		if err := device.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return device
}

// Read polls once and gives the points in one line, as "name=value" or "name: error".
func Read(t *testing.T, device collectors.Device) (string, error) {
	t.Helper()
	var r message.Reading
	if err := (Case{}).read(t, device, &r); err != nil {
		return "", err
	}
	var all []string
	for _, p := range r.Points {
		if p.Error != "" {
			all = append(all, p.Name+": "+p.Error)
			continue
		}
		all = append(all, p.Name+"="+p.Value.String())
	}
	return strings.Join(all, "; "), nil
}

// Examples checks that the examples of a driver's document for users, which are indented blocks that
// begin with a key, are configurations that work with more, if anything, in front of them.
func Examples(t *testing.T, kind string, d collectors.Driver, key, more string) {
	text, err := os.ReadFile("../../docs/drivers/" + kind + ".md")
	Must(t, err)
	kinds := config.Kinds{
		DriverNames: []string{kind},
		Driver:      func(asked string) (any, bool) { return d.Options(), asked == kind },
	}
	examples := 0
	for block := range strings.SplitSeq(string(text), "\n\n") {
		if !strings.HasPrefix(block, "    "+key+":") {
			continue
		}
		examples++
		whole := more + indented(string(text)[strings.Index(string(text), block):])
		if _, err := config.Parse("example.yaml", []byte(whole), kinds); err != nil {
			t.Errorf("%s\n%v", whole, err)
		}
	}
	if examples == 0 {
		t.Error("the document has no example")
	}
}

// indented gives an indented block to its end, over empty lines.
func indented(text string) string {
	var block strings.Builder
	for line := range strings.Lines(text) {
		unindented, inside := strings.CutPrefix(line, "    ")
		if !inside && strings.TrimSpace(line) != "" {
			break
		}
		block.WriteString(unindented)
	}
	return block.String()
}
