package sml

import (
	"testing"

	"sluice/collectors/drivertest"
)

// The examples of the document for users are configurations that work.
func TestExamplesOfTheDocumentAreValid(t *testing.T) {
	drivertest.Examples(t, "sml", &Driver{}, "buses", "")
}
