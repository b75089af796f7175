package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"sluice/firmware"
)

// updates opens what a service manager keeps for the gateway, before the configuration is read: that a new
// system cannot read the configuration is a reason to go back to the one before it. nil without such a folder.
func updates(log *slog.Logger, release firmware.Release) *firmware.Updater {
	dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":") // systemd.exec(5)
	if !filepath.IsAbs(dir) {
		return nil
	}
	return openUpdates(dir, log, release)
}

func openUpdates(dir string, log *slog.Logger, release firmware.Release) *firmware.Updater {
	return firmware.Open(firmware.Options{
		Dir: filepath.Join(dir, "firmware"), Installer: &firmware.RAUC{}, Machine: firmware.Linux{}, Release: release,
		SelfTest: firmware.SelfTest, Log: log.With("part", "firmware"),
	})
}

// unfit tells of a gateway that did not start.
func unfit(ctx context.Context, updater *firmware.Updater, why error) {
	if updater != nil {
		updater.Unfit(ctx, why)
	}
}
