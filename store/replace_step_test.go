package store

import (
	"bytes"
	"context"
)

// PrepareStepwise and SettleStepwise let a test stop before any step.
func PrepareStepwise(ctx context.Context, dir string, backup []byte, before func(string) error) (Restored, error) {
	return (&replacer{dir, before}).prepare(ctx, "admin", false, bytes.NewReader(backup), nil)
}

// SettleStepwise is Settle.
func SettleStepwise(dir string, before func(string) error) (Replacement, bool, error) {
	return (&replacer{dir, before}).settle()
}
