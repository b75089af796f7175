package dlt645_test

import (
	"testing"

	"sluice/collectors/dlt645"
	"sluice/collectors/drivertest"
)

// The examples of the document for users are configurations that work.
func TestExamplesOfTheDocumentAreValid(t *testing.T) {
	drivertest.Examples(t, "dlt645", &dlt645.Driver{}, "buses", "")
}
