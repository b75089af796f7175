package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"sluice/gateway/config"
	"sluice/store"
)

// limitMemory keeps the Go runtime within a small machine, unless GOGC or GOMEMLIMIT in the
// environment say how it shall behave.
func limitMemory(c *config.Config, log *slog.Logger) {
	memory := store.Memory()
	profile := store.Profile(c.Store.Profile).For(memory)
	percent, limit := collectorFor(profile, memory, os.Getenv)
	if percent > 0 {
		debug.SetGCPercent(percent)
	}
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	log.Info("memory", "profile", string(profile), "machine_bytes", memory, "gc_percent", percent, "limit_bytes", limit)
}

// collectorFor gives the percentage by which the heap may grow before it is collected, and the
// size near which it is collected ever more often; 0 leaves what is.
//
// What is alive is small, so collecting it twice as often as Go would costs next to nothing and saves a
// third of the memory. On a small machine half of the memory is the limit: the page cache needs the
// rest, and a limit that what is alive exceeds would cost half of the processor without helping.
func collectorFor(profile store.Profile, memory int64, environment func(string) string) (percent int, limit int64) {
	if environment("GOGC") == "" {
		percent = 50
	}
	if profile == store.Small && environment("GOMEMLIMIT") == "" {
		limit = 128 << 20
		if memory > 0 {
			limit = min(limit, memory/2)
		}
	}
	return percent, limit
}
