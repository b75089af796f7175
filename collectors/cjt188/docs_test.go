package cjt188_test

import (
	"testing"

	"sluice/collectors/cjt188"
	"sluice/collectors/drivertest"
)

// The examples of the document for users are configurations that work.
func TestExamplesOfTheDocumentAreValid(t *testing.T) {
	drivertest.Examples(t, "cjt188", &cjt188.Driver{}, "buses", "")
}
