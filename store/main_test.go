package store_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	if dir := os.Getenv(steadyDir); dir != "" {
		os.Exit(steady(dir))
	}
	goleak.VerifyTestMain(m)
}
