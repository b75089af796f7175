package custom_test

import (
	"testing"

	"sluice/collectors/custom"
	"sluice/collectors/drivertest"
)

// The examples of the document for users are configurations that work.
func TestExamplesOfTheDocumentAreValid(t *testing.T) {
	drivertest.Examples(t, "custom", &custom.Driver{}, "devices", "buses: [{name: packing, serial: /dev/ttyS1}, {name: hall, serial: /dev/ttyS2}]\n")
}
