package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sluice/gateway/config"
	"sluice/web"
)

// resetFile is the marker of a factory reset in the data directory of a gateway that removes its data itself.
const resetFile = "factory-reset"

// resetter begins a factory reset.
type resetter struct{ *Gateway }

// Reset puts the marker where whoever does the work looks for it: the machine, whose start removes all of
// its data, or this gateway at its own next start.
func (r resetter) Reset() error {
	marker := r.options.ResetFile
	if marker == "" {
		if !r.options.Restarts {
			return web.ErrNoRestart
		}
		marker = filepath.Join(r.Config().Store.Dir, resetFile)
	}
	if err := config.WriteAtomic(marker, nil); err != nil {
		return fmt.Errorf("note the factory reset: %w", err)
	}
	r.log.Warn("a factory reset was asked for: everything of the gateway's own goes at the next start", "marker", marker)
	if r.options.ResetFile != "" {
		return nil // whoever watches the marker starts the machine anew
	}
	return system(r).Restart()
}

// RemoveForReset removes everything in the data directory when a factory reset was asked for, but for the
// marker: a power cut on the way leaves a reset that goes on at the next start. ForgetReset ends it, when
// whoever calls has put the configuration back too.
func RemoveForReset(dir string) (asked bool, err error) {
	if _, err := os.Stat(filepath.Join(dir, resetFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("look for a factory reset: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return true, fmt.Errorf("factory reset: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == resetFile || entry.Name() == "lost+found" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return true, fmt.Errorf("factory reset: %w", err)
		}
	}
	return true, nil
}

// ForgetReset removes the marker.
func ForgetReset(dir string) error {
	if err := os.Remove(filepath.Join(dir, resetFile)); err != nil {
		return fmt.Errorf("factory reset: %w", err)
	}
	return nil
}
