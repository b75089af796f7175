package store_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"sluice/store"
)

// childDir names a log that this binary is to open as a process of its own.
const childDir = "SLUICE_STORE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if _, err := store.Open(store.Options{Dir: dir}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(fullDir); dir != "" {
		os.Exit(closeFull(dir))
	}
	if dir := os.Getenv(steadyDir); dir != "" {
		os.Exit(steady(dir))
	}
	goleak.VerifyTestMain(m)
}
